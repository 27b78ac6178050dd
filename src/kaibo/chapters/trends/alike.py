"""Checkpoints of different sizes at one perplexity: do they predict the same tokens, or only as well?"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from kaibo.chapters.trends.classes import block_edges
from kaibo.chapters.trends.followed_rows import PairRow
from kaibo.chapters.trends.scored import ScoredSeries
from kaibo.uncertainty.intervals import student

Floats = NDArray[np.float64]

WITHIN = 0.05
"""Nats per token by which two checkpoints of one perplexity may differ."""


def pairs(series: Sequence[ScoredSeries]) -> Iterator[PairRow]:
    """Every checkpoint of every smaller run that has one of the same perplexity in a larger run."""
    for small, large in combinations(series, 2):
        for at, surprise in enumerate(small.surprise):
            gaps = np.abs(large.surprise - surprise)
            nearest = int(gaps.argmin())
            if gaps[nearest] <= WITHIN:
                yield _pair(small, large, at, nearest)


def _pair(small: ScoredSeries, large: ScoredSeries, at: int, nearest: int) -> PairRow:
    first, second = small.nats[at].astype(np.float64), large.nats[nearest].astype(np.float64)
    same = int(np.abs(np.log(large.steps) - np.log(small.steps[at])).argmin())
    beside = at + 1 if at + 1 < len(small.steps) else at - 1
    r, low, high = correlation(first, second)
    return PairRow(
        small.model, large.model, small.steps[at], large.steps[nearest],
        float(np.exp(first.mean())), float(np.exp(second.mean())), r, low, high,
        float(np.abs(first - second).mean()),
        correlation(first, large.nats[same].astype(np.float64))[0],
        *correlation(first, small.nats[beside].astype(np.float64)), by_shifting(first, second),
    )  # fmt: skip


def by_shifting(first: Floats, second: Floats) -> float | None:
    """The 95 % quantile of r over all circular shifts of one of the two; None where one of them does not vary.

    >>> by_shifting(np.array([0.0, 1.0, 0.0, 1.0]), np.array([0.0, 1.0, 0.0, 1.0])) < 1.0 + 1e-9
    True
    """
    a, b = first - first.mean(), second - second.mean()
    size = float(np.sqrt((a * a).sum() * (b * b).sum()))
    if not size or len(a) < 4:
        return None
    products = np.fft.irfft(np.conj(np.fft.rfft(a)) * np.fft.rfft(b), len(a))
    return float(np.quantile(products[1:] / size, 0.95))


def correlation(first: Floats, second: Floats) -> tuple[float, float | None, float | None]:
    """Pearson's r and its 95 % interval: the jackknife over blocks of neighbours, on Fisher's z."""
    edges = block_edges(len(first))
    a, b = first - first.mean(), second - second.mean()
    sums = np.stack([np.add.reduceat(x, edges) for x in (np.ones_like(a), a, b, a * a, b * b, a * b)])
    whole = sums.sum(axis=1)
    r = float(_r(whole))
    if len(edges) < 4 or not abs(r) < 1:
        return r, None, None
    z = np.arctanh(np.clip(_r(whole[:, None] - sums), -1 + 1e-15, 1 - 1e-15))
    blocks = len(edges)
    error = np.sqrt((blocks - 1) / blocks * ((z - z.mean()) ** 2).sum())
    reach = student(blocks - 1) * float(error)
    return r, float(np.tanh(np.arctanh(r) - reach)), float(np.tanh(np.arctanh(r) + reach))


def _r(sums: Floats) -> Floats:
    n, a, b, aa, bb, ab = sums
    with np.errstate(invalid="ignore", divide="ignore"):
        found = (ab - a * b / n) / np.sqrt((aa - a * a / n) * (bb - b * b / n))
    return np.asarray(np.clip(found, -1.0, 1.0), np.float64)
