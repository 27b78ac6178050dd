"""Laws as tables: what each set of predictors errs by, its parameters, how it was chosen, and each model under it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from kaibo.chapters.law.rows import LawRow, Residual
from kaibo.vocabulary import Finding
from kaibo.vocabulary.kinds import Kind
from kaibo.words import Note, note


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


@dataclass(frozen=True)
class Parameter:
    """A fitted number of a law, with its 95 % interval."""

    predictor: str
    parameter: str
    value: float
    low: float
    high: float


@dataclass(frozen=True)
class Validated:
    """The error of a number of components, each family predicted by the others."""

    component: str
    error: float


@dataclass(frozen=True)
class Rival:
    """Test error of the chosen law less that of another, and the share of draws in which it is better."""

    law: str
    rival: str
    difference: float
    low: float | None
    high: float | None
    chosen_better: float | None


@dataclass(frozen=True)
class Weight:
    """What the law gives a benchmark, inside σ."""

    benchmark: str
    weight: float


LAW_ERRORS = Kind("law-errors", LawLine, __package__, label="law.errors_title")
PARAMETERS = Kind("law-parameters", Parameter, __package__, label="law.parameters")
VALIDATED = Kind("law-validated", Validated, __package__, label="law.validated")
COMPARED = Kind("law-compared", Rival, __package__, label="law.compared")
WEIGHTS = Kind("law-weights", Weight, __package__, label="law.weights")
RESIDUALS = Kind(
    "law-residuals",
    Residual,
    __package__,
    columns=("model", "train", "observed", "predicted", "low", "high", "residual", "equivalent_flops"),
    label="law.residuals",
)


def opened(finding: Finding[LawRow]) -> tuple[Finding[Any], ...]:
    """The errors of all targets in one table, then the further tables of each."""
    errors = tuple(line for row in finding.rows for line in _errors(row))
    notes = tuple(told for row in finding.rows for told in _notes(row))
    first = Finding(LAW_ERRORS, errors, notes, finding.provenance)
    parts = [part for row in finding.rows for part in _parts(row)]
    return (first, *(Finding(kind, tuple(rows), (), finding.provenance) for kind, rows in parts))


def _errors(row: LawRow) -> Iterator[LawLine]:
    better = {one.second: one.share for one in row.comparisons if one.first == row.chosen}
    for name, error in row.train_mse.items():
        yield LawLine(row.target, name, error, row.test_mse.get(name), better.get(name))


def _parts(row: LawRow) -> Iterator[tuple[Kind[Any], list[Any]]]:
    yield (
        PARAMETERS,
        [
            Parameter(name, key, value, *row.intervals[name][key])
            for name, fitted in row.parameters.items()
            for key, value in fitted.items()
        ],
    )
    yield VALIDATED, [Validated(f"PC{count}", error) for count, error in enumerate(row.cross_validated, 1)]
    yield (
        COMPARED,
        [Rival(one.first, one.second, one.difference, one.low, one.high, one.share) for one in row.comparisons],
    )
    yield WEIGHTS, [Weight(*one) for one in row.raw.items()]
    yield RESIDUALS, sorted(row.residuals, key=lambda one: -abs(one.residual))


def _notes(row: LawRow) -> Iterator[Note]:
    counts = {"train": row.n_train, "test": row.n_test, "chosen": row.chosen}
    yield note("law_of", target=row.target, form=row.form, loss=row.loss, **counts)
    if row.nested_error is not None:
        yield note("law_validated", chosen=row.chosen, error=f"{row.nested_error:.4g}")
    if row.coverage is not None:
        yield note("law_covered", target=row.target, share=f"{100 * row.coverage:.0f} %")
    yield from dict.fromkeys((*row.why.values(), *(why for one in row.comparisons for why in one.why.values())))
