"""Sets of tokens that one run learned, forgot or finished, followed in every run and held against those of others."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from kaibo.chapters.trends.classes import CLASSES, UNDECIDED, TokenTrends, block_edges, share_ends
from kaibo.chapters.trends.curves import exponential_average
from kaibo.chapters.trends.followed_rows import ContainmentRow, FollowedRow
from kaibo.chapters.trends.scored import ScoredSeries
from kaibo.chapters.trends.windows import Alike
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
    pairs: Iterable[tuple[ScoredSeries, ScoredSeries, Alike]],
    classes: Sequence[str] = ("upward", "downward", "stagnated"),
) -> Iterator[ContainmentRow]:
    """Every run's set of every class in every other's: of two runs each, late in training, compared alike."""
    several = list(pairs)
    for trend in classes:
        code = CLASSES.index(trend)
        for small, large, alike in several:
            decided = (alike.first != UNDECIDED) & (alike.second != UNDECIDED)
            sides = ((small, alike.places[0], alike.first == code), (large, alike.places[1], alike.second == code))
            for of, within in (sides, sides[::-1]):
                if of[2].sum() >= FEWEST and within[2].any():
                    start = of[0].steps[int(of[1][0])] / of[0].steps[-1]
                    yield _contained((trend, start, of[0].model, within[0].model), of[2], within[2], decided)


def _contained(what: tuple[str, float, str, str], first: Mask, second: Mask, decided: Mask) -> ContainmentRow:
    both = int((first & second).sum())
    count = int(first.sum())
    shifted = np.rint(shifted_sums(first, second.astype(np.float64)))
    inside = (first & second)[first].astype(np.float64)[None, :].astype(np.float32)
    found = _means(inside, np.flatnonzero(first), len(first))
    low, high = (None, None) if found is None else share_ends(found[0], found[1], found[2], count)
    return ContainmentRow(
        *what, count, int(second.sum()), both, both / count,
        None if low is None else float(low[0]),
        None if high is None else float(high[0]),
        float(shifted.mean() / count), float(np.quantile(shifted, 0.95) / count), float((shifted >= both).mean()),
        *nestedness(first[decided], second[decided]),
    )  # fmt: skip


def nestedness(first: Mask, second: Mask) -> tuple[float | None, float | None, float | None]:
    """Of what could lie in both sets beyond chance, the share that does, with 95 % by the jackknife over blocks.

    >>> inner, outer = np.arange(400) % 4 == 0, np.arange(400) % 2 == 0
    >>> nestedness(inner, outer)[0], nestedness(outer, inner)[0], nestedness(inner, ~outer)[0]
    (1.0, 1.0, -1.0)
    """
    if len(first) < FEWEST:
        return None, None, None
    edges = block_edges(len(first))
    each = [np.add.reduceat(one.astype(np.float64), edges) for one in (first & second, first, second)]
    counts = np.stack([*each, np.diff([*edges, len(first)]).astype(np.float64)])
    whole = counts.sum(axis=1)
    found = float(_nested(whole))
    left = _nested(whole[:, None] - counts)
    if not np.isfinite(found):
        return None, None, None
    blocks = len(edges)
    if blocks < 4 or not np.isfinite(left).all():
        return found, None, None
    error = float(np.sqrt((blocks - 1) / blocks * ((left - left.mean()) ** 2).sum()))
    reach = student(blocks - 1) * max(error, 1.0 / max(min(whole[1], whole[2]), 1.0))
    return found, found - reach, min(found + reach, 1.0)


def _nested(counts: Floats) -> Floats:
    both, first, second, tokens = counts
    chance = first * second / tokens
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray((both - chance) / (np.minimum(first, second) - chance), np.float64)
