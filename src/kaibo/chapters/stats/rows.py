"""The columns of its findings; field names are the names that `--json` prints."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from kaibo.chapters.census.rows import Quantile
from kaibo.vocabulary import By
from kaibo.vocabulary.kinds import Drawing, Kind

Why = Mapping[str, str]


@dataclass(frozen=True)
class StatsRow:
    """Moments, norms and tails of one model, layer, role or tensor, over its finite values.

    `std` is the population σ; `kurtosis` is excess kurtosis; `skew_bound` and `kurtosis_bound` bound the error of
    the two for 32-bit values (0 where they are exact). `max` is max |x|. `negative` is the share below
    zero (0.5 where signs say nothing). `beyond3` and `beyond6` are the shares of
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
    negative: float
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


@dataclass(frozen=True)
class GridRow:
    """One tensor: the largest group size at which it looks like widened 4-bit codes, else the smallest tried.

    `coarse` is the share of the `groups` with more than one value that hold at most 16; `grid` says in words what
    that means, None where it means nothing.
    """

    model: str
    tensor: str
    role: str
    size: int | None
    groups: int
    coarse: float | None
    grid: str | None


@dataclass(frozen=True)
class ExpertRow:
    """One expert of a layer: `n` weights and their root mean square, and the expert of its layer that it is most like.

    `similarity` is the cosine of all weights of the two, `mean_similarity` the mean of the cosines with all others,
    `chance_limit` what three in a thousand pairs of unrelated weights exceed. `router` is the norm of the expert's row.
    """

    model: str
    layer: int | None
    expert: int
    n: int
    rms: float
    closest: int | None
    similarity: float | None
    mean_similarity: float | None
    chance_limit: float
    router: float | None
    why: Why = field(default_factory=dict)


EXPERTS = Kind("experts", ExpertRow, __package__)
GRIDS = Kind("grids", GridRow, __package__)
MAGNITUDES = Kind(
    "magnitudes",
    MagnitudeRow,
    __package__,
    columns=(
        "model",
        "exponent",
        "count",
        "share",
        "gaussian",
        "mixture",
    ),
    figures={"magnitudes": Drawing("histogram", "magnitudes.title", "magnitudes.caption")},
)
PROFILE = Kind(
    "profile",
    ProfileRow,
    __package__,
    columns=(
        "model",
        "layer",
        "role",
        "n",
        "std",
        "kurtosis",
        "mae",
    ),
    figures={
        "std": Drawing("std_over_depth", "profile.std_title", "profile.std_caption"),
        "kurtosis": Drawing("kurtosis_over_depth", "profile.kurtosis_title", "profile.kurtosis_caption"),
        "std_map": Drawing("std_map", "profile.std_map_title", "profile.std_map_caption"),
        "kurtosis_map": Drawing("kurtosis_map", "profile.kurtosis_map_title", "profile.kurtosis_map_caption"),
    },
)
STATS = Kind(
    "stats",
    StatsRow,
    __package__,
    columns=(
        "model",
        "by",
        "key",
        "n",
        "mean",
        "std",
        "skew",
        "kurtosis",
        "l1",
        "l2",
        "max",
        "zeros",
        "negative",
        "nonfinite",
        "beyond6",
        "gaussian6",
        "entropy",
        "grid",
    ),
)
