"""The columns of its findings; field names are the names that `--json` prints."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from kaibo.vocabulary.kinds import Drawing, Kind


@dataclass(frozen=True)
class FollowedRow:
    """A set at one checkpoint of one run.

    The set is a sample of `tokens` out of those that are `trend` in `set_of` from `start` on. `ppl` is exp of their
    mean nats, with a 95 % band over blocks of the text, `smoothed` its exponential average over the checkpoints,
    `rest_ppl` that of all other tokens, `text_ppl` of all. `x` is the checkpoint by what was asked for in `against`:
    its step, tokens, FLOPs or the text's perplexity.
    """

    set_of: str
    trend: str
    start: float
    tokens: int
    model: str
    parameters: int | None
    step: int
    trained: float | None
    flops: float | None
    text_ppl: float
    ppl: float
    ppl_low: float | None
    ppl_high: float | None
    smoothed: float
    rest_ppl: float | None
    against: str = "step"
    x: float | None = None


@dataclass(frozen=True)
class ContainmentRow:
    """How much of one run's set lies in another's set of the same class, both from windows that were made alike.

    `start` is where the window of `set_of` begins, as a part of its steps. `contained` is the common share of `tokens`,
    with its 95 % interval over blocks of the text; `by_chance` its mean over all circular shifts of the set,
    `chance_high` their 95 % quantile, `p` the share of shifts with as much. A larger set contains more whatever it is
    made of; `nested` does not grow with size: of the tokens that could lie in both sets and do not do so by chance, the
    share that does (0 by chance, 1 where the smaller set lies in the larger one; the same both ways round), with 95 %
    by the jackknife over blocks. It is taken over the tokens that are decided in both runs: one that noise leaves
    undecided speaks neither for nor against.
    """

    trend: str
    start: float
    set_of: str
    inside: str
    tokens: int
    tokens_within: int
    both: int
    contained: float
    contained_low: float | None
    contained_high: float | None
    by_chance: float
    chance_high: float
    p: float
    nested: float | None = None
    nested_low: float | None = None
    nested_high: float | None = None


@dataclass(frozen=True)
class DescentPoint:
    """A set at one checkpoint: exp of its mean nats with a 95 % band over blocks of the text; `turn` says what the bump
    does there: "low" before the rise, "peak", "end" after the fall, "" elsewhere.
    """

    step: int
    ppl: float
    ppl_low: float | None
    ppl_high: float | None
    turn: str


@dataclass(frozen=True)
class DescentRow:
    """The largest bump in a set's curve under one run, in nats.

    The set is what is `trend` in `set_of` from `start` on; `own`: it was chosen by this very run, so that its
    rise is no surprise. It rises by `rise` from step `low_step` to `peak_step` and falls by `fall` until `end_step`;
    each is dated with 95 % over blocks of the text (`low_from` to `low_to` …). `curve` is the set at every
    checkpoint. `bump` is the lesser of rise and fall, `bump_high` the upper end of its 95 % interval over blocks.
    `p_alike` is the share of sets of like tokens with as large a bump (`alike` of the set's tokens have like ones, the
    others are held against scaled ones), `p_noise`
    the share of monotone curves as rough; `p` is the larger of the two, `null` the larger of their 95 % quantiles, `q`
    after Benjamini–Hochberg. `found` is q < 0.05.
    """

    set_of: str
    trend: str
    start: float
    tokens: int
    model: str
    own: bool
    found: bool
    bump: float
    null: float
    p: float
    q: float
    rise: float
    fall: float
    low_step: int | None
    peak_step: int | None
    peak_from: int | None
    peak_to: int | None
    end_step: int | None
    peak_trained: float | None
    peak_flops: float | None
    low_from: int | None = None
    low_to: int | None = None
    end_from: int | None = None
    end_to: int | None = None
    curve: tuple[DescentPoint, ...] = ()
    bump_high: float | None = None
    p_alike: float | None = None
    p_noise: float | None = None
    alike: float | None = None


@dataclass(frozen=True)
class PairRow:
    """Two checkpoints whose perplexities of the text differ by at most 5 %, the nearest in the larger run.

    `r` is the correlation of their nats token by token, with a 95 % interval by the jackknife over blocks of the text,
    `apart` their mean absolute difference in nats. Beside it: `r_same_step`, the smaller model's checkpoint with the
    larger one's at the nearest step; `r_neighbour`, with the next (else the last) checkpoint of its own run, with its
    interval; `r_null`, the 95 % quantile where one of the two is pushed along the text by every distance.
    """

    small: str
    large: str
    step_small: int
    step_large: int
    ppl_small: float
    ppl_large: float
    r: float
    r_low: float | None
    r_high: float | None
    apart: float
    r_same_step: float
    r_neighbour: float
    r_neighbour_low: float | None = None
    r_neighbour_high: float | None = None
    r_null: float | None = None


@dataclass(frozen=True)
class PassageRow:
    """One token of a passage under one run: the characters it adds, its trend from `start` on, and the evidence.

    `ratio` is its perplexity at the last checkpoint ÷ that at the start, `slope` the trend per e-fold of steps.
    """

    model: str
    start: float
    passage: int
    place: int
    text: str
    trend: str
    uncorrected: str
    slope: float
    p: float
    q: float
    ppl: float
    ratio: float


@dataclass(frozen=True)
class SizeRow:
    """Mean nats of a set over `n` checkpoints of several runs, as a smooth curve of the text's log perplexity, without
    and with the logarithm of size.

    Only checkpoints whose perplexity another run reaches as well are used. `r2_without` and `r2_with` are in the
    sample; `gain` is what size adds to R² where every fifth checkpoint is predicted from the others. `statistic` is the
    likelihood ratio n·ln(RSS₀/RSS₁), `p` its χ² tail on one degree of freedom.
    """

    set_of: str
    trend: str
    start: float
    n: int
    statistic: float
    p: float
    r2_without: float
    r2_with: float
    gain: float


@dataclass(frozen=True)
class TrendRow:
    """The shares of the classes in one run from one start on.

    `checkpoints` lie at or after `start` of the run's steps, the first at `step` with `trained` tokens read, `flops`
    and `ppl` of the text, the last at `last_step` with `last_ppl`. `shares` are after Benjamini–Hochberg over the
    `tokens` of the text, `shares_uncorrected` with each p below 0.05; `shares_low` and `_high` are 95 % over blocks of
    neighbouring tokens. `not_up_not_down` is the other reading of the third class. `rho` is the median autocorrelation.
    `shares_published` are by the rule of the paper (`published`), with their intervals.
    `x` is where the trend begins by what was asked for in `against`: the start itself, the size of the model, or the
    step, tokens, FLOPs or perplexity of the first checkpoint.
    """

    model: str
    start: float
    checkpoints: int
    tokens: int
    shares: Mapping[str, float | None]
    shares_uncorrected: Mapping[str, float | None]
    shares_low: Mapping[str, float | None]
    shares_high: Mapping[str, float | None]
    not_up_not_down: float | None
    not_up_not_down_uncorrected: float | None
    step: int
    last_step: int
    trained: float | None
    flops: float | None
    ppl: float
    last_ppl: float
    parameters: int | None
    rho: float | None
    against: str = "start"
    x: float | None = None
    shares_published: Mapping[str, float | None] = field(default_factory=dict)
    published_low: Mapping[str, float | None] = field(default_factory=dict)
    published_high: Mapping[str, float | None] = field(default_factory=dict)
    why: dict[str, str] = field(default_factory=dict)

    @property
    def beginning(self) -> float:
        """The start, under the name that tables have for it."""
        return self.start

    @property
    def upward(self) -> float | None:
        """The share of forgotten tokens."""
        return self.shares["upward"]

    @property
    def downward(self) -> float | None:
        """The share of tokens being learned."""
        return self.shares["downward"]

    @property
    def stagnated(self) -> float | None:
        """The share of finished tokens, read strictly."""
        return self.shares["stagnated"]

    @property
    def stagnated_published(self) -> float | None:
        """The share of finished tokens by the rule of the paper."""
        return self.shares_published.get("stagnated")

    @property
    def undecided(self) -> float | None:
        """The share of tokens that are none of the three."""
        return self.shares["undecided"]


@dataclass(frozen=True)
class WindowRow:
    """The shares of the classes in two windows that are alike in all but their place, and how they change.

    `first` and `second` are runs (one run early and late, or two runs late), each window from one step to another.
    `shares_first` and `shares_second` name the classes and `moving` (learned or forgotten); `change` is second less
    first with its 95 % interval over blocks of the text and its two-sided `p`. `why` says why a row has none.
    """

    first: str
    second: str
    checkpoints: int
    tokens: int
    first_from: int | None = None
    first_to: int | None = None
    second_from: int | None = None
    second_to: int | None = None
    shares_first: Mapping[str, float] = field(default_factory=dict)
    shares_second: Mapping[str, float] = field(default_factory=dict)
    change: Mapping[str, float] = field(default_factory=dict)
    change_low: Mapping[str, float] = field(default_factory=dict)
    change_high: Mapping[str, float] = field(default_factory=dict)
    p: Mapping[str, float] = field(default_factory=dict)
    why: dict[str, str] = field(default_factory=dict)

    @property
    def moving(self) -> float | None:
        """The change of the share of tokens that are learned or forgotten."""
        return self.change.get("moving")

    @property
    def moving_low(self) -> float | None:
        """The lower end of its interval."""
        return self.change_low.get("moving")

    @property
    def moving_high(self) -> float | None:
        """The upper end of its interval."""
        return self.change_high.get("moving")

    @property
    def finished(self) -> float | None:
        """The change of the share of finished tokens."""
        return self.change.get("stagnated")

    @property
    def finished_low(self) -> float | None:
        """The lower end of its interval."""
        return self.change_low.get("stagnated")

    @property
    def finished_high(self) -> float | None:
        """The upper end of its interval."""
        return self.change_high.get("stagnated")


TRENDS = Kind(
    "trends",
    TrendRow,
    __package__,
    terms={"trend": "trends", "uncorrected": "trends"},
    columns=(
        "model",
        "beginning",
        "checkpoints",
        "tokens",
        "upward",
        "downward",
        "stagnated",
        "undecided",
        "not_up_not_down",
        "stagnated_published",
        "step",
        "ppl",
        "last_ppl",
        "rho",
    ),
    figures={"shares": Drawing("shares", "trends.shares_title", "trends.shares_caption")},
)
TRENDS_WINDOWS = Kind(
    "trends-windows",
    WindowRow,
    __package__,
    columns=(
        "first",
        "second",
        "checkpoints",
        "first_from",
        "first_to",
        "second_from",
        "second_to",
        "moving",
        "moving_low",
        "moving_high",
        "finished",
        "finished_low",
        "finished_high",
    ),
)
TRENDS_FOLLOWED = Kind(
    "trends-followed",
    FollowedRow,
    __package__,
    terms={"trend": "trends", "uncorrected": "trends"},
    columns=(
        "set_of",
        "trend",
        "tokens",
        "model",
        "step",
        "text_ppl",
        "ppl",
        "ppl_low",
        "ppl_high",
        "rest_ppl",
    ),
    figures={
        "by_step": Drawing("by_step", "trends.by_step_title", "trends.by_step_caption"),
        "by_perplexity": Drawing("by_perplexity", "trends.by_perplexity_title", "trends.by_perplexity_caption"),
    },
)
TRENDS_CONTAINMENT = Kind(
    "trends-containment",
    ContainmentRow,
    __package__,
    terms={"trend": "trends", "uncorrected": "trends"},
    columns=(
        "trend",
        "set_of",
        "inside",
        "tokens",
        "tokens_within",
        "both",
        "contained",
        "contained_low",
        "contained_high",
        "by_chance",
        "chance_high",
        "p",
        "nested",
        "nested_low",
        "nested_high",
    ),
    figures={"containment": Drawing("containment", "trends.containment_title", "trends.containment_caption")},
)
TRENDS_DESCENT = Kind(
    "trends-descent",
    DescentRow,
    __package__,
    columns=(
        "set_of",
        "tokens",
        "model",
        "own",
        "found",
        "bump",
        "bump_high",
        "null",
        "p_alike",
        "p_noise",
        "q",
        "rise",
        "fall",
        "low_step",
        "peak_step",
        "peak_from",
        "peak_to",
        "end_step",
    ),
    figures={"descent": Drawing("descent", "trends.descent_title", "trends.descent_caption")},
)
TRENDS_PAIRS = Kind(
    "trends-pairs",
    PairRow,
    __package__,
    columns=(
        "small",
        "large",
        "step_small",
        "step_large",
        "ppl_small",
        "ppl_large",
        "r",
        "r_low",
        "r_high",
        "r_null",
        "r_same_step",
        "r_neighbour",
        "r_neighbour_low",
        "r_neighbour_high",
        "apart",
    ),
    figures={"pairs": Drawing("pairs", "trends.pairs_title", "trends.pairs_caption")},
)
TRENDS_SIZE = Kind(
    "trends-size",
    SizeRow,
    __package__,
    terms={"trend": "trends", "uncorrected": "trends"},
    columns=(
        "set_of",
        "trend",
        "n",
        "r2_without",
        "r2_with",
        "gain",
        "statistic",
        "p",
    ),
)
TRENDS_PASSAGES = Kind(
    "trends-passages",
    PassageRow,
    __package__,
    terms={"trend": "trends", "uncorrected": "trends"},
    columns=(
        "model",
        "passage",
        "place",
        "text",
        "trend",
        "uncorrected",
        "slope",
        "p",
        "q",
        "ratio",
    ),
    figures={"passages": Drawing("passages", "trends.passages_title", "trends.passages_caption")},
)
