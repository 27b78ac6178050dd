"""Sets of tokens that one run learned, forgot or finished, followed in every run and held against those of others."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import permutations

import numpy as np
from numpy.typing import NDArray

from kaibo.chapters.trends.classes import CLASSES, TokenTrends, block_edges, share_ends
from kaibo.chapters.trends.curves import exponential_average
from kaibo.chapters.trends.rows import ContainmentRow, FollowedRow
from kaibo.chapters.trends.scored import ScoredSeries
from kaibo.uncertainty.intervals import bounded, student
from kaibo.uncertainty.shifting import shifted_sums

Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]

FEWEST = 20
"""Tokens below which a set is not followed."""


@dataclass(frozen=True, eq=False)
class TokenSet:
    """Tokens of one class in one run from one start on: `all` of them, and the `sample` that is followed."""

    set_of: str
    trend: str
    start: float
    all: Mask = field(repr=False)
    sample: Mask = field(repr=False)


def token_set(found: TokenTrends, trend: str, sample: float, seed: int) -> TokenSet | None:
    """The tokens of a class and a random share of them (at least twenty); None for a set of fewer than twenty.

    >>> from kaibo.chapters.trends.classes import CLASSES
    >>> CLASSES[2]
    'stagnated'
    """
    members = found.corrected == CLASSES.index(trend)
    places = np.flatnonzero(members)
    if len(places) < FEWEST:
        return None
    count = max(FEWEST, round(sample * len(places)))
    chosen = np.random.default_rng([seed, CLASSES.index(trend)]).choice(places, min(count, len(places)), replace=False)
    mask = np.zeros(len(members), bool)
    mask[chosen] = True
    return TokenSet(found.model, trend, found.start, members, mask)


def followed(chosen: TokenSet, series: ScoredSeries, smooth: float, against: str = "step") -> Iterator[FollowedRow]:
    """The set at every checkpoint of a run; `against` is "step", "tokens", "flops" or "ppl"."""
    x = series.along(against)
    sample = chosen.sample
    means = np.array([row[sample].mean(dtype=np.float64) for row in series.nats])
    low, high = band(series.nats[:, sample], np.flatnonzero(sample), len(sample))
    smoothed = exponential_average(means, smooth)
    outside = int((~chosen.all).sum())
    rest = [float(np.exp(row[~chosen.all].mean(dtype=np.float64))) if outside else None for row in series.nats]
    trained, flops, ppl = series.along("tokens"), series.flops, series.ppl
    for place, step in enumerate(series.steps):
        yield FollowedRow(
            chosen.set_of, chosen.trend, chosen.start, int(sample.sum()), series.model, series.parameters, step,
            None if trained is None else float(trained[place]),
            None if flops is None else float(flops[place]),
            float(ppl[place]), float(np.exp(means[place])),
            None if low is None else float(np.exp(low[place])),
            None if high is None else float(np.exp(high[place])),
            float(np.exp(smoothed[place])), rest[place], against, None if x is None else float(x[place]),
        )  # fmt: skip


def block_sums(values: Floats, places: NDArray[np.int64], count: int) -> tuple[Floats, Floats]:
    """Sums of the columns of `values` (rows, chosen) and how many there are, in each block of `count` tokens."""
    edges = block_edges(count)
    block = np.searchsorted(edges, places, side="right") - 1
    sizes: Floats = np.bincount(block, minlength=len(edges)).astype(np.float64)
    sums: Floats = np.stack(
        [np.bincount(block, weights=row, minlength=len(edges)).astype(np.float64) for row in values]
    )
    return sums[:, sizes > 0], sizes[sizes > 0]


def band(values: NDArray[np.float32], places: NDArray[np.int64], count: int) -> tuple[Floats | None, Floats | None]:
    """95 % of each row's mean nats over blocks of the text, never below zero; None for fewer than four blocks."""
    found = _means(values, places, count)
    if found is None:
        return None, None
    mean, error, blocks = found
    return bounded(mean, student(blocks - 1) * error)


def _means(values: NDArray[np.float32], places: NDArray[np.int64], count: int) -> tuple[Floats, Floats, int] | None:
    """Each row's mean, its standard error over blocks of the text, and how many blocks; None for fewer than four."""
    sums, sizes = block_sums(values.astype(np.float64), places, count)
    blocks = len(sizes)
    if blocks < 4:
        return None
    mean = sums.sum(axis=1) / sizes.sum()
    left = sums - mean[:, None] * sizes
    error = np.sqrt(blocks / (blocks - 1) * (left**2).sum(axis=1)) / sizes.sum()
    return mean, error, blocks


def containment(
    trends: Mapping[str, TokenTrends], classes: Sequence[str] = ("upward", "downward", "stagnated")
) -> Iterator[ContainmentRow]:
    """Every run's set of every class in every other's."""
    for trend in classes:
        code = CLASSES.index(trend)
        for of, within in permutations(trends, 2):
            first, second = (trends[name].corrected == code for name in (of, within))
            if first.sum() >= FEWEST and second.any():
                yield _contained(trends[of], within, trend, first, second)


def _contained(of: TokenTrends, within: str, trend: str, first: Mask, second: Mask) -> ContainmentRow:
    both = int((first & second).sum())
    count = int(first.sum())
    shifted = np.rint(shifted_sums(first, second.astype(np.float64)))
    inside = (first & second)[first].astype(np.float64)[None, :].astype(np.float32)
    found = _means(inside, np.flatnonzero(first), len(first))
    low, high = (None, None) if found is None else share_ends(found[0], found[1], found[2], count)
    return ContainmentRow(
        trend, of.start, of.model, within, count, int(second.sum()), both, both / count,
        None if low is None else float(low[0]),
        None if high is None else float(high[0]),
        float(shifted.mean() / count), float(np.quantile(shifted, 0.95) / count), float((shifted >= both).mean()),
    )  # fmt: skip
