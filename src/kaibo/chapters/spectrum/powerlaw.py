"""The power law in the tail of positive numbers, as Clauset, Shalizi and Newman fit it (SIAM Review 51, 2009).

For every candidate xmin the exponent is the maximum likelihood estimate over the n values x ≥ xmin,

    α = 1 + n / Σ ln(x / xmin),   standard error (α − 1) / √n,

and the xmin is chosen whose fit lies nearest to the data in the Kolmogorov–Smirnov distance D. On the eigenvalues
λ = σ² of a weight matrix α is what WeightWatcher calls `alpha` (Martin and Mahoney, 2021). It does not depend on the
scale of λ, so no division by the number of rows is made.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

FEWEST = 10
"""Fewer values than this have no tail to speak of."""

_CELLS = 1 << 21


@dataclass(frozen=True)
class TailFit:
    """α with its standard error, where the tail begins, how many values it holds, and the distance D of the fit."""

    alpha: float
    error: float
    xmin: float
    tail: int
    distance: float


def fit_tail(values: Floats, most: int | None = None) -> TailFit | None:
    """The best tail of positive values; None for fewer than ten, or where they do not differ.

    With `most` only tails of at most so many values are considered: those whose values are all known.

    >>> fit_tail(np.ones(50)) is None
    True
    """
    data = np.sort(np.asarray(values, np.float64))
    data = data[data > 0]
    if data.size < FEWEST or data[0] == data[-1]:
        return None
    starts = np.unique(data, return_index=True)[1][:-1]  # the largest value alone has no exponent
    if most is not None:
        starts = starts[data.size - starts <= most]
    if not starts.size:
        return None
    logs = np.log(data)
    tails = data.size - starts
    sums = np.cumsum(logs[::-1])[::-1][starts] - tails * logs[starts]
    starts, tails, sums = starts[sums > 0], tails[sums > 0], sums[sums > 0]
    if not starts.size:
        return None
    alphas = 1 + tails / sums
    distances = _distances(logs, starts, alphas)
    best = int(np.argmin(distances))
    alpha, tail = float(alphas[best]), int(tails[best])
    return TailFit(alpha, (alpha - 1) / math.sqrt(tail), float(data[starts[best]]), tail, float(distances[best]))


def _distances(logs: Floats, starts: NDArray[np.intp], alphas: Floats) -> Floats:
    """D of every candidate: the largest gap between 1 − (x/xmin)^(1−α) and the share of tail values below x."""
    out = np.empty(starts.size)
    step = max(1, _CELLS // logs.size)
    places = np.arange(logs.size)
    for first in range(0, starts.size, step):
        block = slice(first, first + step)
        begin, alpha = starts[block, None], alphas[block, None]
        inside = places >= begin
        with np.errstate(over="ignore"):
            fitted = -np.expm1((1 - alpha) * np.where(inside, logs - logs[begin], 0.0))
        below = (places - begin) / (logs.size - begin)
        out[block] = np.where(inside, np.abs(fitted - below), 0.0).max(axis=1)
    return out


def tail_p_value(values: Floats, fit: TailFit, draws: int, seed: int = 0) -> float:
    """The share of synthetic sets whose own best fit lies farther than D: small where no power law made the data.

    Each set has a power law with the fitted α in the tail and resampled values below it, and is fitted anew,
    xmin included (their section 4.1).
    """
    data = np.asarray(values, np.float64)
    data = data[data > 0]
    body = data[data < fit.xmin]
    random = np.random.default_rng(seed)
    farther = 0
    for _ in range(draws):
        count = int(random.binomial(data.size, fit.tail / data.size)) if body.size else data.size
        tail = fit.xmin * (1 - random.random(count)) ** (1 / (1 - fit.alpha))
        again = fit_tail(np.concatenate([tail, random.choice(body, data.size - count) if body.size else body]))
        farther += again is not None and again.distance >= fit.distance
    return farther / draws
