"""Moments, norms, tails, entropy and hidden grids of a model's weights, at any level."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from kaibo.chapters.census import moments
from kaibo.chapters.census.groups import Group, groups
from kaibo.chapters.census.provenance import provenance
from kaibo.chapters.stats.grids import common_grid
from kaibo.chapters.stats.rows import STATS, StatsRow
from kaibo.vocabulary import By, Census, Finding, Row, Sums, points, sums
from kaibo.words import note

SHARES = (0.001, 0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99, 0.999)

NOTES = (
    note("sums"),
    note("bounds"),
    note("entropy"),
    note("gaussian"),
)


def stats(rows: Sequence[Row], by: By = "model") -> Finding[StatsRow]:
    """Statistics of every model, layer, role or tensor, over the finite values.

    Raises UsageError for an unknown level.
    """
    return Finding(STATS, tuple(_stats_row(group) for group in groups(rows, by)), NOTES, provenance(rows))


def norms_hold(l1: float, l2: float, largest: float, n: int) -> bool:
    """Whether L1 ≤ √n·L2 and L2 ≤ √(L1·L∞), as the norms of one vector of n values must be (Cauchy–Schwarz, Hölder).

    >>> norms_hold(283154.5, 2.7612353904133857, 1.0, 8_030_261_248)
    False
    """
    slack = 1 + 1e-12
    return l1 <= math.sqrt(n) * l2 * slack and l2 <= math.sqrt(l1 * largest) * slack


def _stats_row(group: Group) -> StatsRow:
    censuses = group.censuses()
    found = sums(censuses)
    minimum, maximum = _extremes(censuses)
    row = _describe(group, censuses, found, minimum, maximum)
    with np.errstate(over="ignore"):
        largest = float(np.float32(row.max))  # of what was added: 64-bit values are added as rounded to float32
    assert not found.finite or norms_hold(row.l1, row.l2, largest, found.finite), "these cannot be norms of one vector"
    return row


def _describe(group: Group, censuses: list[Census], found: Sums, minimum: float, maximum: float) -> StatsRow:
    bins = moments.bins(censuses)
    mean = found.signed / found.finite if found.finite else math.nan
    sigma = math.sqrt(found.variance)
    shape = moments.shape(bins, mean, found.variance, found.finite)
    beyond3, beyond6 = (moments.beyond(bins, mean, sigma, times) for times in (3, 6))
    return StatsRow(
        model=group.model,
        by=group.by,
        key=group.key,
        tensors=len(group.rows),
        n=sum(census.n for census in censuses),
        mean=mean,
        std=sigma,
        skew=shape.skew,
        kurtosis=shape.kurtosis,
        l1=found.absolute,
        l2=math.sqrt(found.square),
        max=max(abs(minimum), abs(maximum)),
        minimum=minimum,
        maximum=maximum,
        zeros=sum(moments.zeros(census) for census in censuses),
        negative=_negative(censuses, found),
        subnormals=sum(moments.subnormals(census) for census in censuses),
        nonfinite=sum(moments.nonfinite(census) for census in censuses),
        quantiles=moments.quantiles(bins, SHARES, minimum, maximum),
        beyond3=beyond3[0],
        beyond3_high=beyond3[1],
        gaussian3=moments.NORMAL_TAILS[3],
        beyond6=beyond6[0],
        beyond6_high=beyond6[1],
        gaussian6=moments.NORMAL_TAILS[6],
        entropy=moments.pattern_entropy(censuses),
        exponent_entropy=moments.exponent_entropy(censuses),
        skew_bound=shape.skew_bound,
        kurtosis_bound=shape.kurtosis_bound,
        grid=common_grid([row.census for row in group.rows if row.census is not None]),
        dtypes=tuple(census.dtype for census in censuses),
        why=_why(found) | _unrepresented(censuses),
    )


def _negative(censuses: Sequence[Census], found: Sums) -> float:
    """The share of the finite values that are below zero, exact for every type; NaN where there is none."""
    below = sum(int(one.counts[one.low < 0].sum()) for one in map(points, censuses))
    return below / found.finite if found.finite else math.nan


def _extremes(censuses: Sequence[Census]) -> tuple[float, float]:
    minima = [census.minimum for census in censuses if census.minimum is not None]
    maxima = [census.maximum for census in censuses if census.maximum is not None]
    return (min(minima), max(maxima)) if minima else (math.nan, math.nan)


def _unrepresented(censuses: Sequence[Census]) -> dict[str, str]:
    """What sums leave out of 64-bit values, which are added as rounded to float32."""
    doubles = [census for census in censuses if census.digits64]
    beyond = sum(census.nonfinite - census.digits64[10] for census in doubles)
    vanished = sum(moments.zeros(replace(census, digits64=())) - census.digits64[0] for census in doubles)
    reasons = {"l2": f"{beyond} 64-bit values lie beyond float32 and are in no sum"} if beyond else {}
    return reasons | (
        {"mean": f"{vanished} 64-bit values are so small that sums take them for zero"} if vanished else {}
    )


def _why(found: Sums) -> dict[str, str]:
    if not found.finite:
        moment = (
            "mean",
            "std",
            "skew",
            "kurtosis",
            "skew_bound",
            "kurtosis_bound",
            "max",
            "minimum",
            "maximum",
            "negative",
        )
        names = (*moment, "beyond3", "beyond3_high", "beyond6", "beyond6_high", "entropy", "exponent_entropy")
        return dict.fromkeys(names, "no finite value")
    if not found.variance > 0:
        return dict.fromkeys(("skew", "kurtosis", "skew_bound", "kurtosis_bound"), "all values are equal")
    return {}
