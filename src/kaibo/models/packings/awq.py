"""AWQ: words of eight 4-bit codes, along the outputs in an order of their own (GEMM) or along the inputs (GEMV).

A value is (code − zero) · scale, seen outputs first. Source: AutoAWQ, `unpack_awq`, `reverse_awq_order` (which undoes
0, 2, 4, 6, 1, 3, 5, 7), `dequantize_gemm` and `WQLinear_GEMV`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kaibo.models.formats import StoredTensor
from kaibo.models.packings.gptq import columns_of, floats
from kaibo.models.packings.packed import (
    Group,
    Packing,
    Stored,
    Unfit,
    float_rows,
    said_of_packing,
    stored_rows,
    whole_number,
)
from kaibo.models.packings.tiles import Bytes, Columns, Tile, Tiled, codes_of, levels_of

PLACES = np.array([0, 4, 1, 5, 2, 6, 3, 7], np.uint32)
"""In which eighth of a word each of eight neighbouring outputs lies."""


def recognise(config: Mapping[str, Any], entries: Stored) -> Iterator[Group | Unfit]:
    """Every `qweight` of 32-bit words that holds eight outputs, or eight inputs, a word."""
    said = said_of_packing(config)
    if str(said.get("quant_method", "awq")).lower() not in ("awq", "gptqmodel"):
        return
    for name, codes in entries.items():
        stem = name.removesuffix(".qweight")
        if stem == name or codes.dtype.name not in ("I32", "U32") or len(codes.shape) != 2:
            continue
        parts = {part: entries[f"{stem}.{part}"] for part in ("scales", "qzeros") if f"{stem}.{part}" in entries}
        if len(parts) < 2:
            absent = "scales" if "scales" not in parts else "zero points"
            yield Unfit(codes, f"its {absent} are missing")
        else:
            yield _group(f"{stem}.weight", codes, parts, said)


def _group(weight: str, codes: StoredTensor, parts: Stored, said: Mapping[str, Any]) -> Group | Unfit:
    scales, zeros = parts["scales"].shape, parts["qzeros"].shape
    bits = whole_number(said, "bits", "w_bit")
    if bits not in (None, 4):
        return Unfit(codes, f"AWQ of {bits} bits is not decoded")
    high, wide = codes.shape
    if scales[1:] == (8 * wide,) and zeros == (scales[0], wide):
        if not scales[0] or high % scales[0]:
            return Unfit(codes, f"{high} inputs do not divide into {scales[0]} groups")
        shape, how = (8 * wide, high), "4-bit codes of AWQ (GEMM)"
        return Group("awq", weight, shape, codes, parts, how, {"groups": scales[0], "gemm": True})
    size = whole_number(said, "group_size", "q_group_size") or 0
    size = 8 * wide if size == -1 else size
    if scales[:1] == (high,) and zeros[:1] == (high,) and size > 0 and 8 * wide % size == 0:
        groups = 8 * wide // size
        if groups <= scales[-1] and groups <= 8 * zeros[-1]:
            shape, how = (high, 8 * wide), "4-bit codes of AWQ (GEMV)"
            return Group("awq", weight, shape, codes, parts, how, {"groups": groups, "gemm": False})
    return Unfit(codes, f"scales of shape {scales} and zero points of shape {zeros} do not fit its shape {codes.shape}")


@dataclass(frozen=True, eq=False)
class ByOutputs:
    """GEMM: words of eight outputs, read by columns."""

    codes: Columns
    scales: Columns
    zeros: Columns

    def rows(self, first: int, last: int) -> Tile:
        """Some outputs."""
        zeros = _lanes(self.zeros, first, last).astype(np.float32)
        return Tile(_lanes(self.codes, first, last), floats(self.scales, first, last), zeros)


def _lanes(columns: Columns, first: int, last: int) -> Bytes:
    """The codes of outputs `first` to `last`, each out of its eighth of the words."""
    words = columns.read(first // 8, -(-last // 8))
    outputs = np.arange(first, last)
    lanes: NDArray[np.uint32] = words[outputs // 8 - first // 8] >> (4 * PLACES[outputs % 8])[:, None]
    return (lanes & np.uint32(15)).astype(np.uint8)


@dataclass(frozen=True, eq=False)
class ByInputs:
    """GEMV: words of eight inputs, read by rows; scales and zero points stand in rows that are padded."""

    group: Group

    def rows(self, first: int, last: int) -> Tile:
        """Some outputs."""
        groups, parts = self.group.settings["groups"], self.group.parts
        codes = codes_of(stored_rows(self.group.codes, first, last), 4, self.group.shape[1])
        scales = np.ascontiguousarray(float_rows(parts["scales"], first, last)[:, :groups])
        zeros = codes_of(stored_rows(parts["qzeros"], first, last), 4, groups)
        return Tile(codes, scales, zeros.astype(np.float32))


def decoder(group: Group) -> Tiled:
    """What decodes a group."""
    scales, zeros = (columns_of(group.parts[part]) for part in ("scales", "qzeros"))
    reader = ByOutputs(columns_of(group.codes), scales, zeros) if group.settings["gemm"] else ByInputs(group)
    return Tiled(group.shape[1], levels_of(np.arange(16)), reader.rows, joint=True)


PACKING = Packing("awq", recognise, decoder)
