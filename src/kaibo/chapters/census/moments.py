"""Moments, quantiles, tails and entropy of a set of censuses, each exact or with its bound."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from kaibo.chapters.census.rows import Quantile
from kaibo.vocabulary import DTYPES, Census, Points, points
from kaibo.vocabulary.counts.census import SIDE

Floats = NDArray[np.float64]

MANTISSA_BITS = {"F16": 10, "BF16": 7, "F8_E4M3": 3, "F8_E5M2": 2, "F8_E4M3FNUZ": 3, "F8_E5M2FNUZ": 2}

NORMAL_TAILS = {3: 0.0026997960632601866, 6: 1.973175290075396e-09}
"""P(|z| > 3) and P(|z| > 6) of a standard normal: erfc(k/√2)."""


@dataclass(frozen=True)
class Bins:
    """The finite values of one or more censuses as weighted points in ascending order.

    `centre` is the mean of a bin's values, `squares` Σ(x − centre)² inside it, `width` the bin's width (0 where a
    bin is one value), `low` and `high` its ends, `counts` how many values it holds.
    """

    centre: Floats
    squares: Floats
    width: Floats
    low: Floats
    high: Floats
    counts: Floats


def bins(censuses: Sequence[Census]) -> Bins:
    """The bins of all censuses together, sorted by value."""
    parts = [_bins(points(census)) for census in censuses]
    if not parts:
        return Bins(*(np.zeros(0) for _ in range(6)))
    joined = {name: np.concatenate([getattr(part, name) for part in parts]) for name in Bins.__dataclass_fields__}
    order = np.argsort(joined["centre"], kind="stable")
    return Bins(**{name: column[order] for name, column in joined.items()})


def _bins(found: Points) -> Bins:
    counts = found.counts.astype(np.float64)
    unit = np.ldexp(1.0, found.exponent)
    lo = found.lo.astype(np.float64)
    lo2 = found.lo2[:, 0].astype(np.float64) * 2.0**64 + found.lo2[:, 1].astype(np.float64)
    return Bins(
        centre=found.sign * (found.base + lo / counts) * unit,
        squares=np.maximum(lo2 - lo * lo / counts, 0.0) * unit * unit,
        width=found.high - found.low,
        low=found.low,
        high=found.high,
        counts=counts,
    )


@dataclass(frozen=True)
class Shape:
    """Skewness and excess kurtosis, each with a bound on its error (0 where it is exact)."""

    skew: float
    skew_bound: float
    kurtosis: float
    kurtosis_bound: float


def shape(found: Bins, mean: float, variance: float, n: int) -> Shape:
    """Standardised third and fourth central moments; NaN where the values do not vary.

    Inside a bin the mean and the squares are known; of the third and fourth powers of the residuals r it is known
    that |Σr³| ≤ width·Σr² and 0 ≤ Σr⁴ ≤ width²·Σr². The estimate takes 0 and half of the second bound.
    """
    if not variance > 0:
        return Shape(math.nan, math.nan, math.nan, math.nan)
    distance = found.centre - mean
    third = math.fsum(found.counts * distance**3 + 3 * distance * found.squares)
    third_bound = math.fsum(found.width * found.squares)
    fourth_open = found.width**2 * found.squares / 2
    fourth = math.fsum(found.counts * distance**4 + 6 * distance**2 * found.squares + fourth_open)
    fourth_bound = math.fsum(4 * np.abs(distance) * found.width * found.squares + fourth_open)
    sigma = math.sqrt(variance)
    return Shape(
        skew=third / n / sigma**3,
        skew_bound=third_bound / n / sigma**3,
        kurtosis=fourth / n / variance**2 - 3,
        kurtosis_bound=fourth_bound / n / variance**2,
    )


def quantiles(found: Bins, shares: Sequence[float], low: float, high: float) -> tuple[Quantile, ...]:
    """For each share p the ⌈p·n⌉-th smallest value, or the ends of the bin that holds it.

    `low` and `high` are the exact extremes; no bin reaches past them.
    """
    if not found.counts.size:
        return ()
    below = np.cumsum(found.counts)
    ranks = np.clip(np.ceil(np.asarray(shares) * below[-1]), 1, below[-1])
    places = np.searchsorted(below, ranks, side="left")
    return tuple(
        Quantile(share, max(low, float(found.low[place])), min(high, float(found.high[place])))
        for share, place in zip(shares, places, strict=True)
    )


def beyond(found: Bins, mean: float, sigma: float, times: float) -> tuple[float, float]:
    """The share of values with |x − mean| > times·σ: at least, and at most (bins that straddle the line included)."""
    if not found.counts.size:
        return math.nan, math.nan
    if sigma == 0:
        return 0.0, 0.0  # all values are the mean
    n = found.counts.sum()
    left, right = mean - times * sigma, mean + times * sigma
    certain = (found.high < left) | (found.low > right)
    possible = (found.low < left) | (found.high > right)
    return float(found.counts[certain].sum() / n), float(found.counts[possible].sum() / n)


def pattern_entropy(censuses: Sequence[Census]) -> float:
    """Order-0 entropy of the bit patterns in bits per weight: what no code without context can go below.

    For 8 and 16 bit of the whole pattern; for 32 bit of the upper 16 bits; mixed types weighted by their values.
    """
    return _weighted(censuses, [_entropy(_upper_counts(census)) for census in censuses])


def exponent_entropy(censuses: Sequence[Census]) -> float:
    """Order-0 entropy of the exponent field in bits per weight."""
    return _weighted(censuses, [_entropy(_exponent_counts(census)) for census in censuses])


def _weighted(censuses: Sequence[Census], bits: Sequence[float]) -> float:
    sizes = [census.n for census in censuses]
    if not sum(sizes):
        return math.nan
    return math.fsum(size * value for size, value in zip(sizes, bits, strict=True)) / sum(sizes)


def _upper_counts(census: Census) -> Floats:
    if not census.wide:
        return census.counts.astype(np.float64)
    return np.concatenate([np.bincount(_uppers(census), census.counts.astype(np.float64)), _aside(census)])


def _exponent_counts(census: Census) -> Floats:
    counts = census.counts.astype(np.float64)
    if census.wide:
        fields: Floats = np.bincount(_uppers(census) >> 7 & 0xFF, counts, minlength=256).astype(np.float64)
        fields[255] += _aside(census).sum()
        return fields
    mantissa, bits = MANTISSA_BITS[census.dtype], DTYPES[census.dtype].bits
    field = census.keys >> mantissa & ((1 << (bits - 1 - mantissa)) - 1)
    return np.bincount(field, counts).astype(np.float64)


def _uppers(census: Census) -> NDArray[np.uint32]:
    """The upper 16 bits of each bin of a wide census."""
    side = (census.keys & SIDE) != 0
    return np.where(side, (census.keys >> 4 & 1) << 15, census.keys >> 1).astype(np.uint32)


def _aside(census: Census) -> Floats:
    """The non-finite values of a wide census, as three bins of their own."""
    return np.array([census.nan, census.positive_infinity, census.negative_infinity], dtype=np.float64)


def _entropy(counts: Floats) -> float:
    counts = counts[counts > 0]
    if not counts.size:
        return 0.0
    shares = counts / counts.sum()
    return float(-(shares * np.log2(shares)).sum()) + 0.0


def zeros(census: Census) -> int:
    """How many values are zero; of 64-bit floats, before rounding."""
    if census.digits64:
        return census.digits64[0]
    found = points(census)
    return int(found.counts[found.digit == 0].sum())


def nonfinite(census: Census) -> int:
    """How many values are NaN or infinite; of 64-bit floats, before rounding."""
    return census.digits64[10] if census.digits64 else census.nonfinite


def subnormals(census: Census) -> int:
    """How many values are subnormal in their stored type (64-bit floats: as rounded to float32)."""
    if census.wide:
        side = (census.keys & SIDE) != 0
        deep = np.where(side, census.keys & 0xF, (census.keys >> 8 & 0xFF) == 0).astype(bool)
    else:
        mantissa, bits = MANTISSA_BITS[census.dtype], DTYPES[census.dtype].bits
        field = census.keys >> mantissa & ((1 << (bits - 1 - mantissa)) - 1)
        deep = (field == 0) & ((census.keys & ((1 << mantissa) - 1)) != 0)
    return int(census.counts[deep].sum())
