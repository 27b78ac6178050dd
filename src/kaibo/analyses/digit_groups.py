"""First digits of models in groups, and along training: the distance from the law beside its nulls, a row a model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from kaibo.analyses.records import DigitsRow
from kaibo.version import __version__
from kaibo.vocabulary import Finding

NOTES = (
    "The interval of the MAE is the MAE ± how far the shares move over tensors drawn again (95 %), also near 0.",
    "A difference between two models of one seed each may be the seed's: nothing here says how much a seed moves it.",
)


@dataclass(frozen=True)
class Labelled:
    """Digits that were counted of a model, the group and the label under which they stand, its step if it has one."""

    group: str
    label: str
    step: int | None
    digits: DigitsRow


@dataclass(frozen=True)
class DigitGroupRow:
    """The distance of one model's digits from the law with its 95 % interval, beside the two nulls.

    `group` is what models are compared in, `label` which of its kinds this is.
    """

    model: str
    group: str
    label: str
    step: int | None
    n: int
    mae: float
    mae_low: float | None
    mae_high: float | None
    gaussian_mae: float
    mixture_mae: float
    why: dict[str, str] = field(default_factory=dict)


def digit_groups(several: Sequence[Labelled], *, course: bool = False) -> Finding[DigitGroupRow]:
    """A row for each model in order; with `course` what is drawn is a line a label over the steps."""
    rows = tuple(_row(one) for one in several)
    kind = "digit-course" if course else "digit-groups"
    return Finding(kind, rows, NOTES, {"models": {row.model: None for row in rows}, "kaibo": __version__})


def _row(one: Labelled) -> DigitGroupRow:
    found = one.digits
    return DigitGroupRow(
        model=found.model,
        group=one.group,
        label=one.label,
        step=one.step,
        n=found.n,
        mae=found.mae,
        mae_low=found.mae_low,
        mae_high=found.mae_high,
        gaussian_mae=found.gaussian_mae,
        mixture_mae=found.mixture_mae,
        why=dict(found.why),
    )
