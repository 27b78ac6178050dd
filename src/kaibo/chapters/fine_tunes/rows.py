"""Fine-tunes of one base, by method and learning rate, and the columns of what is found about them side by side."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from kaibo.chapters.diff.seeds import Label
from kaibo.vocabulary.kinds import Drawing, Kind

Why = Mapping[str, str]


@dataclass(frozen=True)
class FineTune:
    """One fine-tune: where it is, what it was made from and how.

    `base` is the address of the model that all are compared with, `parent` of the one it was trained from; `after` is
    the method that made the parent where that is a fine-tune itself, else empty.
    """

    address: str
    base: str
    parent: str
    method: str
    learning_rate: float
    dataset: str
    seed: str
    after: str = ""

    @property
    def way(self) -> str:
        """The method, after what: `DPO`, or `SFT→DPO` for DPO on top of SFT."""
        return f"{self.after}→{self.method}".upper() if self.after else self.method.upper()

    @property
    def cell(self) -> str:
        """The method at its learning rate: fine-tunes of one cell differ in data set and seed only."""
        return f"{self.way} {short_rate(self.learning_rate)}"

    @property
    def label(self) -> Label:
        """Data set and seed."""
        return Label(self.dataset, self.seed)


def short_rate(rate: float) -> str:
    """A learning rate as people write it.

    >>> short_rate(1e-5), short_rate(0.00025)
    ('1e-5', '2.5e-4')
    """
    mantissa, exponent = f"{rate:e}".split("e")
    return f"{float(mantissa):g}e{int(exponent)}"


@dataclass(frozen=True)
class TunedRow:
    """How far one fine-tune is from its base (`against` "base") or from the fine-tune it was made from ("parent").

    `resolution_l1` and `resolution_l2` are what rounding each weight of the base once to the type it is stored in
    does on average, `bf16_l1` and `bf16_l2` the same for bfloat16, in which such models are mostly given away;
    `times_bf16` is L2 as a multiple of the last.
    """

    cell: str
    way: str
    learning_rate: float
    dataset: str
    seed: str
    tuned: str
    against: str
    n: int
    l0: int
    l1: float
    l2: float
    linf: float
    relative: float
    resolution_l1: float | None
    resolution_l2: float | None
    bf16_l1: float
    bf16_l2: float
    times_bf16: float | None
    why: Why = field(default_factory=dict)


@dataclass(frozen=True)
class ApartRow:
    """Two fine-tunes of one cell and how far apart they are, directly.

    `apart_by` says in what they differ: the "seed" alone, the "data" alone, or "both". `bf16_l2` is the length of
    what rounding the weights of both once to bfloat16 would add (√2 times that of one).
    """

    cell: str
    apart_by: str
    a: str
    b: str
    dataset: str
    seed: str
    n: int
    l1: float
    l2: float
    cosine: float
    sign_conflict: float
    bf16_l2: float
    why: Why = field(default_factory=dict)


@dataclass(frozen=True)
class RatioRow:
    """Distance between data sets ÷ between seeds (see `SeedRow`) in one cell and one role, or "all" of the model.

    `ratio_low` and `ratio_high` are a 95 % bootstrap interval over models, `p_least` the smallest p that so few give;
    `tensors_low` and `tensors_high` one over its tensors: how much the ratio depends on which weights are looked at,
    not what new seeds would give.
    `spread` is (largest − least) ÷ mean, over seeds, of the distance between data sets under one seed.
    """

    cell: str
    role: str
    distance_norm: str
    models: int
    within_pairs: int
    between_pairs: int
    within: float | None
    between: float | None
    ratio: float | None
    ratio_low: float | None
    ratio_high: float | None
    p: float | None
    p_least: float | None
    tensors: int
    tensors_low: float | None
    tensors_high: float | None
    spread: float | None
    why: Why = field(default_factory=dict)


@dataclass(frozen=True)
class MethodRow:
    """Two methods at one learning rate, on the same data and seeds: how long their changes are, and how alike.

    `ratio` is the geometric mean over `pairs` of ‖a‖ ÷ ‖b‖ of the changes by `a` and `b`, `cosine` the mean of theirs;
    the intervals are 95 % ones of Student's t over the pairs (of the logarithm for the ratio), and `ratios` and
    `cosines` the pairs themselves. `sign_conflict` is the mean share of weights moved in opposite directions, None
    where the two start from different models.
    """

    a: str
    b: str
    learning_rate: float
    pairs: int
    ratio: float
    ratio_low: float | None
    ratio_high: float | None
    cosine: float
    cosine_low: float | None
    cosine_high: float | None
    sign_conflict: float | None
    ratios: tuple[float, ...]
    cosines: tuple[float, ...]
    why: Why = field(default_factory=dict)


@dataclass(frozen=True)
class KeptRow:
    """What the largest `percent` of the changes of one cell hold: means over its `models`, their range beside them.

    `scope` says whether the largest of the whole task vector are taken (`global`) or of each tensor (`tensor`); `l1`
    and `l2` are their norms (norm@k), the shares those of the norms of the whole change.
    """

    cell: str
    scope: str
    percent: float
    models: int
    l1: float
    l2: float
    l1_share: float
    l1_share_low: float
    l1_share_high: float
    l2_share: float
    l2_share_low: float
    l2_share_high: float
    why: Why = field(default_factory=dict)


@dataclass(frozen=True)
class RankRow:
    """The effective rank of the change of one role in one cell: a mean over `matrices`, with a bootstrap over them.

    `erank` is exp of the entropy of σ ÷ Σσ (Roy and Vetterli 2007), `stable_rank` ‖Δ‖²_F ÷ σ₁². `above_rounding` is
    the median of how many singular values stand above the rounding of the type, `full_rank` the greatest rank that
    the matrices could have.
    """

    cell: str
    role: str
    matrices: int
    erank: float
    erank_low: float | None
    erank_high: float | None
    stable_rank: float
    above_rounding: float
    full_rank: int
    why: Why = field(default_factory=dict)


FINE_TUNE_KEPT = Kind(
    "fine-tune-kept",
    KeptRow,
    __package__,
    columns=(
        "cell",
        "scope",
        "percent",
        "models",
        "l1",
        "l2",
        "l1_share",
        "l1_share_low",
        "l1_share_high",
        "l2_share",
        "l2_share_low",
        "l2_share_high",
    ),
    figures={"kept": Drawing("kept", "fine_tunes.kept_title", "fine_tunes.kept_caption")},
)
FINE_TUNE_METHODS = Kind(
    "fine-tune-methods",
    MethodRow,
    __package__,
    columns=(
        "a",
        "b",
        "learning_rate",
        "pairs",
        "ratio",
        "ratio_low",
        "ratio_high",
        "cosine",
        "cosine_low",
        "cosine_high",
        "sign_conflict",
    ),
    figures={"methods": Drawing("methods", "fine_tunes.methods_title", "fine_tunes.methods_caption")},
)
FINE_TUNE_PAIRS = Kind(
    "fine-tune-pairs",
    ApartRow,
    __package__,
    terms={"against": "fine_tunes", "apart_by": "fine_tunes"},
    columns=(
        "cell",
        "apart_by",
        "dataset",
        "seed",
        "l1",
        "l2",
        "bf16_l2",
        "cosine",
        "sign_conflict",
    ),
    figures={"distances": Drawing("distances", "fine_tunes.distances_title", "fine_tunes.distances_caption")},
)
FINE_TUNE_RANKS = Kind(
    "fine-tune-ranks",
    RankRow,
    __package__,
    columns=(
        "cell",
        "role",
        "matrices",
        "erank",
        "erank_low",
        "erank_high",
        "stable_rank",
        "above_rounding",
        "full_rank",
    ),
    figures={"ranks": Drawing("ranks", "fine_tunes.ranks_title", "fine_tunes.ranks_caption")},
)
FINE_TUNE_RATIOS = Kind(
    "fine-tune-ratios",
    RatioRow,
    __package__,
    columns=(
        "cell",
        "role",
        "distance_norm",
        "within",
        "between",
        "ratio",
        "ratio_low",
        "ratio_high",
        "p",
        "p_least",
        "tensors_low",
        "tensors_high",
        "spread",
    ),
    figures={"ratios": Drawing("ratios", "fine_tunes.ratios_title", "fine_tunes.ratios_caption")},
)
FINE_TUNES = Kind(
    "fine-tunes",
    TunedRow,
    __package__,
    terms={"against": "fine_tunes", "apart_by": "fine_tunes"},
    columns=(
        "cell",
        "against",
        "dataset",
        "seed",
        "l1",
        "l2",
        "linf",
        "relative",
        "resolution_l1",
        "resolution_l2",
        "bf16_l1",
        "bf16_l2",
        "times_bf16",
    ),
    figures={"lengths": Drawing("lengths", "fine_tunes.lengths_title", "fine_tunes.lengths_caption")},
)
