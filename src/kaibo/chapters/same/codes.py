"""The codes of a packed tensor, through any view of it that keeps its values, beside values of another."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import dataclass, fields
from functools import cache
from math import prod

import numpy as np
from numpy.typing import NDArray

from kaibo.chapters.same import kernels
from kaibo.chapters.same.tallies import Tally
from kaibo.models.formats import StoredTensor
from kaibo.models.formed import Formed
from kaibo.models.packings import Packed
from kaibo.models.packings.tiles import Levels, Tile, Tiled
from kaibo.models.rows import ChosenRows
from kaibo.models.views import Computed, Transposed
from kaibo.vocabulary import Tensor

SPREAD = 2
"""Rows that lie in at most so many times as many are read together and put in order afterwards."""

Floats32 = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Codes:
    """Codes of `count` values, from the value `at` of a tile on."""

    tiled: Tiled
    tile: Tile
    at: int
    count: int


def packed_under(tensor: Tensor) -> Packed | None:
    """What a tensor is decoded from, through views that keep its values; None where it is stored as it is."""
    values = tensor.values if isinstance(tensor, Formed) else None
    if isinstance(values, Packed):
        return values
    inner = inside(tensor)
    kept = inner is not None and not isinstance(values, Computed | Transposed)
    return packed_under(inner) if kept and inner is not None else None


def upright(tensor: Tensor) -> Tensor | None:
    """The matrix that a packed tensor is the transposed of; None for any other."""
    values = tensor.values if isinstance(tensor, Formed) else None
    if isinstance(values, Transposed):
        return values.tensor if packed_under(values.tensor) is not None else None
    return upright(values) if isinstance(values, Formed) and values.shape == tensor.shape else None


def is_computed(tensor: Tensor) -> bool:
    """Whether a formula stands between the stored values and these, under whatever views."""
    if isinstance(tensor, Formed) and isinstance(tensor.values, Computed):
        return True
    inner = inside(tensor)
    return inner is not None and is_computed(inner)


def inside(tensor: Tensor) -> Tensor | None:
    """The tensor that a view is of."""
    values = tensor.values if isinstance(tensor, Formed) else None
    if isinstance(values, ChosenRows | Computed | Transposed):
        return values.tensor
    return values if isinstance(values, Formed | StoredTensor) else None  # a tensor under another name


def codes(tensor: Tensor, begin: int, end: int) -> Iterator[Codes]:
    """The codes of a range of values, in order. Raises what reading them raises."""
    values = tensor.values if isinstance(tensor, Formed) else None
    if isinstance(values, Packed):
        tile, at = values.decoder.tile(begin, end - begin)
        yield Codes(values.decoder, tile, at, end - begin)
    elif isinstance(values, ChosenRows):
        yield from _of_rows(values, tensor.shape, begin, end)
    else:
        inner = inside(tensor)
        assert inner is not None, "only packed tensors have codes"
        yield from codes(inner, begin, end)


def _of_rows(chosen: ChosenRows, shape: tuple[int, ...], begin: int, end: int) -> Iterator[Codes]:
    long = prod(shape[1:])
    parts = [
        (row + max(begin // long, first) - first, min(-(-end // long), first + count) - max(begin // long, first))
        for first, row, count in chosen.runs
        if first < -(-end // long) and begin // long < first + count
    ]
    rows = np.concatenate([np.arange(row, row + count) for row, count in parts])
    low, high = int(rows.min()), int(rows.max()) + 1
    packed = packed_under(chosen.tensor)
    assert packed is not None, "only packed tensors have codes"
    if len(parts) > 1 and long % packed.decoder.columns == 0 and high - low <= SPREAD * rows.size:
        (found, *others) = codes(chosen.tensor, low * long, high * long)
        if not others:
            tile = _taken(found.tile, rows - low, long // packed.decoder.columns)
            yield Codes(found.tiled, tile, begin - begin // long * long, end - begin)
            return
    at = begin // long * long
    for row, count in parts:
        start, stop = max(begin, at) - at, min(end, at + count * long) - at
        yield from codes(chosen.tensor, row * long + start, row * long + stop)
        at += count * long


def _taken(tile: Tile, rows: NDArray[np.int64], high: int) -> Tile:
    """These rows of a weight, each of which is `high` rows of the tile."""
    chosen = (rows[:, None] * high + np.arange(high)).reshape(-1)
    parts = (getattr(tile, field.name) for field in fields(Tile))
    return Tile(*(part[chosen] if part.ndim == 2 and part.size else part for part in parts))


def compared(values: Floats32, found: Codes, own: tuple[float, float], begin: int) -> Tally:
    """The tally of values beside their codes; `own` is half a step of their own type, `begin` the first's place."""
    counts, apart = np.array([0, 0, 0, 0, -1, 0], np.int64), _room(values.size)
    _count(values, found, own, apart, counts)
    kernels.sizes(apart.view(np.int32), counts)
    square, moved = kernels.squares(values, apart)
    equal, inside, step, far, first, largest = counts.tolist()
    greatest = float(np.array([largest], np.int32).view(np.float32)[0])
    place = begin + first if first >= 0 else -1
    return Tally(values.size, equal, inside, step, far, square, moved, greatest, place)


def by_chance(values: Floats32, found: Codes, own: tuple[float, float]) -> tuple[float, float]:
    """The shares of unrelated values of the same distribution inside the cells and within a step: half a span on."""
    moved, counts = np.roll(values, values.size // 2 + 1), np.array([0, 0, 0, 0, -1, 0], np.int64)
    _count(moved, found, own, _room(values.size), counts)
    return int(counts[1]) / values.size, int(counts[2]) / values.size


def _count(
    values: Floats32, found: Codes, own: tuple[float, float], apart: Floats32, counts: NDArray[np.int64]
) -> None:
    levels = found.tiled.levels
    linear = (*(levels.linear or (-1, 0)), found.tiled.factor)
    kernels.beside_codes(values, laid_out(found.tile), found.at, _tables(levels), linear, own, apart, counts)


def laid_out(tile: Tile) -> kernels.Codes:
    """A tile as kernels take it."""
    held, scales, zeros, offsets = map(np.ascontiguousarray, (tile.codes, tile.scales, tile.zeros, tile.offsets))
    return held, scales, zeros, offsets, tile.group


@cache
def _tables(levels: Levels) -> kernels.Levels:
    """The tables of levels as the kernel takes them."""
    with np.errstate(invalid="ignore"):
        below, above = levels.values - levels.low, levels.high - levels.values
        widths = [np.where(np.isfinite(one), one, 0) for one in (below, above)]
        width = np.where(np.isfinite(below) & np.isfinite(above), sum(widths), 2 * np.maximum(*widths))
        ends = [((one + kernels.SLACK * width) * kernels.PLAINLY).astype(np.float32) for one in (below, above)]
    return levels.values, levels.low, levels.high, ends[0], ends[1]


_HELD = threading.local()


def _room(size: int) -> Floats32:
    """Room for so many differences, of which each thread has one."""
    if getattr(_HELD, "room", np.empty(0)).size < size:
        _HELD.room = np.empty(size, np.float32)
    room: Floats32 = _HELD.room[:size]
    return room
