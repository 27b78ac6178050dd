"""compressed-tensors, packed integers: codes of 1 to 8 bits along the inputs, in 32-bit words.

A value is (code − 2^(bits−1) − zero) · scale, of a tensor, a row or a group of inputs; zero points are packed along the
outputs, the weight's shape is held beside them. Since version 0.20 codes span words, before they did not: the count of
words says which. Source: compressed-tensors, `unpack_from_int32` and `dequantize`. Its other forms are those of `int8`,
`fp8` and `fp4`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kaibo.models.formats import StoredTensor
from kaibo.models.packings.gptq import ordered
from kaibo.models.packings.packed import (
    Group,
    Packing,
    Stored,
    Unfit,
    patterns_in,
    said_of_packing,
    stored_rows,
    values_in,
    whole,
    whole_number,
)
from kaibo.models.packings.tiles import EVEN, NONE, Floats32, Tile, Tiled, by_matrix, codes_of, levels_of


def recognise(config: Mapping[str, Any], entries: Stored) -> Iterator[Group | Unfit]:
    """Every `weight_packed` of 32-bit words."""
    bits = _bits_said(said_of_packing(config))
    for name, codes in entries.items():
        stem = name.removesuffix("weight_packed")
        if stem == name or codes.dtype.name not in ("I32", "U32") or len(codes.shape) < 2:
            continue
        parts = {
            part: entries[f"{stem}weight_{part}"]
            for part in ("shape", "scale", "zero_point", "g_idx")
            if f"{stem}weight_{part}" in entries
        }
        absent = [part for part in ("shape", "scale") if part not in parts]
        yield Unfit(codes, f"its {absent[0]} is missing") if absent else _group(f"{stem}weight", codes, parts, bits)


def _bits_said(said: Mapping[str, Any]) -> tuple[int, ...]:
    """The widths of all groups of the config, as they are listed."""
    groups = said.get("config_groups")
    tables = groups.values() if isinstance(groups, Mapping) else ()
    weights = [table.get("weights") for table in tables if isinstance(table, Mapping)]
    found = [whole_number(one, "num_bits") for one in weights if isinstance(one, Mapping)]
    return tuple(dict.fromkeys(bits for bits in found if bits is not None))


def _group(weight: str, codes: StoredTensor, parts: Stored, said: tuple[int, ...]) -> Group | Unfit:
    held, scale = parts["shape"], parts["scale"]
    if held.size != len(codes.shape) or held.dtype.kind != "integer":
        return Unfit(codes, f"its shape is held as {held.dtype.name} of shape {held.shape}")
    shape = tuple(int(side) for side in whole(held).reshape(-1))
    if min(shape) < 0 or shape[:-1] != codes.shape[:-1]:
        return Unfit(codes, f"its shape is said to be {shape}, its codes have shape {codes.shape}")
    fitting = [bits for bits in range(1, 9) if codes.shape[-1] in (_words(shape[-1], bits), _loose(shape[-1], bits))]
    known = [bits for bits in said if bits in fitting] or ([4] if 4 in fitting else fitting[-1:])
    if not known:
        return Unfit(codes, f"{codes.shape[-1]} words do not hold {shape[-1]} codes of any width")
    bits = known[0]
    rows, groups = prod(shape[:-1]), scale.size // max(prod(shape[:-1]), 1) or 1
    if scale.size not in (1, rows * groups) or (shape[-1] % groups and "g_idx" not in parts):
        return Unfit(codes, f"its scales have shape {scale.shape} and its shape is {shape}")
    loose = codes.shape[-1] != _words(shape[-1], bits)
    zeros = parts.get("zero_point")
    if zeros is not None and zeros.size not in (scale.size, _zero_words(shape, groups, bits, loose)):
        return Unfit(codes, f"its zero points have shape {zeros.shape}")
    how = f"{bits}-bit codes of compressed-tensors"
    return Group("compressed", weight, shape, codes, parts, how, {"bits": bits, "loose": loose, "groups": groups})


def _words(count: int, bits: int) -> int:
    return -(-count * bits // 32)


def _loose(count: int, bits: int) -> int:
    """Words of codes that do not span two."""
    return -(-count // (32 // bits))


def _zero_words(shape: tuple[int, ...], groups: int, bits: int, loose: bool) -> int:
    return prod(shape[:-2]) * groups * (_loose if loose else _words)(shape[-2], bits)


@dataclass(frozen=True, eq=False)
class Reader:
    """The codes and parts of a group."""

    group: Group
    order: NDArray[np.int32]

    def rows(self, matrix: int, first: int, last: int) -> Tile:
        """Some rows of a matrix."""
        group, said = self.group, self.group.settings
        begin, end = (matrix * group.shape[-2] + row for row in (first, last))
        starts = self._starts(0, group.shape[-1]) if said["loose"] else None
        codes = codes_of(stored_rows(group.codes, begin, end), said["bits"], group.shape[-1], starts)
        scale = group.parts["scale"]
        if scale.size == 1:
            scales = np.full((end - begin, 1), values_in(scale, 0, 1)[0], np.float32)
        else:
            scales = values_in(scale, begin * said["groups"], end * said["groups"]).reshape(-1, said["groups"])
        return Tile(codes, scales.astype(np.float32, copy=False), self._zeros(matrix, first, last), NONE, self.order)

    def _starts(self, first: int, last: int) -> NDArray[np.int64]:
        """The bits at which codes begin in words that they do not span."""
        bits, places = self.group.settings["bits"], np.arange(first, last, dtype=np.int64)
        if not self.group.settings["loose"]:
            return np.asarray(places * bits)
        return np.asarray(places // (32 // bits) * 32 + places % (32 // bits) * bits)

    def _zeros(self, matrix: int, first: int, last: int) -> Floats32:
        zeros, groups, bits = (
            self.group.parts.get("zero_point"),
            *(self.group.settings[key] for key in ("groups", "bits")),
        )
        if zeros is None:
            return NONE
        height = self.group.shape[-2]
        if zeros.size == self.group.parts["scale"].size and zeros.dtype.bits == 8:
            begin, end = (matrix * height + row for row in (first, last)) if zeros.size > 1 else (0, 1)
            found = values_in(zeros, begin * groups, end * groups).reshape(-1, groups).astype(np.float32)
            return np.ascontiguousarray(np.broadcast_to(found, (last - first, found.shape[1])))
        starts = self._starts(first, last)
        left, right = int(starts[0]) // 32, (int(starts[-1]) + bits - 1) // 32 + 1
        stride = (_loose if self.group.settings["loose"] else _words)(height, bits)
        words = patterns_in(zeros, (matrix * stride + left) * groups, (matrix * stride + right) * groups)
        codes = codes_of(words.reshape(-1, groups).T, bits, last - first, starts - 32 * left)
        return np.ascontiguousarray(codes.T, np.float32) - np.float32(1 << (bits - 1))


def decoder(group: Group) -> Tiled:
    """What decodes a group; raises FormatError for groups of inputs that there are no scales for."""
    bits = group.settings["bits"]
    given = group.parts.get("g_idx")
    order = EVEN if given is None or bool((whole(given) == -1).all()) else ordered(group, group.settings["groups"])
    levels = levels_of(np.arange(1 << bits) - (1 << (bits - 1)))
    return Tiled(group.shape[-1], levels, by_matrix(Reader(group, order).rows, group.shape[-2]))


PACKING = Packing("compressed", recognise, decoder)
