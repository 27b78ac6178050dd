"""The largest n % of a task vector, from its census alone: what trimming keeps, and the norms of what it keeps.

TIES (Yadav et al. 2023, arXiv 2306.01708) trims the task vector to its largest entries. Two ways to deal with ties:

    reference   threshold = the (d − ⌊d·K⌋)-th smallest |Δ|, everything at or above it is kept (the paper's code):
                ⌊d·K⌋ + 1 values and all ties, and everything where more than 1 − K of Δ is zero
    exact       ⌊d·K⌋ values, never a zero

The census knows how many values each bin holds and their sums. Where all values of the bin that the threshold falls
in are equal (as a rule so for differences of bfloat16 models) everything is exact, else the bounds are given.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from kaibo.analyses.records import Top
from kaibo.vocabulary import Census, points

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Sizes:
    """The finite values of some censuses by |x|, largest first, a bin a place.

    `counts`, `l1` and `square` are how many values a bin holds, their Σ|x| and Σx²; `low` and `high` bound them,
    and are equal where all of them are.
    """

    counts: NDArray[np.int64]
    l1: Floats
    square: Floats
    low: Floats
    high: Floats

    @property
    def d(self) -> int:
        """How many values there are."""
        return int(self.counts.sum())


def by_size(censuses: Sequence[Census]) -> Sizes:
    """The values of all censuses by magnitude, both signs together."""
    parts = [_magnitudes(census) for census in censuses]
    columns = [np.concatenate([part[place] for part in parts] or [np.zeros(0)]) for place in range(5)]
    keys = np.stack([columns[3], columns[4]], axis=1)
    ends, place = np.unique(keys, axis=0, return_inverse=True)
    sums = [_gathered(place.reshape(-1), column, len(ends))[::-1] for column in columns[:3]]
    return Sizes(sums[0].astype(np.int64), sums[1], sums[2], ends[::-1, 0], ends[::-1, 1])


def _gathered(place: NDArray[np.intp], column: Floats, size: int) -> Floats:
    return np.bincount(place, column, minlength=size).astype(np.float64)


def _magnitudes(census: Census) -> tuple[Floats, ...]:
    """Count, Σ|x|, Σx², least and greatest |x| of each bin."""
    found = points(census)
    counts, lo = found.counts.astype(np.float64), found.lo.astype(np.float64)
    lo2 = found.lo2[:, 0].astype(np.float64) * 2.0**64 + found.lo2[:, 1].astype(np.float64)
    unit, base = np.ldexp(1.0, found.exponent), found.base.astype(np.float64)
    equal = (lo2 * counts == lo * lo) & (np.maximum(lo2 * counts, lo) < 2.0**53) | (found.low == found.high)
    mean = (base + lo / counts) * unit
    ends = np.abs(np.stack([found.low, found.high]))
    return (
        counts,
        (base * counts + lo) * unit,
        (base * base * counts + 2 * base * lo + lo2) * unit * unit,
        np.where(equal, mean, ends.min(axis=0)),
        np.where(equal, mean, ends.max(axis=0)),
    )


def largest(sizes: Sizes, percent: float, ties: str, scope: str = "global") -> Top:
    """The largest `percent` of the values, ties dealt with as `reference` or `exact`.

    >>> from kaibo.vocabulary import Census
    >>> largest(by_size([Census.empty("F32")]), 20, "exact").kept
    0
    """
    d = sizes.d
    wanted = math.floor(d * percent / 100)
    if ties == "exact":
        return _first(sizes, min(wanted, int(sizes.counts[sizes.high > 0].sum())), percent, scope)
    rank = max(d - wanted, 1)  # among the smallest, counted from one
    return _first_and_ties(sizes, d - rank + 1 if d else 0, percent, scope)


def _first(sizes: Sizes, kept: int, percent: float, scope: str) -> Top:
    """Exactly so many values; what the last bin gives lies between its mean and its ends."""
    place, before = _place(sizes, kept)
    if kept == 0:
        return Top(percent, scope, "exact", 0, 0, None, None, 0.0, 0.0, 0.0, 0.0)
    part, count = kept - before, int(sizes.counts[place])
    l1 = _between(sizes.l1[place], sizes.low[place], sizes.high[place], part, count)
    square = _between(sizes.square[place], sizes.low[place] ** 2, sizes.high[place] ** 2, part, count)
    return _top(sizes, place, (l1, square), (kept, kept), (percent, scope, "exact"))


def _first_and_ties(sizes: Sizes, kept: int, percent: float, scope: str) -> Top:
    """So many values and all that equal the last of them."""
    place, before = _place(sizes, kept)
    if kept == 0:
        return Top(percent, scope, "reference", 0, 0, None, None, 0.0, 0.0, 0.0, 0.0)
    count = int(sizes.counts[place])
    part = count if sizes.low[place] == sizes.high[place] else kept - before
    l1 = _between(sizes.l1[place], sizes.low[place], sizes.high[place], part, count)[0], float(sizes.l1[place])
    low = _between(sizes.square[place], sizes.low[place] ** 2, sizes.high[place] ** 2, part, count)[0]
    ends = (before + part, before + count)
    return _top(sizes, place, (l1, (low, float(sizes.square[place]))), ends, (percent, scope, "reference"))


def _place(sizes: Sizes, kept: int) -> tuple[int, int]:
    """The bin that holds the last of the `kept` largest values, and how many lie in the bins before it."""
    ends = np.cumsum(sizes.counts)
    place = int(np.searchsorted(ends, kept, side="left"))
    return place, int(ends[place - 1]) if place else 0


def _between(total: float, low: float, high: float, part: int, count: int) -> tuple[float, float]:
    """Bounds on the sum of the `part` largest of `count` values in [low, high] whose sum is `total`."""
    if part == count:
        return float(total), float(total)
    least = float(total) * part / count
    return least, float(max(least, min(part * high, total - (count - part) * low)))


def _top(
    sizes: Sizes,
    place: int,
    last: tuple[tuple[float, float], tuple[float, float]],
    kept: tuple[int, int],
    labels: tuple[float, str, str],
) -> Top:
    l1 = [math.fsum(sizes.l1[:place]) + end for end in last[0]]
    l2 = [math.sqrt(math.fsum(sizes.square[:place]) + end) for end in last[1]]
    return Top(
        *labels,
        kept=kept[0],
        kept_high=kept[1],
        threshold=float(sizes.low[place]),
        threshold_high=float(sizes.high[place]),
        l1=sum(l1) / 2,
        l1_bound=(l1[1] - l1[0]) / 2,
        l2=sum(l2) / 2,
        l2_bound=(l2[1] - l2[0]) / 2,
    )


def together(parts: Sequence[Top]) -> Top:
    """What several tensors keep, each trimmed alone."""
    low = [top.l2 - top.l2_bound for top in parts]
    high = [top.l2 + top.l2_bound for top in parts]
    l2 = math.sqrt(math.fsum(end**2 for end in low)), math.sqrt(math.fsum(end**2 for end in high))
    thresholds = [(top.threshold, top.threshold_high) for top in parts if top.threshold is not None]
    least = min(thresholds, default=(None, None), key=lambda pair: pair[0] or 0.0)
    return Top(
        percent=parts[0].percent,
        scope="tensor",
        ties=parts[0].ties,
        kept=sum(top.kept for top in parts),
        kept_high=sum(top.kept_high for top in parts),
        threshold=least[0],
        threshold_high=least[1],
        l1=math.fsum(top.l1 for top in parts),
        l1_bound=math.fsum(top.l1_bound for top in parts),
        l2=sum(l2) / 2,
        l2_bound=(l2[1] - l2[0]) / 2,
    )
