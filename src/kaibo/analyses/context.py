"""Loss by position and passkeys found, each with a 95 % interval; the cost of narrower weights."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from kaibo.vocabulary.running import ContextRow

Floats = NDArray[np.float64]
BINS = 8
"""Points of the curve for each trained length."""


@dataclass(frozen=True)
class Interval:
    """A mean and its 95 % interval; the ends are NaN where one value alone says nothing about spread."""

    mean: float
    low: float
    high: float


def mean_interval(values: Sequence[float] | Floats) -> Interval:
    """Student's interval of the mean of independent values.

    >>> mean_interval([1.0, 2.0, 3.0]).mean
    2.0
    """
    found = np.asarray(values, np.float64)
    mean = float(found.mean())
    if len(found) < 2:
        return Interval(mean, math.nan, math.nan)
    from scipy import stats

    half = float(stats.t.ppf(0.975, len(found) - 1) * found.std(ddof=1) / math.sqrt(len(found)))
    return Interval(mean, mean - half, mean + half)


def share_interval(hits: int, n: int) -> Interval:
    """Wilson's score interval of a share (Wilson 1927): sensible at 0 of n and n of n, too.

    >>> [round(end, 3) for end in (share_interval(0, 5).low, share_interval(0, 5).high)]
    [0.0, 0.434]
    """
    z = 1.959963984540054
    share, wide = hits / n, z * z / n
    middle = (share + wide / 2) / (1 + wide)
    half = z / (1 + wide) * math.sqrt(share * (1 - share) / n + wide / (4 * n))
    return Interval(share, max(0.0, middle - half), min(1.0, middle + half))


def loss_curve(model: str, rope: str, nats: NDArray[np.float32], trained: int) -> list[ContextRow]:
    """Mean nats by position, `BINS` points a trained length; windows are the independent values.

    `nats` is (windows, length − 1): position p of a window is the token that has p tokens before it.
    """
    length = nats.shape[1] + 1
    width = max(1, trained // BINS)
    rows = []
    for begin in range(0, length, width):
        end = min(begin + width, length)
        part = nats[:, max(begin, 1) - 1 : end - 1].astype(np.float64)
        if part.shape[1] == 0:
            continue
        found = mean_interval(part.mean(1))
        interval = (found.mean, found.low, found.high)
        rows.append(ContextRow(model, rope, "loss", begin, end, end > trained, *interval, len(nats)))
    return rows


def passkey_row(model: str, rope: str, length: int, found: Sequence[bool], trained: int) -> ContextRow:
    """The share of passkeys found in prompts of one length."""
    share = share_interval(sum(found), len(found))
    interval = (share.mean, share.low, share.high)
    return ContextRow(model, rope, "passkey", 0, length, length > trained, *interval, len(found))
