"""Laws as a page tables them: a row for each set of predictors, what it errs by, and how often the chosen is better."""

from __future__ import annotations

from dataclasses import dataclass

from kaibo.chapters.law.rows import LawRow
from kaibo.vocabulary import Finding
from kaibo.vocabulary.kinds import Kind


@dataclass(frozen=True)
class LawLine:
    """What one set of predictors errs by (mean squared error), and the share of draws in which the chosen law is
    better than it.
    """

    target: str
    predictor: str
    train_mse: float
    test_mse: float | None
    chosen_better: float | None


LAW_ERRORS = Kind("law-errors", LawLine, __package__)


def opened(finding: Finding[LawRow]) -> tuple[Finding[LawLine], ...]:
    """A row for each law of each target."""
    rows = []
    for row in finding.rows:
        better = {one.second: one.share for one in row.comparisons if one.first == row.chosen}
        rows += [
            LawLine(row.target, name, error, row.test_mse.get(name), better.get(name))
            for name, error in row.train_mse.items()
        ]
    return (Finding(LAW_ERRORS, tuple(rows), finding.notes, finding.provenance),)
