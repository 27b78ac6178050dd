"""The columns of its findings; field names are the names that `--json` prints."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from kaibo.chapters.spectrum.singular_values import Interval
from kaibo.vocabulary import By
from kaibo.vocabulary.kinds import Drawing, Kind
from kaibo.words import note

Why = Mapping[str, str]


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
class UnmatchedRow:
    """A tensor, or rows of one, that has nothing to be compared with.

    `side` is `base` or `tuned`, `n` the values left out, `share` their part of that model.
    """

    base: str
    tuned: str
    side: str
    tensor: str
    shape: tuple[int, ...]
    n: int
    share: float
    reason: str


@dataclass(frozen=True)
class ChangeRow:
    """Something beside the weights that differs: what it is, and its value in base and tuned.

    Of long values `before` and `after` show where they differ, `full` holds both whole.
    """

    base: str
    tuned: str
    what: str
    before: Any
    after: Any
    full: tuple[Any, Any] | None = None


@dataclass(frozen=True)
class MappingRow:
    """A pair of tensors whose names or layouts differ, by their canonical names, and how they met."""

    base: str
    tuned: str
    base_tensor: str
    tuned_tensor: str
    how: str


@dataclass(frozen=True)
class CoverageRow:
    """The share of one side's values and bytes that is compared."""

    base: str
    tuned: str
    side: str
    values: float
    bytes: float


@dataclass(frozen=True)
class ChangeSpectrum:
    """The spectrum of Δ = tuned − base of one matrix.

    `rank` singular values stand above the rounding and hold the share `energy` of ‖Δ‖²; `low_rank` says that the
    rest is rounding and the rank small; `gap` is σ_rank ÷ σ_rank+1. `noise` is what one rounding to the stored type
    does per entry, `rest` what was measured below the rank. The ranks and α are those of `kaibo spectrum`.
    """

    base: str
    tuned: str
    by: By
    key: str
    tensor: str
    part: int | None
    layer: int | None
    role: str
    shape: tuple[int, ...]
    method: str
    rank: int | None
    low_rank: bool | None
    energy: float | None
    gap: float | None
    noise: float | None
    rest: float | None
    spectral_norm: float | None
    error: float | None
    stable_rank: float | None
    entropy_rank: float | None
    erank: float | None
    rank90: int | None
    rank99: int | None
    alpha: float | None
    alpha_error: float | None
    alpha_distance: float | None
    above: int | None
    intervals: Mapping[str, Interval] = field(default_factory=dict)
    why: Mapping[str, str] = field(default_factory=dict)

    @property
    def said(self) -> str:
        """The rank in words: `rank 8 (numerically)`, `full rank`, `no change`."""
        if self.rank is None:
            return note("rank_unknown")
        if self.spectral_norm == 0.0:
            return note("rank_none")
        if self.low_rank:
            return note("rank_low", rank=self.rank)
        return note("rank_full") if self.rank == min(self.shape) else note("rank_above", rank=self.rank)


CHANGES = Kind(
    "changes",
    ChangeRow,
    __package__,
    label="diff.changes",
    columns=(
        "tuned",
        "what",
        "before",
        "after",
    ),
)


COVERAGE = Kind("coverage", CoverageRow, __package__)


DIFF = Kind(
    "diff",
    DifferenceRow,
    __package__,
    columns=(
        "base",
        "tuned",
        "by",
        "key",
        "n",
        "l0",
        "l1",
        "l2",
        "linf",
        "relative",
        "cosine",
        "changed",
        "one_ulp",
        "times_resolution",
        "rounding_l2",
        "mae",
        "nonfinite",
    ),
)


DIFF_MAP = Kind(
    "diff-map",
    DifferenceCell,
    __package__,
    figures={"map": Drawing("change_map", "diff.map_title", "diff.map_caption")},
)


DIFF_SPECTRUM = Kind(
    "diff-spectrum",
    ChangeSpectrum,
    __package__,
    columns=(
        "tuned",
        "key",
        "shape",
        "method",
        "said",
        "energy",
        "gap",
        "rest",
        "noise",
        "spectral_norm",
        "stable_rank",
        "entropy_rank",
        "rank90",
        "rank99",
        "alpha",
    ),
    figures={
        "erank": Drawing("erank_of_change", "spectrum.erank_title", "spectrum.erank_caption"),
        "rank": Drawing("rank_of_change", "spectrum.rank_title", "spectrum.rank_caption"),
    },
)


MAPPING = Kind("mapping", MappingRow, __package__)


NORM_CURVE = Kind(
    "norm-curve",
    CurveRow,
    __package__,
    columns=(
        "base",
        "tuned",
        "scope",
        "percent",
        "kept",
        "l1",
        "l2",
        "l1_share",
        "l2_share",
    ),
    figures={"curve": Drawing("curve", "diff.curve_title", "diff.curve_caption")},
)


TRIMMED = Kind(
    "trimmed",
    TrimmedRow,
    __package__,
    columns=(
        "tuned",
        "by",
        "key",
        "percent",
        "scope",
        "ties",
        "of",
        "d",
        "kept",
        "kept_high",
        "threshold",
        "l1",
        "l2",
    ),
)


UNMATCHED = Kind(
    "unmatched",
    UnmatchedRow,
    __package__,
    label="diff.unmatched",
    columns=(
        "tuned",
        "side",
        "tensor",
        "shape",
        "n",
        "share",
        "reason",
    ),
)
