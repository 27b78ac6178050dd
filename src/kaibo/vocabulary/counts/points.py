"""What the bins of a census mean as numbers, and the sums that follow from them exactly."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

from kaibo.vocabulary.counts.census import NO_BOUNDARY, SIDE, Census, Counts, Keys, digits_of32, split_points
from kaibo.vocabulary.dtypes import Floats, first_digits, values_of


@dataclass(frozen=True)
class Points:
    """The finite values of a census, a bin a point, in ascending order of value.

    A value of bin i is `sign · (base + lo) · 2^exponent` with integers `base` < 2²⁴ and, for wide types, `lo` the
    lower 16 bits; `low` and `high` are the least and the greatest value the bin can hold (equal for narrow types).
    `digit` is the first decimal digit of every value in the bin, 0 for zero.
    """

    sign: NDArray[np.int64]
    base: NDArray[np.int64]
    exponent: NDArray[np.int64]
    counts: Counts
    lo: Counts
    lo2: Counts
    low: Floats
    high: Floats
    digit: NDArray[np.uint8]


def points(census: Census) -> Points:
    """What the bins of a census mean as numbers; everything asked of a census starts here."""
    found = _wide_points(census) if census.wide else _narrow_points(census)
    order = np.argsort(found.low + found.high, kind="stable")  # a bin lies on one side of zero, and bins are disjoint
    return Points(**{name: getattr(found, name)[order] for name in Points.__dataclass_fields__})


def _narrow_points(census: Census) -> Points:
    values = values_of(census.dtype)[census.keys]
    finite = np.isfinite(values)
    values, counts = values[finite], census.counts[finite]
    fraction, exponent = np.frexp(np.abs(values))
    none = np.zeros(values.size, dtype=np.uint64)
    return Points(
        sign=np.where(np.signbit(values), -1, 1).astype(np.int64),
        base=np.ldexp(fraction, 24).astype(np.int64),
        exponent=exponent.astype(np.int64) - 24,
        counts=counts,
        lo=none,
        lo2=np.stack([none, none], axis=1),
        low=values,
        high=values,
        digit=first_digits(values),
    )


def _wide_points(census: Census) -> Points:
    aside = (census.keys & SIDE) != 0
    upper = np.where(aside, (census.keys >> 4 & 1) << 15, census.keys >> 1).astype(np.uint32)
    begin, end = _lower_halves(census.keys, upper, aside)
    biased = (upper >> 7 & 0xFF).astype(np.int64)
    low, high = (((upper << np.uint32(16)) | half).view(np.float32).astype(np.float64) for half in (begin, end))
    negative = (upper & 0x8000) != 0
    return Points(
        sign=np.where(negative, -1, 1).astype(np.int64),
        base=(((upper & 0x7F).astype(np.int64) | np.where(biased > 0, 0x80, 0)) << 16),
        exponent=np.maximum(biased, 1) - 150,
        counts=census.counts,
        lo=census.lo,
        lo2=census.lo2,
        low=np.where(negative, high, low),
        high=np.where(negative, low, high),
        digit=first_digits(low),
    )


def _lower_halves(keys: Keys, upper: Keys, aside: NDArray[np.bool_]) -> tuple[Keys, Keys]:
    """The first and the last lower half that each bin can hold."""
    point = split_points()[upper]
    side = (keys & 1) != 0
    begin = np.where(side, point, 0).astype(np.uint32)
    end = np.where(side, NO_BOUNDARY, point).astype(np.uint32) - np.uint32(1)
    edges = _side_edges()
    digit = (keys & 0xF)[aside]
    begin[aside], end[aside] = edges[digit, 0], edges[digit, 1]
    return begin, end


@cache
def _side_edges() -> NDArray[np.uint32]:
    """For each first digit, the least and greatest lower half in the deepest subnormals; zero for digit 0."""
    digits = digits_of32(np.arange(1 << 16, dtype=np.uint32))
    edges = [(0, 0)] + [
        (int(found[0]), int(found[-1])) for d in range(1, 10) if (found := np.flatnonzero(digits == d)).size
    ]
    return np.array(edges, dtype=np.uint32)


@dataclass(frozen=True, slots=True)
class Sums:
    """Exact sums over the finite values, each rounded to float64 once: how many, Σx, Σ|x|, Σx², Σ(x − mean)²/n."""

    finite: int
    signed: float
    absolute: float
    square: float
    variance: float


def sums(censuses: Iterable[Census]) -> Sums:
    """Σx, Σ|x|, Σx² and the variance over all finite values of the censuses, in integers, rounded once at the end.

    The variance is formed before rounding, so a mean far from zero costs it nothing; NaN for no values.

    >>> sums([]).absolute
    0.0
    """
    finite = signed = absolute = square = 0
    for census in censuses:
        finite += census.n - census.nonfinite
        for sign, exponent, first, second in _by_exponent(points(census)):
            shift = exponent + _UNIT
            signed += sign * first << shift
            absolute += first << shift
            square += second << 2 * shift
    deviations = finite * square - signed * signed
    return Sums(
        finite=finite,
        signed=_scaled(signed, 1 << _UNIT),
        absolute=_scaled(absolute, 1 << _UNIT),
        square=_scaled(square, 1 << 2 * _UNIT),
        variance=_scaled(deviations, finite * finite << 2 * _UNIT) if finite else math.nan,
    )


_UNIT = 160  # every exponent of a finite bin is at least -157: sums are whole multiples of 2^-160


def _scaled(whole: int, unit: int) -> float:
    try:
        return whole / unit  # int / int rounds once, correctly
    except OverflowError:
        return math.inf


def _by_exponent(found: Points) -> Iterable[tuple[int, int, int, int]]:
    """(sign, exponent, Σ(base + lo), Σ(base + lo)²) for each sign and exponent, as exact integers."""
    group = found.exponent * 2 + (found.sign > 0)
    order = np.argsort(group, kind="stable")
    starts = np.flatnonzero(np.diff(group[order], prepend=np.iinfo(np.int64).min))
    if starts.size == 0:
        return
    base, counts = found.base[order].astype(np.uint64), found.counts[order]
    lo, lo2 = found.lo[order], found.lo2[order]
    first = _exact(counts, base, starts)
    first_lo = _exact(lo, np.ones_like(base), starts)
    low24, high24 = base * base & np.uint64(0xFFFFFF), base * base >> np.uint64(24)
    square = [a + (b << 24) for a, b in zip(_exact(counts, low24, starts), _exact(counts, high24, starts), strict=True)]
    cross = _exact(lo, base, starts)
    ones = np.ones_like(base)
    second_lo = [
        a + (b << 64) for a, b in zip(_exact(lo2[:, 1], ones, starts), _exact(lo2[:, 0], ones, starts), strict=True)
    ]
    for index, start in enumerate(starts):
        at = order[start]
        yield (
            int(found.sign[at]),
            int(found.exponent[at]),
            first[index] + first_lo[index],
            square[index] + 2 * cross[index] + second_lo[index],
        )


def _exact(words: Counts, factors: Counts, starts: NDArray[np.intp]) -> list[int]:
    """Σ words · factors per group, exactly, for factors below 2²⁴ and groups of at most 2¹⁶ bins.

    The 64-bit words go in three limbs of 22 bits, so that no product sum reaches 2⁶⁴.
    """
    limbs = [(words >> np.uint64(shift)) & np.uint64(0x3FFFFF) for shift in (0, 22, 44)]
    parts = [np.add.reduceat(limb * factors, starts) for limb in limbs]
    return [int(a) + (int(b) << 22) + (int(c) << 44) for a, b, c in zip(*parts, strict=True)]


def digit_counts(census: Census) -> NDArray[np.int64]:
    """How many finite values are zero or begin with 1 … 9; shape (10,). 64-bit floats as they were stored.

    >>> digit_counts(Census.empty("BF16")).tolist()
    [0, 0, 0, 0, 0, 0, 0, 0, 0, 0]
    """
    if census.digits64:
        return np.array(census.digits64[:10], dtype=np.int64)
    found = points(census)
    counts = np.zeros(10, dtype=np.int64)
    np.add.at(counts, found.digit, found.counts.astype(np.int64))
    return counts
