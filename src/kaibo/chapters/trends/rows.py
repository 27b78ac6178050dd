"""The columns of its findings; field names are the names that `--json` prints."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from kaibo.vocabulary.kinds import Drawing, Kind


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
