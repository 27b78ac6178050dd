"""The columns of its findings; field names are the names that `--json` prints."""

from __future__ import annotations

from dataclasses import dataclass, field

from kaibo.vocabulary.kinds import Drawing, Kind


@dataclass(frozen=True)
class EvalPair:
    """Two models on the questions that both answered.

    `difference` is a − b with its 95 % interval of a paired bootstrap over clusters; `only_a` and `only_b` are the
    questions that one alone got right and `mcnemar_p` the exact test of them, questions of one passage or group
    exchanged together; `q` is p corrected over all pairs.
    """

    a: str
    b: str
    task: str
    metric: str
    difference: float
    difference_low: float | None
    difference_high: float | None
    only_a: int | None
    only_b: int | None
    mcnemar_p: float | None
    q: float | None
    n: int

    @property
    def questions(self) -> int:
        """`n` under the name that tables give it."""
        return self.n


@dataclass(frozen=True)
class EvalRow:
    """One measure of one model on one task.

    `value` is that of the first form of the prompt, `value_low` and `value_high` its 95 % interval, `n` the questions,
    `clusters` what they were grouped by, `failed` those that could not be asked. `chance` is what guessing gives and
    `p` the chance of doing as well by guessing. `variants` are the values of all forms, `variant_names` their names,
    with their lowest, highest and standard deviation.
    """

    model: str
    step: int | None
    task: str
    metric: str
    value: float
    stderr: float | None
    value_low: float | None
    value_high: float | None
    n: int
    clusters: int
    failed: int
    shots: int
    chance: float | None
    p: float | None
    variants: tuple[float, ...]
    variant_names: tuple[str, ...]
    variants_low: float | None
    variants_high: float | None
    variants_std: float | None
    why: dict[str, str] = field(default_factory=dict)

    @property
    def questions(self) -> int:
        """`n` under the name that tables give it."""
        return self.n


EVAL = Kind(
    "eval",
    EvalRow,
    __package__,
    columns=(
        "model",
        "step",
        "task",
        "shots",
        "metric",
        "value",
        "stderr",
        "value_low",
        "value_high",
        "chance",
        "p",
        "questions",
        "failed",
        "variants_low",
        "variants_high",
        "variants_std",
    ),
    figures={"scores": Drawing("scores", "eval.title", "eval.caption")},
)
EVAL_PAIRS = Kind(
    "eval-pairs",
    EvalPair,
    __package__,
    columns=(
        "a",
        "b",
        "task",
        "metric",
        "difference",
        "difference_low",
        "difference_high",
        "only_a",
        "only_b",
        "mcnemar_p",
        "q",
        "questions",
    ),
)
