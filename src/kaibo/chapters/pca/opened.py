"""The components of a score table as tables: shares beside intervals and null, loadings, families, filled cells."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, make_dataclass
from typing import Any

from kaibo.chapters.pca.components import ComponentsRow, FamilyLine, ImputedCell
from kaibo.vocabulary import Finding
from kaibo.vocabulary.kinds import Kind
from kaibo.words import Note, note, percent

FEWEST = 3
"""Models of a family that a line through them is worth showing for."""


@dataclass(frozen=True)
class ComponentLine:
    """A component of a score table: its share of the variance, the intervals over families and over models, what
    permuted columns reach, and whether it and all before it do better than that.
    """

    component: str
    explained: float
    explained_low: float | None
    explained_high: float | None
    models_low: float | None
    models_high: float | None
    parallel: float
    above_chance: bool


PCA_COMPONENTS = Kind("pca-components", ComponentLine, __package__, label="pca.explained_title")
FAMILIES = Kind(
    "pca-families", FamilyLine, __package__, columns=("family", "models", "slope", "r2"), label="pca.flops_title"
)
FILLED = Kind("pca-filled", ImputedCell, __package__, label="pca.filled")


def opened(finding: Finding[ComponentsRow]) -> tuple[Finding[Any], ...]:
    """The tables of the first row; what could not be computed is a note."""
    row = finding.rows[0]
    return tuple(Finding(kind, tuple(rows), _notes(row), finding.provenance) for kind, rows in _parts(row))


def _parts(row: ComponentsRow) -> Iterator[tuple[Kind[Any], list[Any]]]:
    yield PCA_COMPONENTS, [_line(row, place) for place in range(len(row.explained))]
    yield _loadings(row)
    yield FAMILIES, [one for one in row.family_lines if one.n >= FEWEST]
    yield FILLED, [*row.imputed]


def _line(row: ComponentsRow, place: int) -> ComponentLine:
    families, models = (_ends(one[place]) for one in (row.explained_interval, row.explained_interval_models))
    kept = place < (row.kept_components or 0)
    return ComponentLine(f"PC{place + 1}", row.explained[place], *families, *models, row.parallel[place], kept)


def _ends(interval: tuple[float, float]) -> tuple[float | None, float | None]:
    low, high = interval
    return (None, None) if math.isnan(low) else (low, high)


def _loadings(row: ComponentsRow) -> tuple[Kind[Any], list[Any]]:
    """A column for each component, and the interval of the first."""
    names = [f"PC{place + 1}" for place in range(len(row.explained))]
    line = make_dataclass("LoadingLine", ["benchmark", *names, "pc1_low", "pc1_high"], frozen=True)
    rows = [line(name, *values, *_ends(row.loadings_interval[name][0])) for name, values in row.loadings.items()]
    return Kind("pca-loadings", line, __package__, label="pca.loadings_title"), rows


def _notes(row: ComponentsRow) -> tuple[Note, ...]:
    size = {"models": len(row.models), "benchmarks": len(row.benchmarks), "missing": percent(row.missing_share)}
    reached = row.mean_family_r2
    straight = () if reached is None else (note("pca_straight", r2=f"{reached:.4f}"),)
    return (note("pca_of", **size), *straight, *dict.fromkeys(row.why.values()))
