"""Sets of tokens that are followed: records and kinds; field names are what `--json` prints."""

from __future__ import annotations

from dataclasses import dataclass

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
