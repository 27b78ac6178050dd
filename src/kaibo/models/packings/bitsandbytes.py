"""bitsandbytes: 4-bit places in a table (nf4, fp4) times the largest of each block, and 8-bit codes of rows.

Two codes share a byte, the first in its upper half; blocks run on over the ends of rows. With double quantisation the
largest values are 8-bit places themselves, less an offset. 8-bit codes are multiplied by the row's largest value and by
1 ÷ 127; outliers are those of activations, the file holds every weight as a code. Source: `dequantize_4bit`,
`dequantize_blockwise`, `int8_vectorwise_dequant` of bitsandbytes.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np

from kaibo.documents.json_text import json_value
from kaibo.errors import FormatError
from kaibo.models.formats import StoredTensor
from kaibo.models.packings.fp8 import levels
from kaibo.models.packings.packed import (
    Group,
    Packing,
    Stored,
    Unfit,
    patterns_in,
    stored_rows,
    values_in,
    whole,
    whole_number,
)
from kaibo.models.packings.tiles import Bytes, Floats32, Tile, Tiled, halves, levels_of

STATE = "quant_state.bitsandbytes__"
STATE_LIMIT = 1 << 16
LARGEST_BLOCK = 1 << 16
"""Values of a block at most; the package itself knows no more than 4096."""

ROW_UNIT = 7.874015718698502e-3


def recognise(config: Mapping[str, Any], entries: Stored) -> Iterator[Group | Unfit]:
    """Every tensor that a state of 4-bit codes, or the largest values of rows, stand beside."""
    for name, codes in entries.items():
        states = [entries[key] for kind in ("nf4", "fp4") if (key := f"{name}.{STATE}{kind}") in entries]
        if states:
            yield _of_blocks(name, codes, states[0], entries)
        elif name.endswith(".weight") and codes.dtype.name == "I8":
            yield from _of_rows(name, codes, entries)


def _of_rows(name: str, codes: StoredTensor, entries: Stored) -> Iterator[Group | Unfit]:
    stem = name.removesuffix(".weight")
    largest, form = entries.get(f"{stem}.SCB"), entries.get(f"{stem}.weight_format")
    if largest is None:
        return
    parts = {"SCB": largest} | ({} if form is None else {"weight_format": form})
    if len(codes.shape) != 2 or largest.size != codes.shape[0]:
        yield Unfit(codes, f"{largest.size} scales for shape {codes.shape}")
    elif form is not None and form.size == 1 and int(whole(form).reshape(-1)[0]) != 0:
        yield Unfit(codes, "its codes lie in the order of a graphics card")
    else:
        yield Group("bitsandbytes", name, codes.shape, codes, parts, "8-bit codes of bitsandbytes")


def _of_blocks(name: str, codes: StoredTensor, state: StoredTensor, entries: Stored) -> Group | Unfit:
    parts = {"state": state}
    for part in ("absmax", "quant_map", "nested_absmax", "nested_quant_map"):
        if f"{name}.{part}" in entries:
            parts[part] = entries[f"{name}.{part}"]
    try:
        said = _state(state)
    except FormatError as problem:
        return Unfit(codes, f"its state {problem.message}")
    shape, block = _shape(said), whole_number(said, "blocksize") or 0
    if shape is None or not 0 < block <= LARGEST_BLOCK:
        return Unfit(codes, "its state says neither shape nor size of blocks")
    size, held = prod(shape), codes.end - codes.begin
    if not 2 * held - 8 <= size <= 2 * held:
        return Unfit(codes, f"its state says shape {shape}, which its codes do not fill")
    if why := _missing(parts, said, -(-size // block)):
        return Unfit(codes, why)
    how = f"{state.name.rpartition('__')[2]} codes of bitsandbytes"
    settings: dict[str, Any] = {"block": block}
    if parts["absmax"].dtype.name == "U8":
        how += " with double quantisation"
        settings |= {"nested": said["nested_blocksize"], "offset": float(said["nested_offset"])}
    return Group("bitsandbytes", name, shape, codes, parts, how, settings)


def _shape(said: Mapping[str, Any]) -> tuple[int, ...] | None:
    found = said.get("shape")
    known = isinstance(found, list) and all(type(side) is int and side >= 0 for side in found)
    return tuple(found) if known and found else None


def _state(state: StoredTensor) -> Mapping[str, Any]:
    """What the state says beside its tensors; raises FormatError where it is no JSON object."""
    if state.size > STATE_LIMIT:
        raise FormatError(f"is {state.size} bytes long", file=state.file)
    found = json_value(patterns_in(state, 0, state.size).tobytes(), state.file)
    if not isinstance(found, dict):
        raise FormatError("is no JSON object", file=state.file)
    return found


def _missing(parts: Stored, said: Mapping[str, Any], blocks: int) -> str:
    """What a group of blocks lacks; "" where it is whole."""
    for part, size in (("absmax", blocks), ("quant_map", 16)):
        if part not in parts:
            return f"its {part} is missing"
        if parts[part].size != size:
            return f"its {part} holds {parts[part].size} values, expected {size}"
    if parts["absmax"].dtype.name != "U8":
        return ""
    block, offset = whole_number(said, "nested_blocksize") or 0, said.get("nested_offset")
    if block <= 0 or not isinstance(offset, int | float):
        return "its state says nothing of the scales of its scales"
    for part, size in (("nested_absmax", -(-blocks // block)), ("nested_quant_map", 256)):
        if part not in parts or parts[part].size != size:
            return f"its {part} is missing or does not hold {size} values"
    return ""


@dataclass(frozen=True, eq=False)
class Blocks:
    """Blocks of a group, each a row; the table and the scales of the scales are held, 4 bytes for 16,384 values."""

    group: Group
    nested: tuple[Floats32, Floats32] | None

    def rows(self, first: int, last: int) -> Tile:
        """Some blocks; the last may be cut."""
        block, codes = self.group.settings["block"], self.group.codes
        width = codes.dtype.itemsize or 1
        begin, end = first * block // 2, min(-(-last * block // 2), codes.end - codes.begin)
        left = begin // width
        raw = patterns_in(codes, left, -(-end // width)).view(np.uint8)[begin - left * width :]
        flat = np.zeros((1, (last - first) * block), np.uint8)
        count = min(flat.size, 2 * raw.size - first * block % 2)
        found = np.empty((1, 2 * raw.size), np.uint8)
        halves(raw[None], True, found)
        flat[0, :count] = found[0, first * block % 2 :][:count]
        return Tile(flat.reshape(-1, block), self._scales(first, last)[:, None])

    def _scales(self, first: int, last: int) -> Floats32:
        absmax = self.group.parts["absmax"]
        if self.nested is None:
            return values_in(absmax, first, last).astype(np.float32)
        table, largest = self.nested
        places = patterns_in(absmax, first, last)
        of = np.arange(first, last) // self.group.settings["nested"]
        found: Floats32 = table[places] * largest[of] + np.float32(self.group.settings["offset"])
        return found


def _rows(group: Group, first: int, last: int) -> Tile:
    codes: Bytes = stored_rows(group.codes, first, last)
    return Tile(codes, values_in(group.parts["SCB"], first, last).astype(np.float32)[:, None])


def decoder(group: Group) -> Tiled:
    """What decodes a group."""
    parts = group.parts
    if "SCB" in parts:
        return Tiled(group.shape[-1], levels("I8"), lambda first, last: _rows(group, first, last), ROW_UNIT)
    nested = None
    if "nested" in group.settings:
        nested = tuple(
            whole(parts[part]).astype(np.float32).reshape(-1) for part in ("nested_quant_map", "nested_absmax")
        )
    table = whole(parts["quant_map"]).astype(np.float32).reshape(-1)
    return Tiled(group.settings["block"], levels_of(table), Blocks(group, nested).rows)  # type: ignore[arg-type]


PACKING = Packing("bitsandbytes", recognise, decoder)
