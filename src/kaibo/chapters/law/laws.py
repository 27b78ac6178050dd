"""Scaling laws of a score: on components of other scores, on size, on FLOPs; compared, and honest about new models."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from kaibo.chapters.law.lawfit import FEWEST_FAMILIES, Chosen, FitSettings, Fitted, choose_components, fit, fold_errors
from kaibo.chapters.law.rows import LAW, Comparison, LawRow, Residual
from kaibo.chapters.law.splits import Split
from kaibo.chapters.pca.axes import Axes, fit_axes
from kaibo.chapters.pca.components import ComponentSettings, one_unit, usable
from kaibo.chapters.pca.imputation import Imputation, fit_imputation
from kaibo.errors import UsageError
from kaibo.uncertainty.resampling import family_weights, interval
from kaibo.version import __version__
from kaibo.vocabulary import Finding
from kaibo.vocabulary.scores import ScoreTable
from kaibo.words import Note, note

Floats = NDArray[np.float64]
MOST_COMPONENTS = 5
_PERPLEXITY = re.compile(r"(^|[^a-z])(ppl|perplexity)", re.IGNORECASE)


@dataclass(frozen=True)
class LawSettings:
    """What a law is asked: the `columns` behind the components, how many components (None: nested cross-validation
    chooses), the fit, the split, the chance level of the target, and the family whose FLOPs are the yardstick.
    """

    columns: tuple[str, ...] = ()
    components: int | None = 3
    fit: FitSettings = field(default_factory=FitSettings)
    split: Split = field(default_factory=Split)
    chance: float = 0.0
    reference: str | None = None


@dataclass(frozen=True, eq=False)
class Prepared:
    """A table made ready for laws: only models with the target, the target above chance, the split, predictors.

    `predictors` maps a set's name to its columns (models, d), NaN where unknown.
    """

    table: ScoreTable
    target: Floats
    train: NDArray[np.bool_]
    predictors: Mapping[str, Floats]
    imputation: Imputation | None
    axes: Axes | None
    columns: tuple[str, ...]
    notes: tuple[Note, ...]


def prepare(table: ScoreTable, target: str, settings: LawSettings) -> Prepared:
    """Leaves out models without the target, splits, fits imputation and components on the training rows only."""
    y = table.column(target)
    keep = ~np.isnan(y)
    table, y = table.rows(keep), y[keep]
    unit = table.units[table.benchmarks.index(target)] if target in table.benchmarks else "points"
    y = y / 100.0 if unit == "percent" else y
    y = (y - settings.chance) / (1 - settings.chance)
    notes: tuple[Note, ...] = ()
    if settings.fit.form in ("power", "chinchilla") and _PERPLEXITY.search(target):
        y, notes = np.log(y), (note("law_of_logarithm", target=target),)
    elif settings.fit.form in ("power", "chinchilla") and unit in ("fraction", "percent"):
        y, notes = 1.0 - y, (note("law_of_error", target=target),)
    train = settings.split.train(table.flops, y, settings.fit.seed)
    with np.errstate(divide="ignore", invalid="ignore"):
        size, flops = np.log(table.fact("parameters"))[:, None], np.log(table.flops)[:, None]
        tokens = np.log(table.fact("tokens"))[:, None]
    logs = {"size": size, "flops": flops, "tokens": tokens}
    known = {name: np.where(np.isfinite(x), x, np.nan) for name, x in logs.items() if np.isfinite(x[train]).any()}
    if settings.fit.form in ("power", "chinchilla"):
        return Prepared(table, y, train, _for_power(known, settings.fit.form, target), None, None, (), notes)
    known.pop("tokens", None)
    columns = tuple(name for name in settings.columns if name != target)
    if not columns:
        return Prepared(table, y, train, known, None, None, (), ())
    scores, imputation, axes, columns, notes = _component_scores(table, columns, train)
    most = min(settings.components or MOST_COMPONENTS, scores.shape[1])
    known |= {f"PC{k}": scores[:, :k] for k in range(1, most + 1)}
    return Prepared(table, y, train, known, imputation, axes, columns, notes)


def _for_power(known: Mapping[str, Floats], form: str, target: str) -> dict[str, Floats]:
    if form == "chinchilla":
        if not {"size", "tokens"} <= known.keys():
            raise UsageError(f"a Chinchilla law of {target} needs parameters and tokens", next="add both columns")
        return {"size+tokens": np.hstack([known["size"], known["tokens"]])}
    return {name: x for name, x in known.items() if np.nanmax(x) > np.nanmin(x)}


def _component_scores(
    table: ScoreTable, columns: Sequence[str], train: NDArray[np.bool_]
) -> tuple[Floats, Imputation, Axes, tuple[str, ...], tuple[Note, ...]]:
    part, scaled = one_unit(table.only(columns), standardise=False)
    fitting, notes = usable(part.rows(train))
    part = part.only(fitting.benchmarks)
    settings = ComponentSettings()
    if len(fitting.models) < 3 or len(fitting.benchmarks) < 2:
        raise UsageError(
            f"{len(fitting.models)} training models and {len(fitting.benchmarks)} columns are too few for components"
        )
    imputation = fit_imputation(fitting.values, settings.imputation(fitting))
    axes = fit_axes(imputation.filled, MOST_COMPONENTS)
    filled = imputation.apply(part.values)
    where = {name: place for place, name in enumerate(fitting.models)}
    for row in np.flatnonzero(train):  # training rows keep the values they were fitted with
        if part.models[row] in where:
            filled[row] = imputation.filled[where[part.models[row]]]
    scores = axes.scores(filled)
    scores[np.isnan(part.values).all(axis=1)] = np.nan
    return scores, imputation, axes, fitting.benchmarks, (*scaled, *notes)


@dataclass(frozen=True, eq=False)
class Laws:
    """Every law of one target, fitted: the finding's row, and what a forecast needs."""

    row: LawRow
    prepared: Prepared
    fitted: Mapping[str, Fitted]
    settings: LawSettings

    @property
    def _bounds(self) -> tuple[Note, ...]:
        """Which floors ran into their bound: the data do not show where the law levels off."""
        named = [name for name, law in self.fitted.items() if law.form.log_errors and law.theta[0] <= law.form.low[0]]
        return (note("law_no_floor", names=", ".join(named)),) if named else ()

    @property
    def finding(self) -> Finding[LawRow]:
        """The row as a finding."""
        prepared = self.prepared
        held = {"table": prepared.table.name, "kaibo": __version__, "seed": self.settings.fit.seed}
        notes = (*prepared.table.notes, *prepared.notes, *self._bounds, self.settings.split.sentence, INTERVAL_NOTE)
        return Finding(LAW, (self.row,), notes, held)


FOLD_DRAWS, FOLD_STARTS = 250, 8
"""Bootstrap draws and starts of the law that is fitted anew without each family."""

INTERVAL_NOTE = note("law_intervals")
FEW = note("pca_few_families", count=FEWEST_FAMILIES)


def fit_laws(table: ScoreTable, target: str, settings: LawSettings | None = None) -> Laws:
    """The law of a target on each set of predictors, and the comparisons among them."""
    settings = settings or LawSettings()
    prepared = prepare(table, target, settings)
    y, train, families = prepared.target, prepared.train, np.array(prepared.table.families, dtype=object)
    fitted: dict[str, Fitted] = {}
    predicted: dict[str, Floats] = {}
    for name, x in prepared.predictors.items():
        known = ~np.isnan(x).any(axis=1)
        inside = train & known
        if inside.sum() < x.shape[1] + 3 or np.ptp(y[inside]) == 0:
            continue
        fitted[name] = fit(x[inside], y[inside], families[inside].tolist(), settings.fit)
        predicted[name] = np.full(len(y), np.nan)
        predicted[name][known] = fitted[name].predict(x[known])
    if not fitted:
        raise UsageError(
            f"no law of {target} can be fitted: {int(train.sum())} training models, and none of size, FLOPs or "
            "components is known for enough of them", next="add columns of parameters, tokens or scores",
        )  # fmt: skip
    chosen_k = _chosen(prepared, settings, families)
    parts = [name for name in fitted if name.startswith("PC")]
    chosen = f"PC{chosen_k.k}" if chosen_k else parts[-1] if parts else next(reversed(fitted))
    row = _row(target, settings, prepared, fitted, predicted, chosen, chosen_k)
    return Laws(row, prepared, fitted, settings)


def _chosen(prepared: Prepared, settings: LawSettings, families: NDArray[np.object_]) -> Chosen | None:
    most = sum(name.startswith("PC") for name in prepared.predictors)
    if settings.components is not None or most == 0:
        return None
    x = prepared.predictors[f"PC{most}"]
    inside = prepared.train & ~np.isnan(x).any(axis=1)
    return choose_components(x[inside], prepared.target[inside], families[inside].tolist(), settings.fit, most)


def _row(
    target: str, settings: LawSettings, prepared: Prepared, fitted: Mapping[str, Fitted],
    predicted: Mapping[str, Floats], chosen: str, chosen_k: Chosen | None,
) -> LawRow:  # fmt: skip
    y, train, families = prepared.target, prepared.train, prepared.table.families
    test = ~train
    judged = dict(predicted)
    if settings.split.kind == "family":
        judged = {name: _out_of_fold(prepared, name, settings) for name in fitted}
        test = np.ones(len(y), dtype=bool)
    train_mse, test_mse = {}, {}
    for name in fitted:
        seen = train & ~np.isnan(predicted[name])
        train_mse[name] = float(np.mean((predicted[name][seen] - y[seen]) ** 2))
        unseen = test & ~np.isnan(judged[name])
        test_mse[name] = float(np.mean((judged[name][unseen] - y[unseen]) ** 2)) if unseen.any() else None
    ends = _ends(prepared, fitted[chosen], chosen, settings)
    residuals = _residuals(prepared, fitted[chosen], chosen, judged[chosen], settings, ends)
    tested = [one for one in residuals if test[prepared.table.models.index(one.model)]]
    inside = [one.low <= one.observed <= one.high for one in tested if not math.isnan(one.low)]
    others = [name for name in fitted if name != chosen and not name.startswith("PC")]
    why = {} if tested else dict.fromkeys(("test_mse", "coverage"), note("law_none_held_out"))
    return LawRow(
        target=target,
        form=fitted[chosen].form.name,
        loss=settings.fit.loss.name,
        split=settings.split.sentence,
        chance=settings.chance,
        n_train=int(train.sum()),
        n_test=int(test.sum()),
        predictors=tuple(fitted),
        chosen=chosen,
        train_mse=train_mse,
        test_mse=test_mse,
        parameters={name: one.parameters() for name, one in fitted.items()},
        intervals={name: one.intervals() for name, one in fitted.items()},
        raw=_raw(prepared, fitted[chosen], chosen),
        comparisons=tuple(
            one for name in others if (one := _compare(chosen, name, judged, y, test, families, settings)) is not None
        ),
        residuals=residuals,
        coverage=float(np.mean(inside)) if inside else None,
        cross_validated=chosen_k.errors if chosen_k else (),
        nested_error=chosen_k.nested_error if chosen_k else None,
        reference=settings.reference,
        why=why,
    )


def _out_of_fold(prepared: Prepared, name: str, settings: LawSettings) -> Floats:
    x = prepared.predictors[name]
    known = ~np.isnan(x).any(axis=1)
    families = [prepared.table.families[row] for row in np.flatnonzero(known)]
    out = np.full(len(x), np.nan)
    out[known] = fold_errors(x[known], prepared.target[known], families, settings.fit)
    return out


def _ends(prepared: Prepared, law: Fitted, name: str, settings: LawSettings) -> tuple[Floats, Floats]:
    """Where each model's value lies with 95 %, one entry a model whose predictors are known.

    Where each family is predicted by the others, so is its interval: one that has seen the family covers it too well.
    """
    x = prepared.predictors[name]
    known = ~np.isnan(x).any(axis=1)
    if settings.split.kind != "family":
        return law.prediction_interval(x[known])
    families = np.array(prepared.table.families, dtype=object)[known]
    x, y = x[known], prepared.target[known]
    low, high = np.full(len(y), np.nan), np.full(len(y), np.nan)
    fewer = replace(
        settings.fit, draws=min(settings.fit.draws, FOLD_DRAWS), starts=min(settings.fit.starts, FOLD_STARTS)
    )
    for family in dict.fromkeys(families.tolist()):
        own = families == family
        if (~own).sum() >= x.shape[1] + 3 and np.ptp(y[~own]) > 0:
            other = fit(x[~own], y[~own], families[~own].tolist(), fewer)
            low[own], high[own] = other.prediction_interval(x[own])
    return low, high


def _residuals(
    prepared: Prepared, law: Fitted, name: str, values: Floats, settings: LawSettings, ends: tuple[Floats, Floats]
) -> tuple[Residual, ...]:
    x = prepared.predictors[name]
    known = np.flatnonzero(~np.isnan(x).any(axis=1))
    low, high = ends
    fitted = prepared.train & (settings.split.kind != "family")
    equivalents = equivalent_flops(prepared, law, name, settings.reference)
    return tuple(
        Residual(
            prepared.table.models[i], prepared.table.families[i], bool(fitted[i]), float(prepared.target[i]),
            float(values[i]), float(low[place]), float(high[place]), float(prepared.target[i] - values[i]),
            None if equivalents is None else float(equivalents[i]),
        )
        for place, i in enumerate(known)
    )  # fmt: skip


def equivalent_flops(prepared: Prepared, law: Fitted, name: str, reference: str | None) -> Floats | None:
    """The FLOPs with which models of the reference family would reach each model's index β·x + α; shape (models,).

    Within a family the index is a line in log FLOPs; the line of the reference family, turned around. None without a
    reference; UsageError where it has fewer than two models of known FLOPs.
    """
    if reference is None or law.form.log_errors:
        return None
    x = prepared.predictors[name]
    index = np.full(len(x), np.nan)
    known = ~np.isnan(x).any(axis=1)
    index[known] = law.index(x[known])
    log_flops = np.log(prepared.table.flops)
    chosen = np.array([family == reference for family in prepared.table.families]) & known & ~np.isnan(log_flops)
    if chosen.sum() < 2 or np.ptp(log_flops[chosen]) == 0:
        families = ", ".join(dict.fromkeys(prepared.table.families))
        raise UsageError(f'"{reference}" has no two models with different FLOPs', next=f"families: {families}")
    slope, intercept = np.polyfit(log_flops[chosen], index[chosen], 1)
    with np.errstate(over="ignore"):
        found: Floats = np.exp((index - intercept) / slope)
    return found


def _raw(prepared: Prepared, law: Fitted, name: str) -> dict[str, float]:
    """The law's index as weights on the benchmarks themselves: β·V·(x − centre) + α."""
    if not name.startswith("PC") or prepared.axes is None:
        return {}
    theta = law.readable(law.theta)
    k = len(law.centre)
    weights = theta[:k] @ prepared.axes.directions[:k] / prepared.axes.scale
    out = dict(zip(prepared.columns, weights.tolist(), strict=True))
    return {**out, "intercept": float(theta[k] - weights @ prepared.axes.centre)}


def _compare(
    first: str, second: str, judged: Mapping[str, Floats], y: Floats, test: NDArray[np.bool_],
    families: Sequence[str], settings: LawSettings,
) -> Comparison | None:  # fmt: skip
    both = test & ~np.isnan(judged[first]) & ~np.isnan(judged[second])
    if both.sum() < 2:
        return None
    gap = (judged[first][both] - y[both]) ** 2 - (judged[second][both] - y[both]) ** 2
    named = [family for family, one in zip(families, np.asarray(both).tolist(), strict=True) if one]
    weights = family_weights(named, settings.fit.draws, np.random.default_rng(settings.fit.seed + 5))
    draws = weights @ gap / weights.sum(axis=1)
    if len(set(named)) < FEWEST_FAMILIES:
        return Comparison(first, second, float(gap.mean()), why=dict.fromkeys(("low", "high", "share"), FEW))
    low, high = interval(draws)
    return Comparison(first, second, float(gap.mean()), float(low), float(high), float((draws < 0).mean()))


def law(table: ScoreTable, target: str, settings: LawSettings | None = None) -> Finding[LawRow]:
    """The finding of `fit_laws`."""
    return fit_laws(table, target, settings).finding
