"""Principal components of a score table, with what each number is worth: bootstrap, parallel analysis, influence."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from kaibo.chapters.pca.axes import Axes, fit_axes, parallel_analysis
from kaibo.chapters.pca.imputation import Imputation, ImputationSettings, fit_imputation
from kaibo.chapters.pca.kernels import bootstrap_components
from kaibo.errors import UsageError
from kaibo.uncertainty.resampling import LEAST_GROUPS, corrected_interval, family_weights, interval, row_weights
from kaibo.version import __version__
from kaibo.vocabulary import Finding
from kaibo.vocabulary.kinds import Drawing, Kind
from kaibo.vocabulary.scores import RANGES, ScoreTable, fractions

Floats = NDArray[np.float64]
Interval = tuple[float, float]
ROUNDING = 1e-9
"""How much more than chance a component must explain: beyond what rounding moves."""


@dataclass(frozen=True)
class ComponentSettings:
    """How components are computed: `standardise` columns first or only centre them; `impute` components fill the
    missing cells, on standardised columns if `impute_standardised`; `components` are reported (None: up to five).
    """

    components: int | None = None
    standardise: bool = False
    impute: int = 1
    impute_standardised: bool = True
    draws: int = 2000
    permutations: int = 1000
    seed: int = 0

    def imputation(self, table: ScoreTable) -> ImputationSettings:
        """The imputation of a table: cells are clipped to the valid range of their column's unit."""
        low, high = valid_range(table)
        return ImputationSettings(self.impute, self.impute_standardised, low=low, high=high)


@dataclass(frozen=True)
class ImputedCell:
    """A missing cell and how much it matters: its value, the range of two residual σ around it, and the largest move
    of PC1's explained share, of any loading of PC1 and of the model's own PC1 score when it lies at either end.
    """

    model: str
    benchmark: str
    value: float
    low: float
    high: float
    explained_shift: float
    loading_shift: float
    score_shift: float


@dataclass(frozen=True)
class FamilyLine:
    """PC1 against log10 training FLOPs within one family: number of models, slope, intercept and R²."""

    family: str
    n: int
    slope: float
    intercept: float
    r2: float


@dataclass(frozen=True)
class ComponentsRow:
    """The components of one table; field names are those of `--json`.

    `explained` are shares of the variance, with 95 % intervals from a bootstrap over families
    (`explained_interval`) and over models (`explained_interval_models`), their bias taken out; those of components
    that do not lead above chance are of sorted noise. `loadings` and their intervals have one
    list a benchmark, one entry a component; a sign is fixed so that loadings sum to a positive number. `parallel`
    is what each component must explain to lead above chance, on what those before it leave (`parallel_analysis`),
    and `kept_components` how many do. `scores` has one list a model. `flops` is log10 training FLOPs where known.
    """

    models: tuple[str, ...]
    benchmarks: tuple[str, ...]
    explained: tuple[float, ...]
    explained_interval: tuple[Interval, ...]
    explained_interval_models: tuple[Interval, ...]
    loadings: Mapping[str, tuple[float, ...]]
    loadings_interval: Mapping[str, tuple[Interval, ...]]
    parallel: tuple[float, ...]
    kept_components: int | None
    scores: Mapping[str, tuple[float, ...]]
    families: Mapping[str, str]
    log10_flops: Mapping[str, float]
    missing_share: float
    imputed: tuple[ImputedCell, ...]
    family_lines: tuple[FamilyLine, ...]
    mean_family_r2: float | None
    condition: float | None
    left_out: tuple[str, ...] = ()
    why: Mapping[str, str] = field(default_factory=dict)


PCA = Kind(
    "pca",
    ComponentsRow,
    __package__,
    opens=True,
    figures={
        "explained": Drawing("explained", "pca.explained_title", "pca.explained_caption"),
        "loadings": Drawing("loadings", "pca.loadings_title", "pca.loadings_caption"),
        "plane": Drawing("plane", "pca.plane_title", "pca.plane_caption"),
        "flops": Drawing("against_flops", "pca.flops_title", "pca.flops_caption"),
    },
)


def valid_range(table: ScoreTable) -> tuple[Floats, Floats]:
    """The lowest and highest possible score of each benchmark, shapes (benchmarks,).

    A fraction below 0 or above 1 that was measured (scores above chance can be negative) widens its column's range.
    """
    low = np.array([RANGES[unit][0] for unit in table.units])
    high = np.array([RANGES[unit][1] for unit in table.units])
    seen_low = np.array([np.nanmin(c) if not np.isnan(c).all() else np.inf for c in table.values.T])
    seen_high = np.array([np.nanmax(c) if not np.isnan(c).all() else -np.inf for c in table.values.T])
    return np.minimum(low, seen_low), np.maximum(high, seen_high)


def usable(table: ScoreTable) -> tuple[ScoreTable, tuple[str, ...]]:
    """The table without columns that say nothing (empty, constant) and models without a score, and notes on those."""
    notes = []
    here = ~np.isnan(table.values)
    tells = [bool(h.sum() >= 2 and np.ptp(c[h]) > 0) for c, h in zip(table.values.T, here.T, strict=True)]
    silent = [name for name, tell in zip(table.benchmarks, tells, strict=True) if not tell]
    if silent:
        notes.append(f"left out, for they are empty or constant: {', '.join(silent)}")
        table = table.only([name for name in table.benchmarks if name not in silent])
    scored: NDArray[np.bool_] = np.asarray(~np.isnan(table.values).all(axis=1))
    if not scored.all() and scored.any():
        nothing = [name for name, any_ in zip(table.models, scored, strict=True) if not any_]
        notes.append(
            f"left out, for they have no score here: {', '.join(nothing[:8])}{' …' if len(nothing) > 8 else ''}"
        )
        table = table.rows(scored)
    return table, tuple(notes)


def one_unit(table: ScoreTable, standardise: bool) -> tuple[ScoreTable, tuple[str, ...]]:
    """The table with percent as fractions where both occur. Raises UsageError where scales cannot be compared."""
    units = set(table.units)
    if standardise or len(units) <= 1:
        return table, ()
    if "points" in units:
        named = [name for name, unit in zip(table.benchmarks, table.units, strict=True) if unit == "points"]
        raise UsageError(
            f"{', '.join(named[:4])} count in points while other columns are percent or fractions",
            next="--standardise, or leave them out with --columns",
        )
    percent = np.array([unit == "percent" for unit in table.units])
    named = [name for name, is_percent in zip(table.benchmarks, percent, strict=True) if is_percent]
    values = np.where(percent, table.values / 100.0, table.values)
    note = f"read as percent and divided by 100, as the other columns are fractions: {', '.join(named)}"
    return replace(table, values=values, units=fractions(len(table.units))), (note,)


def components(
    table: ScoreTable, settings: ComponentSettings | None = None, left_out: Sequence[str] = ()
) -> Finding[ComponentsRow]:
    """PCA of a score table after imputation, with its uncertainty. `left_out` names columns dropped before (averages).

    Where there are fewer than three models or two columns, the numbers are absent and `why` says so.
    """
    settings = settings or ComponentSettings()
    table, dropped = usable(table)
    table, scaled = one_unit(table, settings.standardise)
    notes = (*table.notes, *dropped, *scaled, settings.imputation(table).sentence)
    source = {"table": table.name, "kaibo": __version__, "seed": settings.seed, "standardise": settings.standardise}
    if len(table.models) < 3 or len(table.benchmarks) < 2:
        row = _nothing(table, left_out)
    else:
        row, more = _computed(table, settings, tuple(left_out))
        notes += more
    return Finding(PCA, (row,), notes, source)


def _computed(
    table: ScoreTable, settings: ComponentSettings, left_out: tuple[str, ...]
) -> tuple[ComponentsRow, tuple[str, ...]]:
    imputation = fit_imputation(table.values, settings.imputation(table))
    kept = min(settings.components or 5, len(table.benchmarks), len(table.models) - 1)
    axes = fit_axes(imputation.filled, kept, settings.standardise)
    scores = axes.scores(imputation.filled)
    by_family, by_model = _bootstraps(table, settings, axes, kept)
    permutations = max(50, min(settings.permutations, int(2e8 / (table.values.size * (1 + len(table.benchmarks))))))
    line = parallel_analysis(imputation.filled, permutations, settings.seed + 1, settings.standardise, kept)
    whole = fit_axes(imputation.filled, len(line), settings.standardise).explained
    leading = int(np.argmin([*(whole > line + ROUNDING), False]))
    flops = table.flops
    with np.errstate(divide="ignore"):
        log_flops = np.where(flops > 0, np.log10(flops), np.nan)
    lines = family_lines(scores[:, 0], log_flops, table.families)
    well = [one.r2 for one in lines if one.n >= 3]
    why = {} if well else {"mean_family_r2": "no family has three models with known training FLOPs"}
    groups = len(set(table.families))
    if groups < LEAST_GROUPS:
        for name in ("explained_interval", "loadings_interval"):
            why[name] = f"an interval over families needs {LEAST_GROUPS} of them"
    if np.isinf(axes.condition):
        why["condition"] = "columns are linearly dependent, or there are no more models than columns"
    row = ComponentsRow(
        models=table.models,
        benchmarks=table.benchmarks,
        explained=tuple(axes.explained.tolist()),
        explained_interval=_pairs(*corrected_interval(axes.explained, by_family[0], groups)),
        explained_interval_models=_pairs(*corrected_interval(axes.explained, by_model[0], len(table.models))),
        loadings={name: tuple(axes.directions[:, j].tolist()) for j, name in enumerate(table.benchmarks)},
        loadings_interval=_loading_intervals(by_family[1], table.benchmarks, groups),
        parallel=tuple(line[:kept].tolist()),
        kept_components=leading,
        scores={name: tuple(scores[i].tolist()) for i, name in enumerate(table.models)},
        families=dict(zip(table.models, table.families, strict=True)),
        log10_flops={table.models[i]: float(log_flops[i]) for i in np.flatnonzero(~np.isnan(log_flops))},
        missing_share=float(np.isnan(table.values).mean()),
        imputed=_influence(table, imputation, axes, settings),
        family_lines=lines,
        mean_family_r2=float(np.mean(well)) if well else None,
        condition=axes.condition if np.isfinite(axes.condition) else None,
        left_out=left_out,
        why=why,
    )  # fmt: skip
    shape = f"{len(table.models)} models and {len(table.benchmarks)} columns"
    few = f"{shape}: with no more models than columns the later components are not determined"
    return row, () if len(table.models) > len(table.benchmarks) else (few,)


def _bootstraps(
    table: ScoreTable, settings: ComponentSettings, axes: Axes, kept: int
) -> tuple[tuple[Floats, Floats], tuple[Floats, Floats]]:
    rng = np.random.default_rng(settings.seed)
    draws = settings.draws if table.values.size < 20_000 else max(100, int(settings.draws * 20_000 / table.values.size))
    out = []
    for weights in (family_weights(table.families, draws, rng), row_weights(len(table.models), draws, rng)):
        weights[(weights > 0).sum(axis=1) < 3] = 0.0  # fewer than three models span no plane
        weights = weights[weights.sum(axis=1) > 0]
        explained, loadings = bootstrap_components(
            table.values, weights, valid_range(table), kept, impute=settings.impute,
            scaled=settings.impute_standardised, standardise=settings.standardise,
        )  # fmt: skip
        # a component of a draw points either way; it is turned to its counterpart in the whole table
        turn = np.sign(np.einsum("dkc,kc->dk", loadings, axes.directions))
        out.append((explained, loadings * np.where(turn == 0, 1.0, turn)[:, :, None]))
    return out[0], out[1]


def _pairs(low: Floats, high: Floats) -> tuple[Interval, ...]:
    return tuple((float(a), float(b)) for a, b in zip(low, high, strict=True))


def _loading_intervals(loadings: Floats, names: tuple[str, ...], groups: int) -> dict[str, tuple[Interval, ...]]:
    low, high = interval(loadings) if groups >= LEAST_GROUPS else np.full((2, *loadings.shape[1:]), np.nan)
    return {name: _pairs(low[:, j], high[:, j]) for j, name in enumerate(names)}


def _influence(
    table: ScoreTable, imputation: Imputation, axes: Axes, settings: ComponentSettings
) -> tuple[ImputedCell, ...]:
    """Each missing cell moved two residual σ down and up, everything else as it is."""
    low, high = valid_range(table)
    places = np.argwhere(np.isnan(table.values))[:500]
    cells = []
    base = axes.scores(imputation.filled)[:, 0]
    for i, j in places:
        value = float(imputation.filled[i, j])
        ends = np.clip(value + 2 * imputation.residual[j] * np.array([-1, 1]), low[j], high[j])
        moves = np.zeros((2, 3))
        for end, place in zip(ends, (0, 1), strict=True):
            moved = imputation.filled.copy()
            moved[i, j] = end
            other = fit_axes(moved, 1, settings.standardise)
            moves[place] = (
                abs(other.explained[0] - axes.explained[0]),
                np.abs(other.directions[0] - axes.directions[0]).max(),
                abs(other.scores(moved)[i, 0] - base[i]),
            )
        largest = moves.max(axis=0)
        cells.append(
            ImputedCell(
                table.models[i], table.benchmarks[j], value, float(ends[0]), float(ends[1]), *map(float, largest)
            )
        )
    return tuple(cells)


def family_lines(score: Floats, log_flops: Floats, families: Sequence[str]) -> tuple[FamilyLine, ...]:
    """A line of the score against log10 FLOPs for each family with at least two models of known FLOPs."""
    lines = []
    for family in dict.fromkeys(families):
        chosen = np.array([one == family for one in families]) & ~np.isnan(log_flops)
        x, y = log_flops[chosen], score[chosen]
        if len(x) < 2 or np.ptp(x) == 0:
            continue
        slope, intercept = np.polyfit(x, y, 1)
        spread = float(((y - y.mean()) ** 2).sum())
        r2 = 1 - float(((y - slope * x - intercept) ** 2).sum()) / spread if spread > 0 else float("nan")
        lines.append(FamilyLine(family, len(x), float(slope), float(intercept), r2))
    return tuple(lines)


def _nothing(table: ScoreTable, left_out: Sequence[str]) -> ComponentsRow:
    reason = f"{len(table.models)} models and {len(table.benchmarks)} columns that vary; PCA needs three and two"
    why = dict.fromkeys(("explained", "loadings", "kept_components", "scores", "condition", "mean_family_r2"), reason)
    families = dict(zip(table.models, table.families, strict=True))
    return ComponentsRow(
        table.models, table.benchmarks, (), (), (), {}, {}, (), None, {}, families, {},
        float(np.isnan(table.values).mean()) if table.values.size else 0.0, (), (), None, None, tuple(left_out), why,
    )  # fmt: skip
