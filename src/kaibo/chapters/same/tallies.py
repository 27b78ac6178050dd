"""Values of one model beside those of another: equal, inside the cells of the packed side, far outside, how far."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from kaibo.vocabulary.compiling import compiled

Floats = NDArray[np.floating]

OUTSIDE = 0.01
"""Of the values may lie outside their cells by less than a cell: quantisers that search for scales leave such."""


@dataclass(frozen=True)
class Tally:
    """Counts and sums over a span of values; `first` is the place of the first that does not fit, -1 for none.

    `step` lie inside their cells or at most half a cell outside, `far` more than a whole cell.
    """

    looked: int = 0
    equal: int = 0
    inside: int = 0
    step: int = 0
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
            self.step + other.step,
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
def _rounded(
    a: Floats, b: Floats, half: NDArray[np.float64], inner: NDArray[np.float64], own: tuple[float, float]
) -> tuple[int, int, int]:
    """(inside, far outside, the first that does not fit)."""
    inside, far, first = 0, 0, -1
    for i in range(a.size):
        one, other = np.float64(a[i]), np.float64(b[i])
        room = max(abs(one) * own[0], own[1])
        below = (inner[i] if other > 0 else half[i]) + room
        above = (inner[i] if other < 0 else half[i]) + room
        fits = one == other or (one != one and other != other) or -below <= one - other <= above
        near = fits or abs(one - other) <= 3 * half[i] + room
        inside += fits
        far += not near
        if not fits and first < 0:
            first = i
    return inside, far, first


def compared(a: Floats, b: Floats, begin: int) -> Tally:
    """The tally of two spans that begin at a place of their tensors, where neither side is coarser."""
    sums = np.zeros(4)
    equal = int(_equal(a, b, sums))
    first = begin + int(sums[3]) if sums[3] >= 0 else -1
    return Tally(a.size, equal, equal, equal, a.size - equal, float(sums[0]), float(sums[1]), float(sums[2]), first)


@dataclass(frozen=True)
class Rounding:
    """How values of a plain type are rounded: half a step, and half of the step below a power of two.

    `own` is half a step of the finer side, a part of the value and its least: a value that was rounded itself may have
    come from anywhere within that.
    """

    half: NDArray[np.float64]
    inner: NDArray[np.float64]
    own: tuple[float, float] = (0.0, 0.0)


def rounded(fine: Floats, coarse: Floats, to: Rounding, begin: int) -> Tally:
    """The tally of the finer side's values against the intervals that are rounded to those of the coarser."""
    plain = compared(fine, coarse, begin)
    inside, far, first = (int(one) for one in _rounded(fine, coarse, to.half, to.inner, to.own))
    return replace(plain, inside=inside, step=inside, far=far, first=begin + first if first >= 0 else -1)


def by_chance(fine: Floats, coarse: Floats, to: Rounding) -> float:
    """The share of unrelated values of the same distribution that lie inside: the same ones, half a span on."""
    moved = np.roll(fine, fine.size // 2 + 1)
    return int(_rounded(moved, coarse, to.half, to.inner, to.own)[0]) / fine.size if fine.size else math.nan
