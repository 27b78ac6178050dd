"""The columns of the findings that a census answers; field names are the names that `--json` prints."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from kaibo.vocabulary import By

Why = Mapping[str, str]


@dataclass(frozen=True)
class DigitsRow:
    """First digits of one model, layer, role or tensor.

    `counts` and all shares have nine entries, for the digits 1 to 9; shares are fractions of the nonzero finite
    values. `mae` is the mean over the nine digits of |share − law|, `mae_low` and `mae_high` its 95 % bootstrap
    interval over tensors (None for a single tensor). `gaussian_mae` and `mixture_mae` are the same distance from
    the law for the two nulls: one Gaussian with the same σ, and the mixture of per-tensor Gaussians with the
    measured σ's. `from_gaussian` and `from_mixture` are the mean |share − null's share|. `conformity` is
    Nigrini's class of the MAE; `kl` the Kullback–Leibler divergence from the law in nats; `cramers_v`
    √(χ²/(n·8)), which can pass 1 where few digits occur, since the law's shares differ.
    """

    model: str
    by: By
    key: str | int | None
    n: int
    zeros: int
    nonfinite: int
    counts: tuple[int, ...]
    shares: tuple[float, ...]
    mae: float
    mae_low: float | None
    mae_high: float | None
    conformity: str | None
    kl: float
    cramers_v: float
    gaussian_mae: float
    mixture_mae: float
    from_gaussian: float
    from_mixture: float
    gaussian_shares: tuple[float, ...]
    mixture_shares: tuple[float, ...]
    tensors: int
    why: Why = field(default_factory=dict)


@dataclass(frozen=True)
class Quantile:
    """The value below which a share of the finite values lies; `low` = `high` where it is exact."""

    share: float
    low: float
    high: float


@dataclass(frozen=True)
class StatsRow:
    """Moments, norms and tails of one model, layer, role or tensor, over its finite values.

    `std` is the population σ; `kurtosis` is excess kurtosis; `skew_bound` and `kurtosis_bound` bound the error of
    the two for 32-bit values (0 where they are exact). `max` is max |x|. `beyond3` and `beyond6` are the shares of
    |x − mean| > 3σ and 6σ (`beyond3_high` … their upper bounds where bins straddle the line), `gaussian3` and
    `gaussian6` what a Gaussian would have. `entropy` is the entropy of the bit patterns in bits per weight (8 and
    16 bit), of the upper 16 bits for 32 bit; `exponent_entropy` that of the exponent alone. `grid` says in words
    which coarser grid all values lie on (bf16 hidden in float32, an 8-bit grid), None if none was found.
    """

    model: str
    by: By
    key: str | int | None
    tensors: int
    n: int
    mean: float
    std: float
    skew: float
    kurtosis: float
    l1: float
    l2: float
    max: float
    minimum: float
    maximum: float
    zeros: int
    subnormals: int
    nonfinite: int
    quantiles: tuple[Quantile, ...]
    beyond3: float
    beyond3_high: float
    gaussian3: float
    beyond6: float
    beyond6_high: float
    gaussian6: float
    entropy: float
    exponent_entropy: float
    skew_bound: float
    kurtosis_bound: float
    grid: str | None
    dtypes: tuple[str, ...]
    why: Why = field(default_factory=dict)


@dataclass(frozen=True)
class ProfileRow:
    """One role in one layer: the cell of the heat map and the point of the profiles over depth."""

    model: str
    layer: int
    role: str
    n: int
    std: float
    kurtosis: float
    mae: float
    why: Why = field(default_factory=dict)


@dataclass(frozen=True)
class MagnitudeRow:
    """The share of the nonzero finite weights with 2^exponent ≤ |x| < 2^(exponent + 1).

    `share` is measured, `gaussian` what one Gaussian with the same σ would have, `mixture` the per-tensor mixture.
    """

    model: str
    exponent: int
    count: int
    share: float
    gaussian: float
    mixture: float
