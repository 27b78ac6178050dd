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
from numpy.typing import NDArray

from kaibo.models.formats import StoredTensor
from kaibo.models.packings.packed import Floats32, Floats64, Group, Packing, Stored, powers_of_two, whole
from kaibo.vocabulary import values_of
from kaibo.vocabulary.compiling import compiled

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
    block = _block(config)
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


def _block(config: Mapping[str, Any]) -> tuple[int, int] | None:
    """The sides of a block as the config says them, wherever it does."""
    quantised = config.get("quantization_config", config.get("compression_config"))
    found = quantised if isinstance(quantised, Mapping) else {}
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
class ScaledCodes:
    """8-bit codes, a table of what they stand for, and the scales of their blocks as (matrices, rows, columns)."""

    codes: StoredTensor
    scales: Floats32
    sides: tuple[int, int, int]

    @property
    def _rows(self) -> tuple[int, int]:
        shape = (1, *self.codes.shape)[-2:]
        return shape[0], shape[1]

    def decode(self, begin: int, out: Floats32) -> None:
        """Code times scale, in float32."""
        room = np.empty(out.size, np.uint8)
        for chunk in self.codes.chunks(room, begin, begin + out.size):
            _multiply(_table(self.codes.dtype.name), chunk, self.scales, self.sides, self._rows, begin, out)

    def cell(self, begin: int, low: Floats64, high: Floats64) -> None:
        """Half-way to the neighbouring codes, times the scale; the largest code also stands for all that is larger."""
        room = np.empty(low.size, np.uint8)
        ends = _ends(self.codes.dtype.name)
        for chunk in self.codes.chunks(room, begin, begin + low.size):
            for table, out in zip(ends, (low, high), strict=True):
                _multiply(table, chunk, self.scales.astype(np.float64), self.sides, self._rows, begin, out)
        low[:], high[:] = np.minimum(low, high), np.maximum(low, high)


def decoder(group: Group) -> ScaledCodes:
    """What decodes a group; a scale that is stored as bytes is a power of two."""
    scale = group.parts["scale"]
    values = powers_of_two(whole(scale)) if scale.dtype.name == "U8" else whole(scale)
    sides: tuple[int, ...] = group.settings["block"]
    grid = tuple(-(-values // side) if side else 0 for values, side in zip(group.shape, sides, strict=True))
    three, flat = _three(sides), _three(grid)
    if values.size == 1:
        return ScaledCodes(group.codes, values.reshape(1, 1, 1), _three(group.shape))
    return ScaledCodes(group.codes, np.ascontiguousarray(values.reshape(flat)), three)


def _three(sizes: tuple[int, ...]) -> tuple[int, int, int]:
    """Axes as (matrices, rows, columns)."""
    padded = (1, 1, *sizes)
    return prod(padded[:-2]), padded[-2], padded[-1]


@cache
def _table(name: str) -> Floats32:
    return values_of(name).astype(np.float32)


@cache
def _ends(name: str) -> tuple[Floats64, Floats64]:
    """Where the interval that is rounded to each code begins and ends."""
    values = values_of(name)
    levels = np.unique(values[np.isfinite(values)])
    middles = (levels[1:] + levels[:-1]) / 2
    place = np.searchsorted(levels, values)
    below, above = np.concatenate([[-np.inf], middles]), np.concatenate([middles, [np.inf]])
    known = np.isfinite(values)
    place = np.where(known, np.minimum(place, levels.size - 1), 0)
    return np.where(known, below[place], np.nan), np.where(known, above[place], np.nan)


@compiled
def _multiply(
    table: NDArray[np.floating],
    codes: NDArray[np.uint8],
    scales: NDArray[np.floating],
    sides: tuple[int, int, int],
    rows: tuple[int, int],
    begin: int,
    out: NDArray[np.floating],
) -> None:
    """out = table[code] · scale of its block; the values from `begin` on of matrices of rows × columns."""
    high, wide = rows
    at = 0
    while at < codes.size:
        place = begin + at
        column, row = place % wide, place // wide
        block = column // sides[2]
        count = min(min((block + 1) * sides[2], wide) - column, codes.size - at)
        scale = scales[row // high // sides[0], row % high // sides[1], block]
        for i in range(at, at + count):
            out[i] = table[codes[i]] * scale
        at += count


PACKING = Packing("fp8", recognise, decoder)
