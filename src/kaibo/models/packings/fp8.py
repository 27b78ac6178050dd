"""8-bit floats with scales: one for a tensor, a row, a column or a block, in float32, 16 bits or as powers of two.

A value is code · scale, rounded once to float32. Sources: DeepSeek-V3 (arXiv 2412.19437, blocks of 128 × 128, called
`weight_scale_inv` and multiplied with all the same), compressed-tensors and vLLM (`weight_scale`), ComfyUI
(`scale_weight`), Mistral (`qscale_weight`), OCP MXFP8 (blocks of 32 with E8M0 scales).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from math import prod
from typing import Any

import numpy as np

from kaibo.models.formats import StoredTensor
from kaibo.models.packings.packed import (
    Group,
    Packing,
    Stored,
    powers_of_two,
    said_of_packing,
    stored_rows,
    values_in,
)
from kaibo.models.packings.tiles import EVEN, NONE, Floats32, Levels, Tile, Tiled, levels_of, runs
from kaibo.vocabulary import values_of

CODES = ("F8_E4M3", "F8_E5M2", "F8_E4M3FNUZ", "F8_E5M2FNUZ")
BESIDE = ("_scale_inv", "_scale", "_scales", "_inv_scale", ".scale", ".scale_inv")
"""What follows the whole name of a weight in that of its scale: `q_proj.weight_scale`, `gate_up_proj_scale`."""

INSTEAD = (
    "scale_weight",
    "scale",
    "scales",
    "scale_inv",
    "qscale_weight",
    "weights_scaling_factor",
)
"""What stands in place of `weight` in the name of its scale."""

BLOCK = 128
"""Side of a block where the config does not say it (DeepSeek-V3)."""


def recognise(config: Mapping[str, Any], entries: Stored) -> Iterator[Group]:
    """Every tensor of 8-bit floats that a scale of a fitting shape stands beside."""
    block = block_of(config)
    for name, codes in entries.items():
        scale = scale_of(name, entries) if codes.dtype.name in CODES else None
        sides = None if scale is None else blocks(codes.shape, scale.shape, block)
        if scale is not None and sides is not None:
            ending = scale.name.rpartition(".")[2]
            how = f"{codes.dtype.name} codes multiplied by {ending}"
            yield Group("fp8", name, codes.shape, codes, {"scale": scale}, how, {"block": sides})


def scale_of(name: str, entries: Stored) -> StoredTensor | None:
    """The scale of a weight, under any of the names that are known."""
    stem = name.removesuffix(".weight")
    others = [f"{stem}.{ending}" for ending in INSTEAD] if stem != name else []
    found = next((entries[one] for one in [*(name + end for end in BESIDE), *others] if one in entries), None)
    known = found is not None and (found.dtype.kind in ("float", "scale") or found.dtype.name == "U8")
    return found if known else None


def block_of(config: Mapping[str, Any]) -> tuple[int, int] | None:
    """The sides of a block as the config says them, wherever it does."""
    found = said_of_packing(config)
    groups = found.get("config_groups")
    said = [found.get("weight_block_size")]
    for group in groups.values() if isinstance(groups, Mapping) else ():
        weights = group.get("weights") if isinstance(group, Mapping) else None
        said.append(weights.get("block_structure") if isinstance(weights, Mapping) else None)
    for sides in said:
        if isinstance(sides, list) and len(sides) == 2 and all(type(side) is int and side > 0 for side in sides):
            return sides[0], sides[1]
    return None


def blocks(shape: tuple[int, ...], scale: tuple[int, ...], block: tuple[int, int] | None) -> tuple[int, ...] | None:
    """How many values share a scale along each axis of a weight; None where the scale's shape does not fit.

    >>> blocks((200, 130), (2, 2), None), blocks((4, 6), (4,), None), blocks((4, 6), (3, 1), None)
    ((128, 128), (1, 6), None)
    """
    if prod(scale) == 1:
        return shape
    if len(scale) == 1 and len(shape) > 1:  # one number a row
        scale = (*(1 for _ in shape[:-2]), scale[0], 1) if scale[0] == shape[-2] else scale
    if len(scale) != len(shape):
        return None
    usual = (*(1 for _ in shape[:-2]), *(block or (BLOCK, BLOCK)))[-len(shape) :]
    sides = tuple(_side(*axis) for axis in zip(shape, scale, usual, strict=True))
    return None if None in sides else tuple(side or 1 for side in sides)


def _side(values: int, scales: int, usual: int) -> int | None:
    if scales == values:
        return 1
    if scales == 1:
        return max(values, 1)
    if scales == -(-values // usual):
        return usual
    return values // scales if scales and values % scales == 0 else None


@dataclass(frozen=True, eq=False)
class Blocks:
    """8-bit codes, scales and zero points of their blocks; `sides` as (matrices, rows, columns)."""

    group: Group
    sides: tuple[int, int, int]

    def rows(self, first: int, last: int) -> Tile:
        """Some rows of all matrices, one after the other."""
        codes = stored_rows(self.group.codes, first, last).view(np.uint8)
        scales = self._of_rows(self.group.parts["scale"], first, last)
        zeros = self.group.parts.get("zero_point")
        wide = self.group.shape[-1]
        group = runs(wide, self.sides[2]) if scales.shape[1] > 1 else EVEN
        return Tile(codes, scales, NONE if zeros is None else self._of_rows(zeros, first, last), NONE, group)

    def _of_rows(self, part: StoredTensor, first: int, last: int) -> Floats32:
        """What a part holds for each block of some rows."""
        if part.size == 1:
            return np.full((last - first, 1), _floats(part, 0, 1)[0], np.float32)
        high, wide = (1, *self.group.shape)[-2:]
        row = np.arange(first, last)
        place = row // high // self.sides[0] * -(-high // self.sides[1]) + row % high // self.sides[1]
        across = -(-wide // self.sides[2])
        begin, end = (int(place[0]), int(place[-1]) + 1) if place.size else (0, 0)
        found: Floats32 = _floats(part, begin * across, end * across).reshape(-1, across)[place - begin]
        return found


def _floats(part: StoredTensor, begin: int, end: int) -> Floats32:
    """Values of a part in float32; a scale that is stored as bytes without a sign is a power of two."""
    found = values_in(part, begin, end)
    return powers_of_two(found) if part.dtype.name == "U8" else found.astype(np.float32, copy=False)


def decoder(group: Group) -> Tiled:
    """What decodes a group."""
    padded = (1, 1, *group.settings["block"])
    sides = prod(padded[:-2]), padded[-2], padded[-1]
    return Tiled(group.shape[-1] if group.shape else 1, levels(group.codes.dtype.name), Blocks(group, sides).rows)


@cache
def levels(name: str) -> Levels:
    """What the codes of a type stand for."""
    return levels_of(np.arange(256, dtype=np.uint8).view(np.int8) if name == "I8" else values_of(name))


PACKING = Packing("fp8", recognise, decoder)
