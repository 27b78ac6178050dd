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
    seen: float | None = None
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
    seen: float | None = None
    why: Why = field(default_factory=dict)


@dataclass(frozen=True)
class Top:
    """What trimming to the largest `percent` keeps, in one scope and with one way to deal with ties.

    `threshold` is the least |Δ| kept and `threshold_high` its upper bound (equal where it is exact), `kept` how many
    values at least and `kept_high` at most; `l1` and `l2` their norms, which lie within `l1_bound` and `l2_bound`.
    In scope `tensor` each tensor is trimmed alone, and the threshold of the row is the least of theirs. `of` says which
    values the percent is of (`all`, those of `linear` layers, those that `changed`) and `d` how many they are.
    """

    percent: float
    scope: str
    ties: str
    kept: int
    kept_high: int
    threshold: float | None
    threshold_high: float | None
    l1: float
    l1_bound: float
    l2: float
    l2_bound: float
    of: str = "all"
    d: int = 0


@dataclass(frozen=True)
class TrimmedRow:
    """What the largest `percent` of one task vector or a part of it are: the table beside its norms; see `Top`."""

    tuned: str
    by: By
    key: str | int | None
    percent: float
    scope: str
    ties: str
    of: str
    d: int
    kept: int
    kept_high: int
    threshold: float | None
    l1: float
    l2: float
    why: Why = field(default_factory=dict)


@dataclass(frozen=True)
class DifferenceRow:
    """What changed in one model, layer, role or tensor; Δ = tuned − base.

    Of `n` values in `tensors` tensors (`identical` of them to the last bit) `l0` differ; `l1`, `l2`, `linf` and
    `mean_absolute` are over the finite Δ. `relative` is ‖Δ‖/‖base‖, `cosine` that between base and tuned. `changed`,
    `one_ulp` (by exactly one unit in the last place) and `flipped` (in sign) are shares of the pairs of which both
    are finite; the others are `nonfinite`. `counts` are the first digits of Δ and `mae` their distance from
    Benford's law. `resolution_l1` and `resolution_l2` are what rounding each weight once would do on average, and
    `times_resolution` is L2 as a multiple of it. Where tensors are stored in a coarser type than the base's,
    `rounding_l1` and `rounding_l2` are the error of rounding the base of those once to that type.
    """

    base: str
    tuned: str
    by: By
    key: str | int | None
    tensors: int
    identical: int
    n: int
    l0: int
    l1: float
    l2: float
    linf: float
    mean_absolute: float
    relative: float
    cosine: float
    changed: float
    one_ulp: float | None
    flipped: float
    counts: tuple[int, ...]
    mae: float
    nonfinite: int
    resolution_l1: float | None
    resolution_l2: float | None
    times_resolution: float | None
    rounding_l1: float | None
    rounding_l2: float | None
    top: tuple[Top, ...]
    seen: float | None = None
    why: Why = field(default_factory=dict)


@dataclass(frozen=True)
class CurveRow:
    """A point of the norm@k curve: the largest `percent` of |Δ|, how many they are, their norms and their share.

    They are the largest of the whole task vector (scope `global`) or of each of its tensors (`tensor`). The curve
    is read from the censuses: the norms lie within their bounds, which are 0 where the last bin holds one value.
    """

    base: str
    tuned: str
    scope: str
    percent: float
    kept: int
    l1: float
    l2: float
    l1_bound: float
    l2_bound: float
    l1_share: float
    l2_share: float
    l1_share_bound: float
    l2_share_bound: float
    why: Why = field(default_factory=dict)


@dataclass(frozen=True)
class DifferenceCell:
    """One role in one layer: how much it changed, as L2 and relative to the base."""

    base: str
    tuned: str
    layer: int
    role: str
    n: int
    l2: float
    relative: float
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
