"""Coefficients of correlation with intervals, p-values, and how many pairs would show one."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from kaibo.uncertainty.intervals import Z
from kaibo.uncertainty.permutation import Kind, permutation_p

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Association:
    """One coefficient with its 95 % interval, the p of its usual test and the p over permutations."""

    r: float
    low: float
    high: float
    p: float
    permutation_p: float


def association(x: Floats, y: Floats, kind: Kind = "pearson", seed: int = 0) -> Association:
    """One coefficient of x and y (n,), neither constant, with interval, p and permutation p.

    >>> one = association(np.array([0.0185, 0.0182, 0.0161, 0.0189]), np.array([26.59, 24.76, 23.18, 18.44]))
    >>> f"{one.r:.4f} {one.p:.4f} {one.low:.2f} {one.high:.2f}"
    '-0.1700 0.8300 -0.97 0.95'
    """
    from scipy import stats

    if kind == "kendall":
        found = stats.kendalltau(x, y)
        r, p = float(found.statistic), float(found.pvalue)
    else:
        if kind == "spearman":
            x, y = stats.rankdata(x), stats.rankdata(y)
        r = float(np.clip(np.corrcoef(x, y)[0, 1], -1, 1))
        p = student_p(r, len(x) - 2)
    low, high = fisher_interval(r, len(x), kind)
    return Association(r, low, high, p, permutation_p(x, y, kind, seed))


def student_p(r: float, freedom: int) -> float:
    """Two-sided p of a correlation r by Student's t, with so many degrees of freedom."""
    from scipy import stats

    if abs(r) >= 1:
        return 0.0
    return float(2 * stats.t.sf(abs(r) * math.sqrt(freedom / (1 - r * r)), freedom))


def fisher_interval(r: float, n: int, kind: Kind, given: int = 0) -> tuple[float, float]:
    """The 95 % interval on Fisher's z scale, given so many other variables.

    Variances of Fisher, Bonett and Wright (2000), and Fieller, Hartley and Pearson (1957).
    """
    freedom = n - given - (4 if kind == "kendall" else 3)
    if freedom < 1:
        return math.nan, math.nan
    if abs(r) >= 1:
        return r, r
    factor = {"pearson": 1.0, "spearman": 1 + r * r / 2, "kendall": 0.437}[kind]
    half = Z * math.sqrt(factor / freedom)
    return math.tanh(math.atanh(r) - half), math.tanh(math.atanh(r) + half)


def needed(r: float, power: float = 0.8, level: float = 0.05) -> int | None:
    """How many models show a Pearson r with that power at that level, two-sided, by Fisher's z.

    >>> needed(-0.17)
    270
    """
    from scipy import stats

    if not math.isfinite(r) or r == 0:
        return None
    if abs(r) >= 1:
        return 4
    z = float(stats.norm.ppf(1 - level / 2) + stats.norm.ppf(power))
    return max(4, math.ceil((z / math.atanh(abs(r))) ** 2 + 3))
