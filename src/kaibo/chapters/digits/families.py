"""First digits of models in groups, and along training: the distance from the law beside its nulls, a row a model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from kaibo.chapters.digits.rows import DIGIT_COURSE, DIGIT_GROUPS, DigitGroupRow, DigitsRow
from kaibo.version import __version__
from kaibo.vocabulary import Finding
from kaibo.words import note

NOTES = (
    note("bootstrap"),
    note("groups_seed"),
)


@dataclass(frozen=True)
class Labelled:
    """Digits that were counted of a model, the group and the label under which they stand, its step if it has one."""

    group: str
    label: str
    step: int | None
    digits: DigitsRow


def digit_groups(several: Sequence[Labelled], *, course: bool = False) -> Finding[DigitGroupRow]:
    """A row for each model in order; with `course` what is drawn is a line a label over the steps."""
    rows = tuple(_row(one) for one in several)
    kind = DIGIT_COURSE if course else DIGIT_GROUPS
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
