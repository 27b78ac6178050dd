"""How a score climbs with scale: evenly or in one jump, as BIG-bench counts it, with interval and null."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from kaibo.chapters.trends.curves import exponential_average, shapes_of
from kaibo.vocabulary.scores import ScoreTable

Floats = NDArray[np.float64]

GRID = 9
"""Even places in log FLOPs at which a run's scores are read, between its checkpoints by a line."""

DRAWS = 1000
FEW = "fewer than three scores"
NO_ERRORS = "the scores have no standard errors"


@dataclass(frozen=True)
class Shape:
    """Linearity and breakthroughness of one score over `n` scales.

    `over` is "size" (all models at the last step that they share) or "flops" (the checkpoints of `run`, read at even
    places of log FLOPs). `_low` and `_high` are 95 % over draws of the scores from their standard errors, `_null` the
    95 % quantile of the absolute value where no score differs but for those errors.
    """

    benchmark: str
    over: str
    run: str | None
    n: int
    linearity: float
    linearity_low: float | None
    linearity_high: float | None
    linearity_null: float | None
    breakthroughness: float
    breakthroughness_low: float | None
    breakthroughness_high: float | None
    breakthroughness_null: float | None
    why: dict[str, str] = field(default_factory=dict)


def smoothed_by_run(table: ScoreTable, y: Floats, keep: float) -> Floats:
    """The exponential average of the scores of each run, in order of its steps; shape of `y`."""
    out = np.array(y, np.float64)
    for rows in runs_of(table).values():
        out[rows] = exponential_average(y[rows], keep)
    return out


def runs_of(table: ScoreTable) -> dict[str, NDArray[np.intp]]:
    """The rows of each run in order of their steps, smaller models first."""
    named = [str(name) for name in table.labels.get("model", table.fact("parameters").tolist())]
    sizes, steps = table.fact("parameters"), table.fact("step")
    order = np.lexsort((steps, sizes))
    return {
        name: np.array([at for at in order if named[at] == name]) for name in dict.fromkeys(named[at] for at in order)
    }


def last_shared(table: ScoreTable) -> NDArray[np.intp]:
    """The rows at the last step that all runs reach, smallest model first; empty where they share none."""
    step = table.fact("step")
    several = runs_of(table).values()
    common = set.intersection(*(set(step[rows].tolist()) for rows in several)) if several else set()
    if not common:
        return np.zeros(0, np.intp)
    return np.array([rows[step[rows] == max(common)][0] for rows in several])


def shapes(
    table: ScoreTable, name: str, scores: tuple[Floats, Floats | None], keep: float, seed: int
) -> tuple[Shape, ...]:
    """The shape over sizes, and over the FLOPs of each run.

    `scores` are those called `name` in table order, and their standard errors; an exponential average along each run
    keeps so much.
    """
    y, error = scores
    smooth = np.eye(len(y))
    for rows in runs_of(table).values():
        smooth[np.ix_(rows, rows)] = exponential_average(np.eye(len(rows)), keep).T
    at = last_shared(table)
    readings: list[tuple[str, str | None, Floats]] = [("size", None, smooth[at])]
    log_flops = np.log(np.where(table.flops > 0, table.flops, np.nan))
    for run, rows in runs_of(table).items():
        if len(rows) >= 3 and np.isfinite(log_flops[rows]).all() and np.ptp(log_flops[rows]) > 0:
            readings.append(("flops", run, _reading(log_flops[rows]) @ smooth[rows]))
    draws = np.random.default_rng([seed, 11])
    lots = None if error is None else draws.normal(size=(DRAWS, len(y))) * error
    return tuple(_shape((name, over, run), reading, y, lots) for over, run, reading in readings)


def _reading(x: Floats) -> Floats:
    """The matrix that reads a line through values at `x` at even places; shape (GRID, len(x))."""
    grid = np.linspace(x[0], x[-1], GRID)
    return np.stack([np.interp(grid, x, column) for column in np.eye(len(x))], axis=1)


def _shape(what: tuple[str, str, str | None], reading: Floats, y: Floats, lots: Floats | None) -> Shape:
    """One shape: `reading` (scales, scores) reads the scores at the scales, `lots` are draws of their errors."""
    n = len(reading)
    own = [float(one[0]) for one in shapes_of((reading @ y)[None])]
    noise = None if lots is None else lots @ reading.T
    if n < 3 or noise is None or not np.isfinite(noise).all():
        why = {"linearity_low": FEW if n < 3 else NO_ERRORS}
        return Shape(*what, n, own[0], None, None, None, own[1], None, None, None, why)
    drawn = [np.nan_to_num(one, nan=0.0) for one in shapes_of(reading @ y + noise)]
    flat = [np.abs(np.nan_to_num(one, nan=0.0)) for one in shapes_of(noise)]
    low, high = ([float(np.quantile(one, share)) for one in drawn] for share in (0.025, 0.975))
    null = [float(np.quantile(one, 0.95)) for one in flat]
    return Shape(*what, n, own[0], low[0], high[0], null[0], own[1], low[1], high[1], null[1])
