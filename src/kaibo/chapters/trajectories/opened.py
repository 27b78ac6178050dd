"""Scores along training as tables: what explains each, what size adds, their shapes, and where small models lead."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, make_dataclass
from typing import Any

from kaibo.chapters.trajectories.crossings import Crossing
from kaibo.chapters.trajectories.rows import TrajectoryRow
from kaibo.chapters.trajectories.shapes import Shape
from kaibo.vocabulary import Finding
from kaibo.vocabulary.kinds import Kind


@dataclass(frozen=True)
class SizeAdds:
    """What size adds to perplexity: the likelihood ratio with its p, and R² on left-out sizes with its null."""

    benchmark: str
    statistic: float
    p: float
    q: float | None
    r2_without: float
    r2_with: float
    gain: float
    gain_null: float | None
    gain_p: float | None


ADDS = Kind("trajectories-size", SizeAdds, __package__, label="trajectories.adds")
SHAPES = Kind(
    "trajectories-shapes",
    Shape,
    __package__,
    columns=(
        "benchmark",
        "over",
        "run",
        "linearity",
        "linearity_low",
        "linearity_high",
        "linearity_null",
        "breakthroughness",
        "breakthroughness_low",
        "breakthroughness_high",
        "breakthroughness_null",
    ),
    terms={"over": "axis"},
    label="trajectories.shapes",
)
CROSSINGS = Kind(
    "trajectories-crossings",
    Crossing,
    __package__,
    columns=("benchmark", "small", "large", "flops", "still_leads", "lead", "lead_errors"),
    label="trajectories.crossings",
)


def opened(finding: Finding[TrajectoryRow]) -> tuple[Finding[Any], ...]:
    """The scores, a line each, and the further tables of all of them."""
    parts = (_explained(finding), *_parts(finding.rows))
    further = tuple(Finding(kind, tuple(rows), (), finding.provenance) for kind, rows in parts)
    return (finding, *further)


def _explained(finding: Finding[TrajectoryRow]) -> tuple[Kind[Any], list[Any]]:
    """R² of a smooth curve over each variable, which the scores' own table does not have."""
    names = list(dict.fromkeys(one.against for row in finding for one in row.explained))
    line = make_dataclass("ExplainedLine", ["benchmark", *(f"curve_{name}" for name in names)], frozen=True)
    rows = []
    for row in finding:
        r2 = {one.against: one.r2 for one in row.explained}
        rows.append(line(row.benchmark, *(r2.get(name) for name in names)))
    return Kind("trajectories-explained", line, __package__, label="trajectories.explained"), rows


def _parts(rows: tuple[TrajectoryRow, ...]) -> Iterator[tuple[Kind[Any], list[Any]]]:
    yield (
        ADDS,
        [
            SizeAdds(
                row.benchmark,
                one.statistic,
                one.p,
                one.q,
                one.r2_without,
                one.r2_with,
                one.gain,
                one.gain_null,
                one.gain_p,
            )
            for row in rows
            if (one := row.size_adds)
        ],
    )
    yield SHAPES, [one for row in rows for one in row.shapes]
    led = (one for row in rows for one in row.crossings if one.flops is not None or one.still_leads)
    yield CROSSINGS, [*led]
