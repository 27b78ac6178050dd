"""Findings whose one row holds many numbers, opened to a row per number, so that a page can show them as a table."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from kaibo.vocabulary import Finding


@dataclass(frozen=True)
class ComponentLine:
    """A component of a score table: its share of the variance, the interval, and what permuted columns reach."""

    component: str
    explained: float
    explained_low: float | None
    explained_high: float | None
    parallel: float


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


def opened(finding: Finding[Any]) -> Finding[Any]:
    """The finding as a page tables it: opened where that is known here, as it is everywhere else."""
    opener = OPENERS.get(finding.kind)
    return opener(finding) if opener and finding.rows else finding


def _components(finding: Finding[Any]) -> Finding[ComponentLine]:
    row = finding.rows[0]
    bounds = [(None, None) if math.isnan(low) else (low, high) for low, high in row.explained_interval]
    rows = tuple(
        ComponentLine(f"PC{place + 1}", share, bounds[place][0], bounds[place][1], row.parallel[place])
        for place, share in enumerate(row.explained)
    )
    return Finding("pca-components", rows, finding.notes, finding.provenance)


def _laws(finding: Finding[Any]) -> Finding[LawLine]:
    rows = []
    for row in finding.rows:
        better = {one.second: one.share for one in row.comparisons if one.first == row.chosen}
        rows += [
            LawLine(row.target, name, error, row.test_mse.get(name), better.get(name))
            for name, error in row.train_mse.items()
        ]
    return Finding("law-errors", tuple(rows), finding.notes, finding.provenance)


OPENERS: Mapping[str, Callable[[Finding[Any]], Finding[Any]]] = {"pca": _components, "law": _laws}
