"""Values of one model beside those of another: equal, inside the cells of the packed side, far outside, how far."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from kaibo.vocabulary.compiling import compiled

Floats = NDArray[np.floating]

SLACK = 1 / 16
"""Of a cell's width, by which a value may lie outside: a scale is stored in 16 bits after codes were chosen with the
exact one, which moves the edge of the 128th cell by at most 128·2⁻¹¹ = 1/16 of a step."""

NOTHING = 2.0**-15
"""What a block whose scale was rounded to zero may have held: 2⁻²⁵ times the 63·15 steps of a K-quant."""

OUTSIDE = 0.01
"""Of the values may lie outside their cells by less than a cell: quantisers that search for scales leave such."""


@dataclass(frozen=True)
class Tally:
    """Counts and sums over a span of values; `first` is the place of the first that does not fit, -1 for none."""

    looked: int = 0
    equal: int = 0
    inside: int = 0
    far: int = 0
    square: float = 0.0
    moved: float = 0.0
    largest: float = 0.0
    first: int = -1

    def __add__(self, other: Tally) -> Tally:
        """Both together; `other` comes after."""
        return Tally(
            self.looked + other.looked,
            self.equal + other.equal,
            self.inside + other.inside,
            self.far + other.far,
            self.square + other.square,
            self.moved + other.moved,
            max(self.largest, other.largest),
            self.first if self.first >= 0 else other.first,
        )

    @property
    def relative(self) -> float | None:
        """‖a − b‖/‖a‖."""
        return math.sqrt(self.moved / self.square) if self.square else None

    def fits(self, *, exact: bool) -> bool:
        """Whether one is the other rounded: nothing is far outside, and all (of packed values nearly all) is inside."""
        return not self.far and self.looked - self.inside <= (0 if exact else OUTSIDE * self.looked)


@compiled
def _equal(a: Floats, b: Floats, sums: NDArray[np.float64]) -> int:
    equal, first = 0, -1
    for i in range(a.size):
        one, other = np.float64(a[i]), np.float64(b[i])
        if one == other or (one != one and other != other):
            equal += 1
            sums[0] += one * one if one == one else 0.0
            continue
        first = i if first < 0 else first
        sums[0] += one * one
        sums[1] += (one - other) * (one - other)
        sums[2] = max(sums[2], abs(one - other))
    sums[3] = first
    return equal


@compiled
def _inside(
    a: Floats,
    b: Floats,
    low: NDArray[np.float64],
    high: NDArray[np.float64],
    slack: float,
    nothing: float,
    own: tuple[float, float],
) -> tuple[int, int, int]:
    """(inside, far outside, the first that does not fit)."""
    inside, far, first = 0, 0, -1
    for i in range(a.size):
        one, other = np.float64(a[i]), np.float64(b[i])
        below, above = low[i], high[i]
        room = max(abs(one) * own[0], own[1])
        if one != one or other != other:
            fits, near = one != one and other != other, False
        else:
            width = above - below
            if not width < np.inf:
                width = 2 * max(other - below if below > -np.inf else 0.0, above - other if above < np.inf else 0.0)
            if not width > 0 or below != below:
                fits, near = abs(one - other) <= nothing, False
            else:
                fits = below - slack * width - room <= one <= above + slack * width + room
                near = below - width - room <= one <= above + width + room
        inside += fits
        far += not (fits or near)
        if not fits and first < 0:
            first = i
    return inside, far, first


def compared(a: Floats, b: Floats, begin: int) -> Tally:
    """The tally of two spans that begin at a place of their tensors, where neither side is coarser."""
    sums = np.zeros(4)
    equal = int(_equal(a, b, sums))
    first = begin + int(sums[3]) if sums[3] >= 0 else -1
    return Tally(a.size, equal, equal, a.size - equal, float(sums[0]), float(sums[1]), float(sums[2]), first)


@dataclass(frozen=True)
class Cells:
    """The cells of a span, by how much of their width a value may lie outside, and the finer side's own rounding.

    `own` is half a step of the finer type: a part of the value, and its least. A value that was rounded itself may have
    come from anywhere within that.
    """

    low: NDArray[np.float64]
    high: NDArray[np.float64]
    slack: float
    own: tuple[float, float]


def in_cells(fine: Floats, coarse: Floats, cells: Cells, begin: int) -> Tally:
    """The tally of the finer side's values against the cells of the coarser."""
    plain = compared(fine, coarse, begin)
    inside, far, first = _inside(fine, coarse, cells.low, cells.high, cells.slack, NOTHING, cells.own)
    place = begin + int(first) if first >= 0 else -1
    return Tally(plain.looked, plain.equal, int(inside), int(far), plain.square, plain.moved, plain.largest, place)


def by_chance(fine: Floats, coarse: Floats, cells: Cells) -> float:
    """The share of unrelated values of the same distribution that lie in the cells: the same ones, half a span on."""
    if not fine.size:
        return math.nan
    moved = np.roll(fine, fine.size // 2 + 1)
    return int(_inside(moved, coarse, cells.low, cells.high, cells.slack, NOTHING, cells.own)[0]) / fine.size
