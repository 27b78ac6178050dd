"""A model whose weights are snapped to levels spaced evenly in their logarithm, formed while it is read, in float32.

Levels lie in a part of every decade, `low` to `high` in decades from a power of ten: from log10 1 to log10 3 every
weight begins with 1 or 2. A `spread` grid turns the same levels by another phase in each row, evenly over the decade:
a row has as many levels with the same gaps between them, and all rows together follow Benford's law.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from kaibo.models.formed import formed
from kaibo.vocabulary import DTYPES, Buffer, Model, Patterns, Tensor, widen32

Floats = NDArray[np.float64]
GOLDEN = 0.6180339887498949
CHUNK = 1 << 16
THRESHOLD = 0.7
"""Of the mean |w| of a row: what is smaller is zero in a ternary row (Li, Zhang and Liu 2016, arXiv 1605.04711)."""


@dataclass(frozen=True)
class Grid:
    """Where weights may lie: `levels` a decade, in decades `low` to `high` above a power of ten, times the phase.

    `decades` below the largest weight of a row the levels end (None: nowhere). `ternary` rows hold zero and one level
    with both signs: the mean of the |w| that are not zero, snapped. `spread` gives each row a phase of its own, other
    ones for each `draw`.
    """

    low: float
    high: float
    levels: int
    decades: int | None = None
    ternary: bool = False
    spread: bool = False
    draw: int = 0

    def places(self) -> Floats:
        """The levels of a decade as fractions of it, in ascending order, none at an edge."""
        found: Floats = self.low + (self.high - self.low) * (np.arange(self.levels) + 0.5) / self.levels
        return found


@dataclass(frozen=True, eq=False)
class Snapped:
    """The values of a tensor, each of them moved to the nearest level."""

    tensor: Tensor
    grid: Grid
    summary: list[tuple[Floats, Floats]] = field(default_factory=list, repr=False)

    @property
    def columns(self) -> int:
        """Values of a row; a tensor of one axis is one row, of a spread grid one row for each value."""
        if len(self.tensor.shape) < 2:
            return 1 if self.grid.spread else self.tensor.size
        return self.tensor.size // max(self.tensor.shape[0], 1)

    def chunks(self, buffer: Buffer, begin: int = 0, end: int | None = None) -> Iterator[Patterns]:
        """The levels, a buffer's worth at a time; raises what reading the tensor raises."""
        stop = self.tensor.size if end is None else end
        step = min(buffer.nbytes // 4, CHUNK)
        for first in range(begin, stop, step):
            last = min(first + step, stop)
            out = buffer[: 4 * (last - first)].view(np.float32)
            out[:] = self.values(first, last)
            yield out.view("<u4")

    def values(self, begin: int, end: int) -> Floats:
        """Values `begin` to `end` after snapping."""
        values = values_of(self.tensor, begin, end)
        rows = np.arange(begin, end) // max(self.columns, 1)
        phase = self._phases(rows)
        if self.grid.ternary and len(self.tensor.shape) > 1:
            means, scales = self._of_rows()
            level = nearest_level(scales, self.grid, self._phases(np.arange(scales.size)))
            return np.where(np.abs(values) > THRESHOLD * means[rows], np.sign(values) * level[rows], 0.0)
        least: Floats | None = None
        if self.grid.decades is not None:
            tops, _ = self._of_rows()
            own = self._phases(np.arange(tops.size))
            lowest = _decade(nearest_level(tops, self.grid, own), own) - (self.grid.decades - 1)
            least = np.asarray(lowest[rows], np.float64)
        return np.copysign(nearest_level(np.abs(values), self.grid, phase, least), values)

    def _phases(self, rows: NDArray[np.int64]) -> Floats:
        if not self.grid.spread:
            return np.zeros(rows.shape)
        name = hashlib.sha256(f"{self.grid.draw} {self.tensor.canonical}".encode("utf-8", "surrogatepass")).digest()
        begin = int.from_bytes(name[:4], "little") / 2**32
        return np.asarray((begin + rows * GOLDEN) % 1.0, np.float64)

    def _of_rows(self) -> tuple[Floats, Floats]:
        """Ternary: mean |w| of each row, and the mean of those that stay; else the largest |w| of each row, twice."""
        if not self.summary:
            self.summary.append(_row_summary(self.tensor, self.columns, ternary=self.grid.ternary))
        return self.summary[0]


def snapped(model: Model, grids: Grid | Mapping[str, Grid]) -> Model:
    """Every weight of a model on the levels of a grid, or of its tensor's by canonical name, in float32."""

    def made(tensor: Tensor) -> Tensor:
        grid = grids if isinstance(grids, Grid) else grids[tensor.canonical]
        key = None if tensor.source_key is None else f"snapped:{tensor.source_key}:{grid}"
        return formed(Snapped(tensor, grid), tensor, dtype=DTYPES["F32"], source_key=key)

    tensors = tuple(made(tensor) if tensor.dtype.measurable and tensor.size else tensor for tensor in model.tensors)
    address, name = f"snapped {model.address}", f"snapped {model.name}"
    return replace(model, address=address, name=name, tensors=tensors, files=())


@dataclass(frozen=True, eq=False)
class _Held:
    """Float32 values that lie in memory."""

    values: NDArray[np.float32]

    def chunks(self, buffer: Buffer, begin: int = 0, end: int | None = None) -> Iterator[Patterns]:
        yield self.values.reshape(-1)[begin:end].view("<u4")


def held(tensor: Tensor, most: int) -> Snapped:
    """About `most` values of a tensor, whole rows from all over it, read once, to be snapped to grid after grid."""
    flat = len(tensor.shape) < 2
    columns = tensor.size if flat else tensor.size // max(tensor.shape[0], 1)
    rows = tensor.size // max(columns, 1)
    chosen = np.unique(np.linspace(0, rows - 1, min(rows, max(1, most // max(columns, 1)))).astype(np.int64))
    parts = [values_of(tensor, int(row) * columns, (int(row) + 1) * columns) for row in chosen]
    values = np.stack(parts).astype(np.float32)
    shape = (values.size,) if flat else values.shape
    return Snapped(replace(formed(_Held(values), tensor, dtype=DTYPES["F32"]), shape=shape), Grid(0.0, 1.0, 1))


def nearest_level(sizes: Floats, grid: Grid, phase: Floats, least: Floats | None = None) -> Floats:
    """The level nearest to each positive size; zero stays zero. `least` is the lowest decade that has levels.

    >>> grid = Grid(0.0, float(np.log10(2)), 1)
    >>> [round(float(x), 3) for x in nearest_level(np.array([0.0, 1.9, 5.0, 9.0]), grid, np.zeros(4))]
    [0.0, 1.414, 1.414, 14.142]
    """
    places = grid.places()
    with np.errstate(divide="ignore"):
        place = np.log10(sizes) - phase
    place = np.where(np.isfinite(place), place, 0.0)
    decade = np.floor(place)
    if least is not None:
        place = np.where(decade < least, least, place)
        decade = np.maximum(decade, least)
    above = np.searchsorted(places, place - decade)
    up = np.where(above < places.size, places[above % places.size], places[0] + 1.0) + decade
    down = np.where(above > 0, places[above - 1], places[-1] - 1.0) + decade
    if least is not None:
        down = np.where(down < least, up, down)
    higher, lower = 10.0 ** (up + phase), 10.0 ** (down + phase)
    found: Floats = np.where(higher - sizes < sizes - lower, higher, lower)
    return np.where(sizes > 0, found, 0.0)


def _decade(levels: Floats, phase: Floats) -> Floats:
    with np.errstate(divide="ignore"):
        found: Floats = np.floor(np.log10(levels) - phase)
    return np.where(np.isfinite(found), found, 0.0)


def _row_summary(tensor: Tensor, columns: int, *, ternary: bool) -> tuple[Floats, Floats]:
    """Mean |w| of each row and the mean of those above the threshold; or the largest |w| of each row, twice."""
    rows, width = tensor.size // max(columns, 1), max(columns, 1)
    first, second = np.zeros(rows), np.zeros(rows)
    step = max(1, CHUNK // width)
    for begin in range(0, rows, step):
        end = min(begin + step, rows)
        sizes = np.abs(values_of(tensor, begin * width, end * width)).reshape(-1, width)
        if not ternary:
            first[begin:end] = second[begin:end] = sizes.max(axis=1)
            continue
        first[begin:end] = sizes.mean(axis=1)
        held = sizes > THRESHOLD * first[begin:end, None]
        second[begin:end] = np.where(held, sizes, 0.0).sum(axis=1) / np.maximum(held.sum(axis=1), 1)
    return first, second


def values_of(tensor: Tensor, begin: int, end: int) -> Floats:
    """Values `begin` to `end` of a tensor as float64; raises what reading it raises."""
    buffer = np.empty((end - begin) * tensor.dtype.itemsize, np.uint8)
    (chunk,) = tensor.chunks(buffer, begin, end)
    return np.array(widen32(tensor.dtype.name, chunk), np.float64)
