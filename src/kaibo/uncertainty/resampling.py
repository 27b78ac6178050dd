"""The bootstrap: draws as weights (how often each row, family or cluster is drawn), and intervals of what they give."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from kaibo.uncertainty.intervals import student

Floats = NDArray[np.float64]

DRAWS = 2000
"""Resamples of a bootstrap over clusters."""


def family_numbers(families: Sequence[str]) -> NDArray[np.intp]:
    """The families as numbers from 0, in order of first appearance."""
    order = {family: place for place, family in enumerate(dict.fromkeys(families))}
    return np.array([order[family] for family in families], dtype=np.intp)


def family_weights(families: Sequence[str], draws: int, rng: np.random.Generator) -> Floats:
    """How often each row is drawn when whole families are drawn with replacement; shape (draws, rows)."""
    numbers = family_numbers(families)
    count = int(numbers.max()) + 1
    return rng.multinomial(count, np.full(count, 1 / count), size=draws).astype(np.float64)[:, numbers]


def row_weights(rows: int, draws: int, rng: np.random.Generator) -> Floats:
    """How often each row is drawn when rows are drawn with replacement; shape (draws, rows)."""
    return rng.multinomial(rows, np.full(rows, 1 / rows), size=draws).astype(np.float64)


def interval(values: Floats, level: float = 0.95, axis: int = 0) -> tuple[Floats, Floats]:
    """The percentile interval over draws, those that are not finite left out."""
    tail = (1 - level) / 2
    if np.isnan(values).any():
        low, high = np.nanquantile(values, [tail, 1 - tail], axis=axis)
    else:
        low, high = np.quantile(values, [tail, 1 - tail], axis=axis)
    return low, high


def expanded(rows: int, level: float = 0.95) -> float:
    """The level at which percentiles over draws of so few rows keep `level` for a mean: wider below some forty.

    Φ(−√(n/(n−1))·t) with Student's t of n − 1 degrees of freedom (Hesterberg 2015, The American Statistician 69:371).

    >>> round(expanded(1000), 3), round(expanded(5), 4)
    (0.95, 0.9981)
    """
    return 1 - math.erfc(math.sqrt(rows / (rows - 1) / 2) * student(rows - 1, level))


def clustered_interval(
    values: Floats, clusters: NDArray[np.intp], seed: int, draws: int = DRAWS
) -> tuple[float | None, float | None]:
    """The 95 % interval of a mean when whole clusters are drawn with replacement; None for fewer than two."""
    _, numbers = np.unique(clusters, return_inverse=True)
    count = int(numbers.max()) + 1
    if count < 2:
        return None, None
    sums, sizes = np.bincount(numbers, values, count), np.bincount(numbers, minlength=count).astype(np.float64)
    drawn = row_weights(count, draws, np.random.default_rng(seed))
    low, high = interval((drawn @ sums) / (drawn @ sizes))
    return float(low), float(high)


LEAST_GROUPS = 4
"""Groups drawn below which no interval of a share is given: so few outcomes say nothing about spread."""


def corrected_interval(shares: Floats, draws: Floats, groups: int, level: float = 0.95) -> tuple[Floats, Floats]:
    """Intervals of falling shares (k,) from bootstrap draws (draws, k) over so many groups, their bias taken out.

    The largest of several shares is too large in few rows, and larger still in a draw of them; percentiles then miss
    the truth. So, on the logit scale: the share less the bias of its draws, Student's t, and an error that counts the
    bias as not fully known and, of n groups, draws as too narrow by (n − 1)/n. The k-th largest of several shares is
    at most 1/k, whatever the draws. NaN for fewer than `LEAST_GROUPS`.
    """
    from scipy.special import expit, logit

    if groups < LEAST_GROUPS:
        return np.full(shares.shape, np.nan), np.full(shares.shape, np.nan)
    tiny = 1e-6
    drawn, seen = logit(np.clip(draws, tiny, 1 - tiny)), logit(np.clip(shares, tiny, 1 - tiny))
    bias = np.nanmean(drawn, axis=0) - seen
    error = np.sqrt(np.nanvar(drawn, axis=0) * groups / (groups - 1) + bias**2)
    reach = student(max(groups - 2, 2), level) * error
    most = 1 / np.arange(1, len(shares) + 1)
    return np.minimum(expit(seen - bias - reach), most), np.minimum(expit(seen - bias + reach), most)
