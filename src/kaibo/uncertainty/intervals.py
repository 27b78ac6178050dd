"""95 % intervals, each on the scale of its statistic: none reaches where no value can be.

A mean that has no bounds has Student's interval. One that is never below zero (nats, perplexity as exp of nats) has it
on the logarithmic scale, one between two bounds on the logistic scale, both by the delta method: at small errors they
are Student's. A share of counted things has Wilson's.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

Z = 1.959963984540054
"""The 97.5 % point of the normal distribution."""


@dataclass(frozen=True)
class Interval:
    """A mean and its 95 % interval; the ends are NaN where one value alone says nothing about spread."""

    mean: float
    low: float
    high: float

    def within(self, least: float = 0.0, most: float = math.inf) -> Interval:
        """The interval of a mean that cannot leave these bounds.

        >>> mean_interval([0.1, 0.2, 3.0]).within(0.0).low > 0
        True
        """
        low, high = bounded(np.array(self.mean), np.array(self.high - self.mean), least, most)
        return Interval(self.mean, float(low), float(high))


@lru_cache(maxsize=256)
def student(freedom: int, level: float = 0.95) -> float:
    """How many standard errors an interval of Student's t reaches to either side, of whole degrees of freedom.

    By halving the angle of Abramowitz and Stegun 26.7.3 and 26.7.4: known answers come without loading scipy. NaN
    without any degree of freedom.

    >>> round(student(4), 3)
    2.776
    """
    if freedom < 1:
        return math.nan
    low, high = 0.0, math.pi / 2
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if _inside(middle, freedom) < level else (low, middle)
    return math.sqrt(freedom) * math.tan((low + high) / 2)


def _inside(angle: float, freedom: int) -> float:
    """The probability that |t| is at most √freedom · tan(angle)."""
    odd = freedom % 2
    square, term = math.cos(angle) ** 2, math.cos(angle) if odd else 1.0
    total = 0.0 if freedom == 1 else term
    for place in range(2 + odd, freedom - 1, 2):
        term *= square * (place - 1) / place
        total += term
    return 2 / math.pi * (angle + math.sin(angle) * total) if odd else math.sin(angle) * total


def mean_interval(values: Sequence[float] | NDArray[np.float64]) -> Interval:
    """Student's interval of the mean of independent values.

    >>> mean_interval([1.0, 2.0, 3.0]).mean
    2.0
    """
    found = np.asarray(values, np.float64)
    mean = float(found.mean())
    if len(found) < 2:
        return Interval(mean, math.nan, math.nan)
    reach = student(len(found) - 1) * float(found.std(ddof=1)) / math.sqrt(len(found))
    return Interval(mean, mean - reach, mean + reach)


def wilson(share: float, count: float, z: float = Z) -> tuple[float, float]:
    """Wilson's interval of a share of so many (Wilson 1927, JASA 22, 209): sensible at none and at all, too.

    >>> low, high = wilson(0.5, 100)
    >>> round(low, 4), round(high, 4)
    (0.4038, 0.5962)
    """
    middle = (share + z * z / (2 * count)) / (1 + z * z / count)
    reach = z / (1 + z * z / count) * math.sqrt(share * (1 - share) / count + z * z / (4 * count * count))
    return (0.0 if share <= 0 else max(middle - reach, 0.0)), (1.0 if share >= 1 else min(middle + reach, 1.0))


Floats = NDArray[np.float64]


def bounded(mean: Floats, reach: Floats, least: float = 0.0, most: float = math.inf) -> tuple[Floats, Floats]:
    """Both ends of intervals of means between two bounds (any shape): `reach` is what Student's go to either side.

    A mean at a bound has no logarithm: its interval is Student's, cut at the bounds.

    >>> low, high = bounded(np.array([0.5, 0.02]), np.array([0.1, 0.1]), 0.0, 1.0)
    >>> low.round(3).tolist(), high.round(3).tolist()
    ([0.401, 0.0], [0.599, 0.77])
    """
    mean, reach = np.asarray(mean, np.float64), np.asarray(reach, np.float64)
    with np.errstate(all="ignore"):
        if math.isinf(most):
            factor = np.exp(np.minimum(reach / (mean - least), 700.0))
            low, high = least + (mean - least) / factor, least + (mean - least) * factor
        else:
            share = (mean - least) / (most - least)
            odds = share / (1 - share)
            factor = np.exp(np.minimum(reach / ((most - least) * share * (1 - share)), 700.0))
            low = least + (most - least) / (1 + factor / odds)
            high = least + (most - least) / (1 + 1 / (odds * factor))
    inside = (mean > least) & (mean < most)
    return (
        np.where(inside, low, np.clip(mean - reach, least, most)),
        np.where(inside, high, np.clip(mean + reach, least, most)),
    )


def worth(share: float, error: float, most: float) -> float:
    """How many independent draws a share with this standard error is worth, at most `most`; at 0 and 1 all of them."""
    spread = share * (1 - share)
    return most if error <= 0 or spread <= 0 else min(max(spread / error**2, 1.0), most)


def newcombe(first: float, second: float, count: float) -> tuple[float, float]:
    """The interval of the difference of two independent shares of `count` each (Newcombe 1998, method 10).

    >>> [round(end, 3) for end in newcombe(1.0, 0.0, 10)]
    [0.608, 1.0]
    """
    (low, high), (least, most) = wilson(first, count), wilson(second, count)
    difference = first - second
    return (
        max(difference - math.hypot(first - low, most - second), -1.0),
        min(difference + math.hypot(high - first, second - least), 1.0),
    )


def ratio_interval(
    nats: NDArray[np.float64], sizes: NDArray[np.float64], column: int, *, signed: bool = False
) -> tuple[float, float] | None:
    """The 95 % interval of Σ nats ÷ Σ size over clusters; None where there are too few.

    Nats are never below zero, and neither is the interval; with `signed` they are differences, which may be.
    """
    count = len(nats)
    if count < 4 or not sizes[:, column].sum():
        return None
    size = sizes[:, column]
    ratio = nats.sum() / size.sum()
    left = nats - ratio * size
    error = math.sqrt(count / (count - 1) * float((left * left).sum())) / float(size.sum())
    reach = student(count - 1) * error
    if signed:
        return float(ratio - reach), float(ratio + reach)
    low, high = bounded(np.array(ratio), np.array(reach))
    return float(low), float(high)


def block_mean(values: NDArray[np.float64]) -> tuple[float, float, float, float]:
    """Mean, 95 % interval and p-value of values that stand in a row, over blocks of √n neighbours."""
    from scipy.special import stdtr

    count = math.isqrt(len(values))
    blocks = np.array([block.mean() for block in np.array_split(values, count)])
    mean = float(values.mean())
    error = float(blocks.std(ddof=1)) / math.sqrt(count)
    if error == 0:
        return mean, mean, mean, 0.0 if mean else 1.0
    reach = student(count - 1) * error
    return mean, mean - reach, mean + reach, 2 * float(stdtr(count - 1, -abs(mean) / error))
