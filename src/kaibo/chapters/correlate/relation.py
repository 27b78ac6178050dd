"""Does one measurement go with another: correlations with intervals, permutation p, influence, and how many models
it would take to know.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from kaibo.uncertainty.correlation import Association, association, fisher_interval, needed, student_p
from kaibo.uncertainty.discovery import benjamini_hochberg
from kaibo.uncertainty.permutation import permutation_p
from kaibo.version import __version__
from kaibo.vocabulary import Finding
from kaibo.vocabulary.kinds import Drawing, Kind
from kaibo.words import Note, note

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Influence:
    """What Pearson's r is without one model, and by how much it moves."""

    model: str
    pearson: float
    shift: float


@dataclass(frozen=True)
class Point:
    """One model of the joined table; None where it lacks one of the two."""

    model: str
    x: float | None
    y: float | None
    third: float | None = None


@dataclass(frozen=True)
class CorrelateRow:
    """How x goes with y over `n` models; `pearson`, `p`, `low`, `high` speak of Pearson's r, the rest stands beside.

    `needed` is how many models would show such an r at 80 % power and 5 % level. `q` is p after
    Benjamini–Hochberg over the pairs of the finding. `partial` holds Pearson's r given the third measurement.
    `points` are sorted by y, models without one of the two last.
    """

    x: str
    y: str
    n: int
    pearson: float
    p: float
    low: float
    high: float
    permutation_p: float
    spearman: float
    spearman_low: float
    spearman_high: float
    spearman_p: float
    kendall: float
    kendall_low: float
    kendall_high: float
    kendall_p: float
    needed: int | None
    q: float | None
    given: str | None
    partial: Association | None
    influence: tuple[Influence, ...]
    points: tuple[Point, ...]
    why: Mapping[str, Note] = field(default_factory=dict)

    @property
    def n_models(self) -> int:
        """`n` under the name that tables give it."""
        return self.n

    @property
    def needed_models(self) -> int | None:
        """`needed` under the name that tables give it."""
        return self.needed


CORRELATE = Kind(
    "correlate",
    CorrelateRow,
    __package__,
    opens=True,
    columns=(
        "x",
        "y",
        "n_models",
        "pearson",
        "low",
        "high",
        "p",
        "permutation_p",
        "q",
        "spearman",
        "kendall",
        "needed_models",
    ),
    label="relation.pairs",
    figures={"scatter": Drawing("scatter", "relation.title", "relation.scatter_caption")},
)


@dataclass(frozen=True)
class Pair:
    """Two measurements by model, and a third to hold fixed if there is one."""

    x: str
    y: str
    x_values: Mapping[str, float]
    y_values: Mapping[str, float]
    third: str | None = None
    third_values: Mapping[str, float] = field(default_factory=dict)


def correlate(pairs: Sequence[Pair], seed: int = 0) -> Finding[CorrelateRow]:
    """A row a pair, p corrected over all of them (Benjamini and Hochberg 1995)."""
    rows = [_row(pair, seed) for pair in pairs]
    if len(rows) > 1:
        corrected = benjamini_hochberg([row.p for row in rows])
        rows = [replace(row, q=q) for row, q in zip(rows, corrected, strict=True)]
    scope = (note("correlate_q", count=len(rows)),) if len(rows) > 1 else ()
    notes = (note("correlate_intervals"), *scope)
    return Finding(CORRELATE, tuple(rows), notes, {"kaibo": __version__, "seed": seed})


def _row(pair: Pair, seed: int) -> CorrelateRow:
    points = _points(pair)
    both = [(p.model, p.x, p.y) for p in points if p.x is not None and p.y is not None]
    x, y = np.array([a for _, a, _ in both], dtype=float), np.array([b for _, _, b in both], dtype=float)
    why: dict[str, Note] = {}
    if len(x) < 3:
        why["pearson"] = note("correlate_few", count=len(x))
    elif np.ptp(x) == 0 or np.ptp(y) == 0:
        why["pearson"] = note("correlate_constant", name=pair.x if np.ptp(x) == 0 else pair.y)
    if why:
        lost = dict.fromkeys(("p", "low", "high", "spearman", "kendall", "needed"), why["pearson"]) | why
        nan = math.nan
        return CorrelateRow(
            pair.x,
            pair.y,
            len(x),
            *(nan,) * 5,
            *(nan,) * 4,
            *(nan,) * 4,
            None,
            None,
            pair.third,
            None,
            (),
            points,
            lost,
        )
    r, rank, tau = (association(x, y, kind, seed) for kind in ("pearson", "spearman", "kendall"))
    if math.isnan(r.low):
        why |= dict.fromkeys(("low", "high"), note("correlate_four"))
    if math.isnan(tau.low):
        why |= dict.fromkeys(("kendall_low", "kendall_high"), note("correlate_five"))
    return CorrelateRow(
        pair.x, pair.y, len(x), r.r, r.p, r.low, r.high, r.permutation_p, rank.r, rank.low, rank.high,
        rank.permutation_p, tau.r, tau.low, tau.high, tau.permutation_p, needed(r.r), None, pair.third,
        _partial(points, seed) if pair.third else None, influence([m for m, _, _ in both], x, y), points, why,
    )  # fmt: skip


def _points(pair: Pair) -> tuple[Point, ...]:
    def get(values: Mapping[str, float], model: str) -> float | None:
        value = values.get(model)
        return None if value is None or math.isnan(value) else float(value)

    models = dict.fromkeys([*pair.y_values, *pair.x_values])
    points = [Point(m, get(pair.x_values, m), get(pair.y_values, m), get(pair.third_values, m)) for m in models]
    points = [point for point in points if point.x is not None or point.y is not None]
    return tuple(sorted(points, key=lambda p: (p.y is None, p.x is None, -(p.y or 0.0), p.model)))


def influence(models: Sequence[str], x: Floats, y: Floats) -> tuple[Influence, ...]:
    """Pearson's r without each model in turn, the largest move first."""
    whole = float(np.corrcoef(x, y)[0, 1])
    out = []
    for place, model in enumerate(models):
        a, b = np.delete(x, place), np.delete(y, place)
        if len(a) < 3 or np.ptp(a) == 0 or np.ptp(b) == 0:
            continue
        r = float(np.corrcoef(a, b)[0, 1])
        out.append(Influence(model, r, r - whole))
    return tuple(sorted(out, key=lambda one: -abs(one.shift)))


def _partial(points: Sequence[Point], seed: int) -> Association | None:
    kept = np.array([(p.x, p.y, p.third) for p in points if None not in (p.x, p.y, p.third)], dtype=float)
    if len(kept) < 4 or (np.ptp(kept, axis=0) == 0).any():
        return None
    design = np.column_stack([np.ones(len(kept)), kept[:, 2]])
    left, *_ = np.linalg.lstsq(design, kept[:, :2], rcond=None)
    rest = kept[:, :2] - design @ left
    scale = kept[:, :2].std(axis=0)
    if (rest.std(axis=0) < 1e-9 * scale).any():
        return None
    r = float(np.clip(np.corrcoef(rest.T)[0, 1], -1, 1))
    low, high = fisher_interval(r, len(kept), "pearson", given=1)
    return Association(
        r, low, high, student_p(r, len(kept) - 3), permutation_p(rest[:, 0], rest[:, 1], "pearson", seed)
    )
