"""95 % intervals: of a mean by Student's t, of a share by Wilson's score."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

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


def student(freedom: int) -> float:
    """The 97.5 % point of Student's t: an interval reaches so many standard errors to either side.

    >>> round(student(4), 3)
    2.776
    """
    from scipy.special import stdtrit

    return float(stdtrit(freedom, 0.975))


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


def ratio_interval(nats: NDArray[np.float64], sizes: NDArray[np.float64], column: int) -> tuple[float, float] | None:
    """The 95 % interval of Σ nats ÷ Σ size over clusters; None where there are too few."""
    count = len(nats)
    if count < 4 or not sizes[:, column].sum():
        return None
    size = sizes[:, column]
    ratio = nats.sum() / size.sum()
    left = nats - ratio * size
    error = math.sqrt(count / (count - 1) * float((left * left).sum())) / float(size.sum())
    reach = student(count - 1) * error
    return float(ratio - reach), float(ratio + reach)


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
