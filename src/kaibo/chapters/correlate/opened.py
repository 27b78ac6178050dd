"""Correlations as tables: a line a pair; of one pair also what is held fixed, each model left out, and every model."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from kaibo.chapters.correlate.relation import CorrelateRow, Influence, Point
from kaibo.vocabulary import Finding
from kaibo.vocabulary.kinds import Kind
from kaibo.words import Note, note

MOST_INFLUENCES = 10


@dataclass(frozen=True)
class Partial:
    """Pearson's r with a third measurement held fixed."""

    given: str
    r: float
    low: float
    high: float
    p: float
    permutation_p: float


PARTIAL = Kind("correlate-partial", Partial, __package__, label="relation.partial")
INFLUENCE = Kind("correlate-influence", Influence, __package__, label="relation.influence")
POINTS = Kind("correlate-points", Point, __package__, columns=("model", "x", "y"), label="relation.points")


def opened(finding: Finding[CorrelateRow]) -> tuple[Finding[Any], ...]:
    """The pairs; where there is one, its further tables."""
    if len(finding.rows) > 1:
        return (finding,)
    row = finding.rows[0]
    further = (Finding(kind, tuple(rows), (), finding.provenance) for kind, rows in _parts(row))
    return (Finding(finding.kind, finding.rows, tuple(_notes(row)), finding.provenance), *further)


def _parts(row: CorrelateRow) -> Iterator[tuple[Kind[Any], list[Any]]]:
    one = row.partial
    yield PARTIAL, [Partial(row.given or "", one.r, one.low, one.high, one.p, one.permutation_p)] if one else []
    yield INFLUENCE, [*row.influence[:MOST_INFLUENCES]]
    yield POINTS, [*row.points]


def _notes(row: CorrelateRow) -> Iterator[Note]:
    yield note("correlate_axes", x=row.x, y=row.y)
    if row.needed:
        yield note("correlate_needed", needed=row.needed, r=f"{row.pearson:.2f}")
    yield from dict.fromkeys(row.why.values())
