"""Rows of a packed weight: the code of each value, and scale, zero point and offset of each group of them.

A value is (level[code] − zero) · scale + offset in float32, each step rounded as the packages round it. A packing says
how rows of its codes and parts are read, a `Tile` at a time; nothing of a weight is held between two tiles but bands of
matrices that are read by columns, in a store of a fixed size.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from threading import Lock
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kaibo.models.formats import StoredTensor
from kaibo.vocabulary.compiling import compiled

Bytes = NDArray[np.uint8]
Floats32 = NDArray[np.float32]
Floats64 = NDArray[np.float64]

BAND = 16 << 20
"""Bytes of a band: the columns of a matrix that are read at a time."""

NONE = np.empty((0, 0), np.float32)
"""No zero points, no offsets."""

EVEN = np.empty(0, np.int32)
"""Groups that are runs of columns of one width."""


@dataclass(frozen=True, eq=False)
class Tile:
    """Some rows: codes of shape (rows, columns); scales, zeros and offsets of shape (rows, groups).

    `group` is the group of each column, empty where groups are runs of one width. Empty `zeros` and `offsets` are none.
    """

    codes: Bytes
    scales: Floats32
    zeros: Floats32 = field(default_factory=lambda: NONE)
    offsets: Floats32 = field(default_factory=lambda: NONE)
    group: NDArray[np.int32] = field(default_factory=lambda: EVEN)


@dataclass(frozen=True, eq=False)
class Levels:
    """What each code stands for, and the interval that is rounded to it; each of shape (256,).

    `linear` is (flip, shift) where every code stands for (code ^ flip) − shift, None where a table is needed.
    """

    values: Floats32
    low: Floats64
    high: Floats64
    linear: tuple[int, int] | None = None


def levels_of(values: NDArray[Any]) -> Levels:
    """The levels of codes 0, 1, …, each code's cell ending half-way to its neighbours, the outermost ones nowhere.

    >>> levels_of(np.array([-1.0, 0.0, 2.0])).high[:3].tolist()
    [-0.5, 1.0, inf]
    """
    exact = np.asarray(values, np.float64)
    known = np.isfinite(exact)
    levels = np.unique(exact[known])
    middles = (levels[1:] + levels[:-1]) / 2
    below, above = np.concatenate([[-np.inf], middles]), np.concatenate([middles, [np.inf]])
    place = np.where(known, np.searchsorted(levels, np.where(known, exact, levels[0])), 0)
    tables = np.zeros((3, 256))
    ends = np.where(known, below[place], np.nan), np.where(known, above[place], np.nan)
    for table, filled in zip(tables, (exact, *ends), strict=True):
        table[: exact.size] = filled
    return Levels(tables[0].astype(np.float32), tables[1], tables[2], _linear(exact))


def _linear(levels: Floats64) -> tuple[int, int] | None:
    """How whole levels are computed from their codes; those that are no numbers do not occur."""
    codes, known = np.arange(levels.size), np.isfinite(levels)
    for flip in (0, 8, 128):
        shifts = ((codes ^ flip) - levels)[known]
        if shifts.size and (shifts == shifts[0]).all() and shifts[0] == int(shifts[0]):
            return flip, int(shifts[0])
    return None


@dataclass(frozen=True, eq=False)
class Tiled:
    """The decoder of a weight of `columns` columns that is read by rows.

    `rows(first, last)` gives a tile; what comes out is multiplied by `factor` once more, where that is not 1. `joint`
    says that the codes of a weight are chosen together, so that not each is the nearest to its value.
    """

    columns: int
    levels: Levels
    rows: Callable[[int, int], Tile]
    factor: float = 1.0
    joint: bool = False

    def decode(self, begin: int, out: Floats32) -> None:
        """(Level − zero) · scale + offset, in float32."""
        tile, at = self.tile(begin, out.size)
        whole = tile.codes.size == out.size
        room = out if whole else np.empty(tile.codes.size, np.float32)
        parts = tile.scales, tile.zeros, tile.offsets, tile.group
        combined(tile.codes, self.levels.values, *parts, room.reshape(tile.codes.shape))
        if self.factor != 1.0:
            room *= np.float32(self.factor)
        if not whole:
            out[:] = room[at : at + out.size]

    def stored(self, begin: int, out: Floats32) -> None:
        """The level of each code."""
        tile, at = self.tile(begin, out.size)
        out[:] = self.levels.values[tile.codes.reshape(-1)[at : at + out.size]]

    def tile(self, begin: int, count: int) -> tuple[Tile, int]:
        """The rows that hold a range of values, and where it begins in them."""
        first, last = begin // self.columns, -(-(begin + count) // self.columns)
        with np.errstate(invalid="ignore", over="ignore"):  # scales that are NaN or infinite stay what they are
            return self.rows(first, last), begin - first * self.columns


def by_matrix(rows: Callable[[int, int, int], Tile], height: int) -> Callable[[int, int], Tile]:
    """Rows of matrices of a height, one after the other, from `rows(matrix, first, last)` of one of them."""

    def together(first: int, last: int) -> Tile:
        tiles = []
        while first < last:
            matrix, row = divmod(first, height)
            stop = min(height, row + last - first)
            tiles.append(rows(matrix, row, stop))
            first += stop - row
        if len(tiles) == 1:
            return tiles[0]
        codes, scales, zeros, offsets = (
            np.concatenate([getattr(tile, part) for tile in tiles]) for part in ("codes", "scales", "zeros", "offsets")
        )
        return Tile(codes, scales, zeros, offsets, tiles[0].group)

    return together


@dataclass(frozen=True, eq=False)
class Columns:
    """Matrices of patterns that are read by columns: (matrices, rows, columns) of a tensor of 8- or 32-bit patterns."""

    tensor: StoredTensor
    matrices: int
    rows: int
    columns: int

    def read(self, first: int, last: int, matrix: int = 0) -> NDArray[Any]:
        """Columns `first` to `last` of a matrix as rows of an array."""
        parts = []
        while first < last:
            band, at = divmod(first, self._wide)
            held = BANDS.get((self, matrix, band), lambda band=band: self._band(matrix, band))  # type: ignore[misc]
            parts.append(held[at : at + last - first])
            first += len(parts[-1])
        return (
            parts[0]
            if len(parts) == 1
            else np.concatenate([*parts, np.empty((0, self.rows), self.tensor.dtype.patterns)])
        )

    @cached_property
    def _wide(self) -> int:
        """Columns of a band."""
        return max(1, BAND // max(self.rows * self.tensor.dtype.itemsize, 1))

    def _band(self, matrix: int, band: int) -> NDArray[Any]:
        left = band * self._wide
        right = min(left + self._wide, self.columns)
        found = np.empty((self.rows, right - left), self.tensor.dtype.patterns)
        start = matrix * self.rows * self.columns
        if right - left == self.columns:
            self._fill(found.reshape(-1), start)
        else:
            for row in range(self.rows):
                self._fill(found[row], start + row * self.columns + left)
        return np.ascontiguousarray(found.T)

    def _fill(self, out: NDArray[Any], begin: int) -> None:
        if out.size:
            for _ in self.tensor.chunks(out.view(np.uint8), begin, begin + out.size):
                pass  # one chunk, which fills the room


class Bands:
    """What was read last, up to a number of bytes; several threads read it."""

    def __init__(self, limit: int) -> None:
        self._limit, self._size = limit, 0
        self._held: OrderedDict[Any, NDArray[Any]] = OrderedDict()
        self._lock = Lock()

    def get(self, key: object, made: Callable[[], NDArray[Any]]) -> NDArray[Any]:
        """What is held under a key, made where nothing is."""
        with self._lock:
            if key in self._held:
                self._held.move_to_end(key)
                return self._held[key]
        found = made()
        with self._lock:
            if key not in self._held:
                self._held[key] = found
                self._size += found.nbytes
            while self._size > self._limit and len(self._held) > 1:
                self._size -= self._held.popitem(last=False)[1].nbytes
        return found


BANDS = Bands(6 * BAND)
"""The bands of all weights that are read now: two workers, each with codes, zero points and scales."""


@compiled
def combined(
    codes: Bytes,
    levels: NDArray[np.floating],
    scales: Floats32,
    zeros: Floats32,
    offsets: Floats32,
    group: NDArray[np.int32],
    out: NDArray[np.floating],
) -> None:
    """out = (level − zero) · scale + offset of the group of each column, each step rounded to float32."""
    rows, columns = codes.shape
    groups = scales.shape[1]
    shifted, moved = zeros.size > 0, offsets.size > 0
    if group.size:
        for row in range(rows):
            for i in range(columns):
                at = group[i]
                value = levels[codes[row, i]]
                if shifted:
                    value -= zeros[row, at]
                value *= scales[row, at]
                out[row, i] = value + offsets[row, at] if moved else value
        return
    width = columns // max(groups, 1)
    for row in range(rows):
        for at in range(groups):
            scale = scales[row, at]
            zero = zeros[row, at] if shifted else np.float32(0.0)
            if moved:
                for i in range(at * width, (at + 1) * width):
                    out[row, i] = (levels[codes[row, i]] - zero) * scale + offsets[row, at]
            else:
                for i in range(at * width, (at + 1) * width):
                    out[row, i] = (levels[codes[row, i]] - zero) * scale


@compiled
def unpacked(words: NDArray[np.uint32], starts: NDArray[np.int64], bits: int, out: Bytes) -> None:
    """The codes that begin at these bits of each row of words, lowest bit first; a code may span two words."""
    mask = np.uint32((1 << bits) - 1)
    for row in range(len(words)):
        for i in range(len(starts)):
            word, shift = starts[i] >> 5, np.uint32(starts[i] & 31)
            code = words[row, word] >> shift
            if shift + bits > 32:
                code |= words[row, word + 1] << (np.uint32(32) - shift)
            out[row, i] = code & mask


@compiled
def halves(packed: Bytes, high_first: bool, out: Bytes) -> None:
    """Two codes of 4 bits in each byte of a row."""
    first, second = (4, 0) if high_first else (0, 4)
    columns = out.shape[1]
    for row in range(len(packed)):
        for i in range(columns // 2):
            byte = packed[row, i]
            out[row, 2 * i] = (byte >> first) & 15
            out[row, 2 * i + 1] = (byte >> second) & 15
        if columns % 2:
            out[row, columns - 1] = (packed[row, columns // 2] >> first) & 15


def runs(columns: int, width: int) -> NDArray[np.int32]:
    """The group of each column in runs of a width, of which the last may be cut; `EVEN` where it is not."""
    return EVEN if columns % width == 0 else (np.arange(columns) // width).astype(np.int32)


def codes_of(words: NDArray[Any], bits: int, columns: int, starts: NDArray[np.int64] | None = None) -> Bytes:
    """The codes of rows of 32-bit words, one after the other in the bits of a row unless `starts` says otherwise.

    >>> codes_of(np.array([[0x87654321]], np.uint32), 4, 8).tolist()
    [[1, 2, 3, 4, 5, 6, 7, 8]]
    """
    words = np.ascontiguousarray(words)
    if starts is None and bits == 8:
        return np.ascontiguousarray(words.view(np.uint8)[:, :columns])
    out = np.empty((len(words), columns), np.uint8)
    if starts is None and bits == 4:
        halves(words.view(np.uint8), False, out)
    else:
        unpacked(words, np.arange(columns, dtype=np.int64) * bits if starts is None else starts, bits, out)
    return out
