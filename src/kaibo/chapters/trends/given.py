"""Does size still matter for a set of tokens, given the perplexity of the whole text? Two nested models say."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from kaibo.chapters.trends.curves import cross_validated, fitted, knots_of, natural_basis, r_squared
from kaibo.chapters.trends.rows import SizeRow
from kaibo.chapters.trends.scored import ScoredSeries
from kaibo.chapters.trends.sets import TokenSet

Floats = NDArray[np.float64]

FOLDS = 5
"""Every fifth checkpoint of a run is left out in turn."""

FEWEST = 15
"""Checkpoints below which nothing is fitted."""


def size_given_perplexity(sets: Sequence[TokenSet], series: Sequence[ScoredSeries]) -> Iterator[SizeRow]:
    """A row a set; none where sizes are unknown, there are fewer than two, or perplexities hardly overlap."""
    sizes = {one.parameters for one in series}
    if None in sizes or len(sizes) < 2:
        return
    shared = [_shared(one, series) for one in series]
    both = list(zip(series, shared, strict=True))
    size = np.concatenate([np.full(int(kept.sum()), float(one.parameters or 0)) for one, kept in both])
    surprise = np.concatenate([one.surprise[kept] for one, kept in both])
    if len(surprise) < FEWEST or len(np.unique(size)) < 2:
        return
    folds = np.concatenate([np.arange(int(kept.sum())) % FOLDS for kept in shared])
    base = natural_basis(surprise, knots_of(surprise))
    more = np.column_stack([base, np.log(size) - np.log(size).mean()])
    for chosen in sets:
        rows = (row for one, kept in both for row in one.nats[kept])
        means = np.array([row[chosen.all].mean(dtype=np.float64) for row in rows])
        yield _row(chosen, base, more, means, folds.tolist())


def _shared(one: ScoredSeries, series: Sequence[ScoredSeries]) -> NDArray[np.bool_]:
    """Which checkpoints have a perplexity that lies between those of another run."""
    own = one.surprise
    reached = [(own >= other.surprise.min()) & (own <= other.surprise.max()) for other in series if other is not one]
    return np.asarray(np.logical_or.reduce(reached), np.bool_)


def _row(chosen: TokenSet, base: Floats, more: Floats, means: Floats, folds: list[int]) -> SizeRow:
    from scipy.special import chdtrc

    plain, sized = (design @ fitted(design, means) for design in (base, more))
    rest = [float(((means - predicted) ** 2).sum()) for predicted in (plain, sized)]
    statistic = len(means) * float(np.log(rest[0] / rest[1])) if rest[1] > 0 else float("inf")
    gain = cross_validated(more, means, folds) - cross_validated(base, means, folds)
    return SizeRow(
        chosen.set_of, chosen.trend, chosen.start, len(means), statistic, float(chdtrc(1, max(statistic, 0.0))),
        r_squared(means, plain), r_squared(means, sized), gain,
    )  # fmt: skip
