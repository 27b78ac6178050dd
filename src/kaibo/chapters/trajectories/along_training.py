"""Scores along training: is accuracy a function of perplexity, of FLOPs or of size, and where do small models lead."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from kaibo.chapters.trajectories.crossings import crossings
from kaibo.chapters.trajectories.nested import size_adds
from kaibo.chapters.trajectories.rows import TRAJECTORIES, Explained, TrajectoryPoint, TrajectoryRow
from kaibo.chapters.trajectories.shapes import shapes, smoothed_by_run
from kaibo.chapters.trends.curves import cross_validated, fitted, knots_of, natural_basis, r_squared
from kaibo.errors import UsageError
from kaibo.uncertainty.discovery import benjamini_hochberg
from kaibo.uncertainty.intervals import Z, bounded
from kaibo.version import __version__
from kaibo.vocabulary import Finding
from kaibo.vocabulary.scores import RANGES, ScoreTable, Unit
from kaibo.words import note

Floats = NDArray[np.float64]
AGAINST = ("perplexity", "flops", "tokens", "step", "size")
GRID = 60
_NEEDED = {"step": "training steps", "parameters": "sizes"}
NOTES = (
    note("trajectory_zero"),
    note("trajectory_curves"),
    note("trajectory_runs"),
)


def find_perplexity(table: ScoreTable) -> str | None:
    """The first column that is a perplexity."""
    return next((name for name in table.benchmarks if name.rsplit(".", 1)[-1] in ("ppl", "perplexity")), None)


def is_surprise(benchmark: str) -> bool:
    """Whether a column is a perplexity: lower is better, and its logarithm is what is fitted."""
    metric = benchmark.rsplit(".", 1)[-1]
    return metric == "perplexity" or metric.split("_", 1)[0] == "ppl"


def trajectories(
    table: ScoreTable,
    benchmarks: Sequence[str] | None = None,
    perplexity: str | None = None,
    *,
    smooth: float = 0.0,
    seed: int = 0,
) -> Finding[TrajectoryRow]:
    """The finding for each score (by default: `acc` but of subjects of a larger test, and perplexities of options).

    `smooth` is how much of its past an exponential average keeps, for the shapes and the lines. Needs parameters and
    step; raises UsageError without them. Checkpoints at step 0 have no FLOPs and are left out.
    """
    absent = [said for fact, said in _NEEDED.items() if np.isnan(table.fact(fact)).all()]
    if absent:
        columns = " and ".join(fact for fact, said in _NEEDED.items() if said in absent)
        raise UsageError(f"{table.name} names no {' and no '.join(absent)}", next=f"add columns: {columns}")
    if not 0 <= smooth < 1:
        raise UsageError(f"--smooth {smooth:g} is no share below 1", next="write --smooth 0.5")
    chosen = tuple(benchmarks) if benchmarks else _usual(table)
    column = perplexity or find_perplexity(table)
    begun = table.rows(table.fact("step") > 0)
    asked = [(name, column) for name in chosen if name != column]
    if column is not None and not benchmarks:
        asked.append((column, None))
    rows = tuple(_row(begun, name, held, smooth, seed) for name, held in asked)
    rates = benjamini_hochberg([row.size_adds.p if row.size_adds else float("nan") for row in rows])
    rows = tuple(_corrected(row, q) for row, q in zip(rows, rates, strict=True))
    source = {"table": table.name, "kaibo": __version__, "perplexity": column, "smooth": smooth}
    return Finding(TRAJECTORIES, rows, (*table.notes, *NOTES), source)


def _usual(table: ScoreTable) -> tuple[str, ...]:
    scores = [name for name in table.benchmarks if name.endswith(".acc")]
    whole = [name for name in scores if not name.startswith(("hendrycksTest-", "mmlu_", "crows_pairs", "bigbench_"))]
    options = [name for name in table.benchmarks if name.rsplit(".", 1)[-1] in ("ppl_right", "ppl_wrong")]
    chosen = [*(whole or scores), *options]
    return tuple(chosen or [name for name in table.benchmarks if name != find_perplexity(table)])


def _corrected(row: TrajectoryRow, q: float | None) -> TrajectoryRow:
    return row if row.size_adds is None else replace(row, size_adds=replace(row.size_adds, q=q))


def _row(table: ScoreTable, name: str, perplexity: str | None, smooth: float, seed: int) -> TrajectoryRow:
    log = is_surprise(name)  # a perplexity spans decades: its logarithm is the score
    table = table.rows(~np.isnan(table.column(name)))
    values = table.column(name)
    y = np.log(values) if log else values
    error = _errors(table, name, log)
    even = smoothed_by_run(table, y, smooth)
    shaped = shapes(table, name, (y, error), smooth, seed) if len(values) else ()
    explained = _all_explained(table, perplexity, y, log)
    best = max(explained, key=lambda one: np.nan_to_num(one.r2_left_out, nan=-np.inf)).against if explained else ""
    sizes = table.fact("parameters")
    over_size = next((one for one in shaped if one.over == "size"), None)
    none = float("nan")
    unit = table.units[table.benchmarks.index(name)]
    low, high, even = (np.exp(one) if log else one for one in (*_ends(y, error, unit, log), even))
    return TrajectoryRow(
        name, len(values), explained, best,
        size_adds(np.log(table.column(perplexity)), sizes, y, error, seed) if perplexity else None,
        crossings(table, name, y, error, better=-1.0 if log else 1.0, seed=seed),
        over_size.linearity if over_size else none, over_size.breakthroughness if over_size else none,
        _points(table, values, (low, high, even), perplexity), shaped,
        {} if over_size and over_size.n >= 3 else {"linearity": "fewer than three sizes reach a common last step"},
    )  # fmt: skip


def _errors(table: ScoreTable, name: str, log: bool) -> Floats | None:
    """The standard errors of a score, of a perplexity on the scale of nats; None where none is known."""
    if table.stderr is None:
        return None
    error = table.stderr[:, table.benchmarks.index(name)]
    found: Floats = error / table.column(name) if log else error
    return None if np.isnan(found).all() else found


def _all_explained(table: ScoreTable, perplexity: str | None, y: Floats, log: bool) -> tuple[Explained, ...]:
    explained = []
    for against, x in _variables(table, perplexity).items():
        good = np.isfinite(x)
        if good.sum() < 8 or np.ptp(x[good]) == 0:
            continue
        folds = table.fact("step" if against == "size" else "parameters")[good]
        explained.append(_explained(against, x[good], y[good], folds.tolist(), log))
    return tuple(explained)


def _variables(table: ScoreTable, perplexity: str | None) -> dict[str, Floats]:
    with np.errstate(divide="ignore", invalid="ignore"):
        variables = {
            "flops": np.log(table.flops),
            "tokens": np.log(table.fact("tokens")),
            "step": np.log(table.fact("step")),
            "size": np.log(table.fact("parameters")),
        }
        if perplexity is not None:
            variables = {"perplexity": np.log(table.column(perplexity)), **variables}
    return variables


def _explained(against: str, x: Floats, y: Floats, folds: list[float], log: bool) -> Explained:
    knots = knots_of(x)
    design = natural_basis(x, knots)
    weights = fitted(design, y)
    grid = np.linspace(x.min(), x.max(), GRID)
    heights = natural_basis(grid, knots) @ weights
    curve = zip(np.exp(grid).tolist(), (np.exp(heights) if log else heights).tolist(), strict=True)
    return Explained(against, r_squared(y, design @ weights), cross_validated(design, y, folds), tuple(curve))


def _ends(y: Floats, error: Floats | None, unit: Unit, log: bool) -> tuple[Floats, Floats]:
    """The 95 % ends of scores: nats from 0 on, shares from none to all of their unit, anywhere where one is not so."""
    reach = np.full(len(y), np.nan) if error is None else Z * error
    least, most = (0.0, np.inf) if log else RANGES.get(unit, (-np.inf, np.inf))
    plain = y - reach, y + reach
    if np.isinf(least) or y.min(initial=np.inf) < least or y.max(initial=-np.inf) > most:
        return plain
    leaves = (plain[0] < least) | (plain[1] > most)
    low, high = (np.where(leaves, own, end) for own, end in zip(bounded(y, reach, least, most), plain, strict=True))
    return low, high


def _points(
    table: ScoreTable, values: Floats, drawn: tuple[Floats, Floats, Floats], perplexity: str | None
) -> tuple[TrajectoryPoint, ...]:
    """Every checkpoint; `drawn` are the ends of the interval and the exponential average."""
    named = table.labels.get("model", table.models)
    surprise = table.column(perplexity) if perplexity else np.full(len(values), np.nan)
    facts = [table.fact("parameters"), table.fact("step"), table.fact("tokens"), table.flops, surprise, values]

    def known(value: float) -> float | None:
        return float(value) if np.isfinite(value) else None

    return tuple(
        TrajectoryPoint(str(named[i]), *(float(one[i]) for one in facts), *(known(one[i]) for one in drawn))
        for i in range(len(values))
    )
