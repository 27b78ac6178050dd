"""The columns of its findings; field names are the names that `--json` prints."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from kaibo.vocabulary.kinds import Drawing, Kind


@dataclass(frozen=True)
class AgainstRow:
    """One score of one model.

    `x` is the model's size on the `axis` (parameters N, training tokens D, or training FLOPs 6·N·D). `own` says whether
    the model is of the series that is held against the rest. `leads`: no model with this `x` or less scores more.
    `needed_times` is the least `x` with which the other side reached this score, divided by `x`: above 1 the other
    side needed more; None (and `why`) where it did not reach it.
    """

    benchmark: str
    model: str
    series: str
    own: bool
    axis: str
    x: float
    value: float
    leads: bool
    needed_times: float | None
    why: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class PairedRow:
    """One benchmark of two models: `difference` is the score of `one` minus that of `other`, in the unit of the table.

    The interval (95 %; Newcombe's where the normal one would leave −1 to 1) takes the answers of the two models for
    independent: two binomial shares of `questions`. On the same questions models agree more than that, so it is too
    wide rather than too narrow. `p` is two-sided, `q` is corrected over all rows of the finding (Benjamini–Hochberg).
    Without a known number of questions these are None and `why` says so.
    """

    one: str
    other: str
    benchmark: str
    value_a: float
    value_b: float
    difference: float
    difference_low: float | None = None
    difference_high: float | None = None
    questions: int | None = None
    p: float | None = None
    q: float | None = None
    why: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class PairedSum:
    """Two models over all benchmarks that both have: on how many `one` is `higher`, and the mean difference.

    `sign_p` is the probability of so lopsided a count if each benchmark were a toss (two-sided, ties left out). The
    interval of the mean is Student's over benchmarks, as if these were drawn from many.
    """

    one: str
    other: str
    benchmarks: int
    higher: int
    mean: float
    low: float | None
    high: float | None
    sign_p: float


@dataclass(frozen=True)
class PassRow:
    """pass@k of a model: the share of problems that at least one of k samples solves, as a fraction.

    The interval (95 %) is Wilson's for that many problems: an upper bound of the spread over problems, since a
    problem's own pass@k lies between 0 and 1. `alike` is 1 − (1 − pass@1)^k, what k samples would solve if every
    problem were as hard as every other; below it, some problems stay unsolved however often one draws.
    """

    model: str
    series: str
    parameters: float | None
    benchmark: str
    k: int
    value: float
    low: float | None
    high: float | None
    problems: int | None
    alike: float | None


@dataclass(frozen=True)
class ShareRow:
    """One share, as a fraction, and the amount of the whole that it is.

    The bounds are those of rounding: half a unit of the last printed digit to both sides. `place` counts from 1, the
    largest. `marked` is the one that is asked about.
    """

    label: str
    place: int
    share: float
    share_low: float
    share_high: float
    amount: float
    amount_low: float
    amount_high: float
    marked: bool = False


AGAINST = Kind(
    "against",
    AgainstRow,
    __package__,
    columns=(
        "benchmark",
        "model",
        "series",
        "x",
        "value",
        "leads",
        "needed_times",
    ),
    figures={"panels": Drawing("panels", "against.title", "against.caption")},
)
PAIRED = Kind(
    "paired",
    PairedRow,
    __package__,
    columns=(
        "one",
        "other",
        "benchmark",
        "value_a",
        "value_b",
        "difference",
        "difference_low",
        "difference_high",
        "questions",
        "p",
        "q",
    ),
    figures={"differences": Drawing("differences", "paired.title", "paired.caption")},
)
PAIRED_SUMS = Kind("paired-sums", PairedSum, __package__)
PASS_CURVES = Kind(
    "pass-curves",
    PassRow,
    __package__,
    columns=(
        "model",
        "benchmark",
        "k",
        "value",
        "low",
        "high",
        "alike",
        "problems",
    ),
    figures={"curves": Drawing("curves", "passes.title", "passes.caption")},
)
SHARES = Kind(
    "shares",
    ShareRow,
    __package__,
    columns=(
        "label",
        "share",
        "share_low",
        "share_high",
        "amount",
        "amount_low",
        "amount_high",
    ),
    figures={"bars": Drawing("bars", "shares.title", "shares.caption")},
)
