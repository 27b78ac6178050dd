"""The largest n % of a task vector, from its census alone: what trimming keeps, and the norms of what it keeps.

TIES (Yadav et al. 2023, arXiv 2306.01708) trims the task vector to its largest entries. Two ways to deal with ties:

    reference   threshold = the (d − ⌊d·K⌋)-th smallest |Δ|, everything at or above it is kept (the paper's code):
                ⌊d·K⌋ + 1 values and all ties, and everything where more than 1 − K of Δ is zero
    exact       ⌊d·K⌋ values, never a zero

The census knows how many values each bin holds and their sums. Where all values of the bin that the threshold falls
in are equal everything is exact; where that bin was resolved (see `unresolved`) it is, too; else bounds are given.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np
from numpy.typing import NDArray

from kaibo.chapters.diff.rows import Top
from kaibo.errors import UsageError
from kaibo.vocabulary import Census, Row, points, total
from kaibo.vocabulary.counts.census import SIDE
from kaibo.vocabulary.counts.resolved import ByContent, Resolved, added, upper_half

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
    bins = [np.concatenate([part[place] for part in parts] or [np.zeros(0)]) for place in range(7)]
    keys, first, place = np.unique(np.stack(bins[:2], axis=1), axis=0, return_index=True, return_inverse=True)
    counts, lo, lo2 = (np.bincount(place.reshape(-1), column, minlength=len(keys)) for column in bins[2:5])
    base, unit = bins[5][first], bins[6][first]
    # Only now, with both signs and all censuses together: a bin of one sign must not pass for a value by itself.
    equal = (lo2 * counts == lo * lo) & (np.maximum(lo2 * counts, lo) < 2.0**53) | (keys[:, 0] == keys[:, 1])
    mean = (base + lo / counts) * unit
    return Sizes(
        counts=counts[::-1].astype(np.int64),
        l1=((base * counts + lo) * unit)[::-1],
        square=((base * base * counts + 2 * base * lo + lo2) * unit * unit)[::-1],
        low=np.where(equal, mean, keys[:, 0])[::-1],
        high=np.where(equal, mean, keys[:, 1])[::-1],
    )


def _magnitudes(census: Census) -> tuple[Floats, ...]:
    """Least and greatest |x| of each bin; count, Σlo and Σlo²; and what a value is made of: (base + lo)·unit."""
    found = points(census)
    ends = np.abs(np.stack([found.low, found.high]))
    lo2 = found.lo2[:, 0].astype(np.float64) * 2.0**64 + found.lo2[:, 1].astype(np.float64)
    counts, lo = found.counts.astype(np.float64), found.lo.astype(np.float64)
    unit, base = np.ldexp(1.0, found.exponent), found.base.astype(np.float64)
    return ends.min(axis=0), ends.max(axis=0), counts, lo, lo2, base, unit


TIES = ("reference", "exact")
"""The two ways to deal with ties."""

OF = ("all", "linear", "changed")
"""What d counts: all paired values, those of the matrices inside layers, those that changed at all."""


def counted(rows: Sequence[Row], of: str = "all") -> list[Row]:
    """The rows whose values d counts. Raises UsageError for an unknown name."""
    if of not in OF:
        raise UsageError(f'no such values "{of}"', next=f"choose one of {', '.join(OF)}")
    linear = of == "linear"
    return [row for row in rows if not linear or (row.layer is not None and len(row.shape) == 2)]


def sizes_of(rows: Sequence[Row], of: str = "all") -> Sizes:
    """The magnitudes of all rows that d counts, together."""
    censuses = [row.census for row in counted(rows, of) if row.census is not None]
    sizes = by_size([total(censuses)] if len({census.dtype for census in censuses}) == 1 else censuses)
    return _taken(sizes, sizes.high > 0) if of == "changed" else sizes


def _taken(sizes: Sizes, chosen: NDArray[np.bool_]) -> Sizes:
    return Sizes(*(getattr(sizes, name)[chosen] for name in Sizes.__dataclass_fields__))


def unresolved(sizes: Sizes, percent: float, ties: str) -> int | None:
    """The upper half of the bin that the threshold falls in, where that is not one value; None where it is."""
    top = largest(sizes, percent, ties)
    if top.threshold is None or top.threshold_high == top.threshold:
        return None
    return upper_half(top.threshold)


def refined(sizes: Sizes, resolved: Resolved) -> Sizes:
    """The same values, those of one upper half value by value instead of by bin."""
    halves = np.array([upper_half(low) for low in sizes.low], dtype=np.int64)
    rest = _taken(sizes, halves != resolved.upper)
    values, counts = resolved.magnitudes, resolved.counts.astype(np.int64)
    if (sizes.low[halves == resolved.upper] > 0).all():  # zeros are left out where only what changed is counted
        values, counts = values[values > 0], counts[values > 0]
    weights = counts.astype(np.float64)
    low, high = np.concatenate([rest.low, values]), np.concatenate([rest.high, values])
    order = np.argsort(-low, kind="stable")
    return Sizes(
        counts=np.concatenate([rest.counts, counts])[order],
        l1=np.concatenate([rest.l1, weights * values])[order],
        square=np.concatenate([rest.square, weights * values * values])[order],
        low=low[order],
        high=high[order],
    )


def exactly(rows: Sequence[Row], sizes: Sizes, percent: float, ties: str, known: ByContent) -> Sizes:
    """The sizes with the bin of the threshold resolved, where `known` has it for every row with values in it."""
    upper = unresolved(sizes, percent, ties)
    if upper is None:
        return sizes
    parts = [known.get((row.content, upper)) for row in rows if row.census is not None and holds(row.census, upper)]
    return sizes if None in parts else refined(sizes, added(part for part in parts if part is not None))


def needed(rows: Sequence[Row], percents: Sequence[float], of: str = "all") -> dict[str, set[int]]:
    """The upper halves that must be resolved in each content for exact thresholds in both scopes, ties either way.

    `rows` are those of one task vector.
    """
    wanted: dict[str, set[int]] = {}
    members = [row for row in counted(rows, of) if row.census is not None]
    whole = sizes_of(members, of)
    alone = [(row, sizes_of([row], of)) for row in members]
    for percent, ties in product(percents, TIES):
        upper = unresolved(whole, percent, ties)
        for row, sizes in alone:
            own = unresolved(sizes, percent, ties)
            shared = upper if upper is not None and row.census is not None and holds(row.census, upper) else None
            wanted.setdefault(row.content, set()).update(half for half in (own, shared) if half is not None)
    return {content: uppers for content, uppers in wanted.items() if uppers}


def holds(census: Census, upper: int) -> bool:
    """Whether a census of 32-bit values has any whose magnitude has this upper half.

    >>> holds(Census.empty("F32"), 0x3F80)
    False
    """
    aside = (census.keys & SIDE) != 0
    halves = np.where(aside, 0, census.keys >> 1 & 0x7FFF)
    return bool((halves == upper).any())


def largest(sizes: Sizes, percent: float, ties: str, scope: str = "global") -> Top:
    """The largest `percent` of the values, ties dealt with as `reference` or `exact`.

    >>> from kaibo.vocabulary import Census
    >>> largest(by_size([Census.empty("F32")]), 20, "exact").kept
    0
    """
    d = sizes.d
    wanted = math.floor(d * (percent / 100))  # in this order, as the paper's code has it: int(d * K)
    if ties == "exact":
        return _first(sizes, min(wanted, int(sizes.counts[sizes.high > 0].sum())), percent, scope)
    rank = max(d - wanted, 1)  # among the smallest, counted from one
    return _first_and_ties(sizes, d - rank + 1 if d else 0, percent, scope)


def _first(sizes: Sizes, kept: int, percent: float, scope: str) -> Top:
    """Exactly so many values; what the last bin gives lies between its mean and its ends."""
    place, before = placed(sizes, kept)
    if kept == 0:
        return _nothing(sizes, percent, scope, "exact")
    part, count = kept - before, int(sizes.counts[place])
    l1 = _between(sizes.l1[place], sizes.low[place], sizes.high[place], part, count)
    square = _between(sizes.square[place], sizes.low[place] ** 2, sizes.high[place] ** 2, part, count)
    return _top(sizes, place, (l1, square), (kept, kept), (percent, scope, "exact"))


def _first_and_ties(sizes: Sizes, kept: int, percent: float, scope: str) -> Top:
    """So many values and all that equal the last of them."""
    place, before = placed(sizes, kept)
    if kept == 0:
        return _nothing(sizes, percent, scope, "reference")
    count = int(sizes.counts[place])
    part = count if sizes.low[place] == sizes.high[place] else kept - before
    l1 = _between(sizes.l1[place], sizes.low[place], sizes.high[place], part, count)[0], float(sizes.l1[place])
    low = _between(sizes.square[place], sizes.low[place] ** 2, sizes.high[place] ** 2, part, count)[0]
    ends = (before + part, before + count)
    return _top(sizes, place, (l1, (low, float(sizes.square[place]))), ends, (percent, scope, "reference"))


def _nothing(sizes: Sizes, percent: float, scope: str, ties: str) -> Top:
    return Top(percent, scope, ties, 0, 0, None, None, 0.0, 0.0, 0.0, 0.0, d=sizes.d)


def placed(sizes: Sizes, kept: int) -> tuple[int, int]:
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
        d=sizes.d,
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
        d=sum(top.d for top in parts),
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
