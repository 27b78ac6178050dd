"""How the weights spread over powers of two, beside what Gaussians with their σ would do."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from kaibo.chapters.census.groups import Group, groups
from kaibo.chapters.census.provenance import provenance
from kaibo.chapters.stats.rows import MAGNITUDES, MagnitudeRow
from kaibo.vocabulary import Census, Finding, Row, points, sums

Floats = NDArray[np.float64]


def magnitudes(rows: Sequence[Row]) -> Finding[MagnitudeRow]:
    """For each model and each power of two that holds a weight, the share between it and the next."""
    found = [row for group in groups(rows, "model") for row in _spread(group)]
    return Finding(MAGNITUDES, tuple(found), (), provenance(rows))


def _spread(group: Group) -> list[MagnitudeRow]:
    measured = [row.census for row in group.rows if row.census is not None]
    counts = _by_binade(group.censuses())
    n = sum(counts.values())
    exponents = np.array(sorted(counts))
    sigmas = np.array([math.sqrt(sums([census]).variance) for census in measured])
    weights = np.array([census.n for census in measured], dtype=np.float64)
    usable = sigmas > 0
    overall = np.array([math.sqrt(sums(measured).variance)])
    one = _binade_shares(exponents, overall, np.ones(1))
    mixture = _binade_shares(exponents, sigmas[usable], weights[usable])
    return [
        MagnitudeRow(group.model, int(exponent), counts[int(exponent)], counts[int(exponent)] / n, float(a), float(b))
        for exponent, a, b in zip(exponents, one, mixture, strict=True)
    ]


def _by_binade(censuses: Sequence[Census]) -> dict[int, int]:
    """How many nonzero finite values have 2^k ≤ |x| < 2^(k+1), by k. No bin crosses a power of two but the deepest."""
    counts: dict[int, int] = {}
    for census in censuses:
        found = points(census)
        nonzero = found.digit > 0
        smaller = np.minimum(np.abs(found.low), np.abs(found.high))[nonzero]
        exponents = np.frexp(smaller)[1] - 1
        for exponent, count in zip(exponents.tolist(), found.counts[nonzero].tolist(), strict=True):
            counts[exponent] = counts.get(exponent, 0) + count
    return counts


def _binade_shares(exponents: NDArray[np.int64], sigmas: Floats, weights: Floats) -> Floats:
    """The share of each binade in a mixture of Gaussians around zero; NaN where no σ is positive."""
    from scipy.special import erf

    if not (sigmas > 0).any():
        return np.full(exponents.size, math.nan)
    edges = np.ldexp(1.0, exponents)[None, :] / sigmas[:, None] / math.sqrt(2)
    shares: Floats = (weights / weights.sum()) @ (erf(2 * edges) - erf(edges))
    return shares
