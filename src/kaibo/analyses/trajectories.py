"""Scores along training: is accuracy a function of perplexity, of FLOPs or of size, and where do small models lead."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from kaibo.analyses.curves import (
    breakthroughness,
    cross_validated,
    fitted,
    knots_of,
    linearity,
    natural_basis,
    r_squared,
)
from kaibo.analyses.relation import benjamini_hochberg
from kaibo.errors import UsageError
from kaibo.version import __version__
from kaibo.vocabulary import Finding
from kaibo.vocabulary.scores import ScoreTable

Floats = NDArray[np.float64]
AGAINST = ("perplexity", "flops", "tokens", "step", "size")
GRID = 60
NOTES = (
    "checkpoints at step 0 are left out (no FLOPs)",
    "curves: natural cubic splines with five knots, in logarithms",
    "checkpoints of one run are not independent, so R² over left-out sizes decides, not p",
)


@dataclass(frozen=True)
class Explained:
    """How much of a score one variable explains: R² of a smooth curve, the same predicted over left-out sizes (for
    size itself over left-out steps), and the curve as points (x, y) with x in natural units.
    """

    against: str
    r2: float
    r2_left_out: float
    curve: tuple[tuple[float, float], ...]


@dataclass(frozen=True)
class SizeGivenPerplexity:
    """What size adds to a smooth curve of log perplexity: log size, and its product with log perplexity.

    `statistic` is the likelihood ratio n·ln(RSS₀/RSS₁) with `freedom` degrees, `p` its χ² tail, `q` after
    Benjamini–Hochberg over the scores. Checkpoints of one run are not independent, so p is too small; what
    decides is `gain`, the change of R² when each size is predicted from the others.
    """

    statistic: float
    freedom: int
    p: float
    q: float | None
    r2_without: float
    r2_with: float
    gain: float


@dataclass(frozen=True)
class Crossing:
    """Where a larger model overtakes a smaller one along training FLOPs: at `flops`, after the smaller led by up to
    `lead`, `lead_errors` standard errors of the difference. `flops` is None where the smaller never led clearly, or
    where it still leads at the last FLOPs that both reach (`still_leads`).
    """

    small: str
    large: str
    flops: float | None
    lead: float
    lead_errors: float | None
    still_leads: bool


@dataclass(frozen=True)
class TrajectoryPoint:
    """One checkpoint: model, size, step, tokens, FLOPs, perplexity and the score."""

    model: str
    parameters: float
    step: float
    tokens: float
    flops: float
    perplexity: float
    value: float


@dataclass(frozen=True)
class TrajectoryRow:
    """One score over all checkpoints. `best` is the variable whose curve predicts left-out sizes best."""

    benchmark: str
    n: int
    explained: tuple[Explained, ...]
    best: str
    size_adds: SizeGivenPerplexity | None
    crossings: tuple[Crossing, ...]
    linearity: float
    breakthroughness: float
    points: tuple[TrajectoryPoint, ...]
    why: Mapping[str, str] = field(default_factory=dict)


def find_perplexity(table: ScoreTable) -> str | None:
    """The first column that is a perplexity."""
    return next((name for name in table.benchmarks if name.rsplit(".", 1)[-1] in ("ppl", "perplexity")), None)


def trajectories(
    table: ScoreTable, benchmarks: Sequence[str] | None = None, perplexity: str | None = None
) -> Finding[TrajectoryRow]:
    """The finding for each score (every `acc` that is no subject of a larger test, by default).

    Needs parameters and step; raises UsageError without them. Checkpoints at step 0 have no FLOPs and are left out.
    """
    if np.isnan(table.fact("step")).all() or np.isnan(table.fact("parameters")).all():
        raise UsageError(f"{table.name} names no training steps or no sizes", next="add columns step and parameters")
    chosen = tuple(benchmarks) if benchmarks else _usual(table)
    column = perplexity or find_perplexity(table)
    begun = table.rows(table.fact("step") > 0)
    rows = tuple(_row(begun, name, column) for name in chosen if name != column)
    if column is not None and not benchmarks:
        rows += (_row(begun, column, None),)
    corrected = benjamini_hochberg([row.size_adds.p if row.size_adds else float("nan") for row in rows])
    rows = tuple(_corrected(row, q) for row, q in zip(rows, corrected, strict=True))
    return Finding(
        "trajectories", rows, (*table.notes, *NOTES), {"table": table.name, "kaibo": __version__, "perplexity": column}
    )


def _usual(table: ScoreTable) -> tuple[str, ...]:
    scores = [name for name in table.benchmarks if name.endswith(".acc")]
    whole = [name for name in scores if not name.startswith(("hendrycksTest-", "mmlu_", "crows_pairs", "bigbench_"))]
    return tuple(whole or scores or [name for name in table.benchmarks if name != find_perplexity(table)])


def _corrected(row: TrajectoryRow, q: float | None) -> TrajectoryRow:
    return row if row.size_adds is None else replace(row, size_adds=replace(row.size_adds, q=q))


def _row(table: ScoreTable, name: str, perplexity: str | None) -> TrajectoryRow:
    log = perplexity is None  # a perplexity spans decades: its logarithm is the score
    values = table.column(name)
    table, values = table.rows(~np.isnan(values)), values[~np.isnan(values)]
    variables = _variables(table, perplexity)
    y = np.log(values) if log else values
    sizes = table.fact("parameters")
    explained = []
    for against, x in variables.items():
        good = np.isfinite(x)
        if good.sum() < 8 or np.ptp(x[good]) == 0:
            continue
        folds = table.fact("step")[good] if against == "size" else sizes[good]
        explained.append(_explained(against, x[good], y[good], folds.tolist(), log))
    best = max(explained, key=lambda one: np.nan_to_num(one.r2_left_out, nan=-np.inf)).against if explained else ""
    end = _last(table, values)
    return TrajectoryRow(
        name, len(values), tuple(explained), best,
        _size_adds(variables["perplexity"], np.log(sizes), y, sizes) if perplexity else None,
        _crossings(table, name, y, better=-1.0 if log else 1.0),
        linearity(end), breakthroughness(end), _points(table, values, perplexity),
        {} if len(end) >= 3 else {"linearity": "fewer than three sizes reach a common last step"},
    )  # fmt: skip


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


def _size_adds(log_perplexity: Floats, log_size: Floats, y: Floats, sizes: Floats) -> SizeGivenPerplexity | None:
    from scipy import stats

    if len(np.unique(sizes)) < 3:
        return None
    base = natural_basis(log_perplexity, knots_of(log_perplexity))
    centred = log_size - log_size.mean()
    more = np.column_stack([base, centred, centred * (log_perplexity - log_perplexity.mean())])
    rest = [float(((y - design @ fitted(design, y)) ** 2).sum()) for design in (base, more)]
    if rest[1] <= 0:
        return None
    statistic = len(y) * float(np.log(rest[0] / rest[1]))
    without, with_size = (cross_validated(design, y, sizes.tolist()) for design in (base, more))
    return SizeGivenPerplexity(
        statistic, 2, float(stats.chi2.sf(statistic, 2)), None, without, with_size, with_size - without
    )


def _last(table: ScoreTable, values: Floats) -> Floats:
    """The scores of all sizes at the last step that all of them reach, smallest model first."""
    step, size = table.fact("step"), table.fact("parameters")
    common = set.intersection(*(set(step[size == one].tolist()) for one in np.unique(size)))
    if not common:
        return np.zeros(0)
    at = step == max(common)
    ordered: Floats = values[at][np.argsort(size[at])]
    return ordered


def _crossings(table: ScoreTable, name: str, y: Floats, better: float) -> tuple[Crossing, ...]:
    """Neighbouring sizes along FLOPs, each a line between its checkpoints, smoothed over three of them."""
    log_flops, size = np.log10(table.flops), table.fact("parameters")
    error = None if table.stderr is None else table.stderr[:, table.benchmarks.index(name)]
    named = table.labels.get("model", table.models)
    found = []
    for small, large in pairwise(np.unique(size)):
        curves = []
        for one in (small, large):
            rows = np.flatnonzero(size == one)
            rows = rows[np.argsort(log_flops[rows])]
            curves.append((log_flops[rows], _smoothed(better * y[rows])))
        begin, end = max(c[0][0] for c in curves), min(c[0][-1] for c in curves)
        if end <= begin:
            continue
        grid = np.linspace(begin, end, 400)
        lead = np.interp(grid, *curves[0]) - np.interp(grid, *curves[1])
        noise = None if error is None else float(np.sqrt(2) * np.nanmedian(error[np.isin(size, (small, large))]))
        first = [str(named[int(np.flatnonzero(size == one)[0])]) for one in (small, large)]
        found.append(_crossing(first[0], first[1], grid, lead, noise if better > 0 else None))
    return tuple(found)


def _smoothed(values: Floats) -> Floats:
    padded = np.concatenate([values[:1], values, values[-1:]])
    smooth: Floats = (padded[:-2] + padded[1:-1] + padded[2:]) / 3
    return smooth


def _crossing(small: str, large: str, grid: Floats, lead: Floats, noise: float | None) -> Crossing:
    most = float(lead.max())
    errors = most / noise if noise else None
    ahead = np.flatnonzero(lead > 0)
    real = most > 0 and (errors is None or errors >= 1)
    if not real or ahead[-1] == len(grid) - 1:
        return Crossing(small, large, None, max(most, 0.0), errors, real)
    # the last change of lead after the smaller model's best moment
    best = int(np.argmax(lead))
    after = np.flatnonzero(lead[best:] <= 0)
    place = best + int(after[0])
    return Crossing(small, large, float(10 ** grid[place]), most, errors, False)


def _points(table: ScoreTable, values: Floats, perplexity: str | None) -> tuple[TrajectoryPoint, ...]:
    named = table.labels.get("model", table.models)
    surprise = table.column(perplexity) if perplexity else np.full(len(values), np.nan)
    size, step, tokens, flops = table.fact("parameters"), table.fact("step"), table.fact("tokens"), table.flops
    return tuple(
        TrajectoryPoint(
            str(named[i]),
            float(size[i]),
            float(step[i]),
            float(tokens[i]),
            float(flops[i]),
            float(surprise[i]),
            float(values[i]),
        )
        for i in range(len(values))
    )
