"""Which models to run so that the components of all are known best: V-optimal choice of whole families."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from kaibo.chapters.pca.axes import fit_axes
from kaibo.chapters.pca.components import ComponentSettings, one_unit, usable
from kaibo.chapters.pca.imputation import fit_imputation
from kaibo.chapters.select.rows import SELECT, SelectRow
from kaibo.chapters.select.search import branch_and_bound
from kaibo.errors import UsageError
from kaibo.version import __version__
from kaibo.vocabulary import Finding
from kaibo.vocabulary.scores import ScoreTable
from kaibo.words import Note, note

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class SelectSettings:
    """What a choice must respect: families that are `include`d, at most `most_families`, models of at most
    `largest` parameters, the budget counted in `cost` (`models`, `parameters` or the name of a column).
    """

    components: int = 3
    include: tuple[str, ...] = ()
    most_families: int = 10
    largest: float | None = None
    cost: str = "models"
    most_nodes: int = 20_000_000


@dataclass(frozen=True, eq=False)
class Candidates:
    """Families to choose from: names, Gram matrices (families, k, k), costs, models; and XᵀX of all candidates."""

    names: tuple[str, ...]
    grams: Floats
    costs: Floats
    models: Mapping[str, tuple[str, ...]]
    whole: Floats


def candidates(table: ScoreTable, settings: SelectSettings) -> tuple[Candidates, tuple[Note, ...]]:
    """The families of a table with the Gram matrices of their component scores (imputed, centred over all models).

    With `largest`, only models up to that size can be chosen; XᵀX stays that of all models of the table.
    """
    table, notes = usable(table)
    table, scaled = one_unit(table, standardise=False)
    imputation = fit_imputation(table.values, ComponentSettings().imputation(table))
    count = min(settings.components, *table.values.shape)
    scores = fit_axes(imputation.filled, count).scores(imputation.filled)
    allowed = np.ones(len(table.models), dtype=bool)
    if settings.largest is not None:
        size = table.fact("parameters")
        allowed = np.nan_to_num(size, nan=np.inf) <= settings.largest
        notes += (note("select_largest", most=f"{settings.largest:g}", count=int(allowed.sum()), all=len(allowed)),)
    price = _price(table, settings.cost)
    families = np.array(table.families, dtype=object)
    names = tuple(dict.fromkeys(families[allowed].tolist()))
    rows = {name: np.flatnonzero((families == name) & allowed) for name in names}
    grams = np.array([scores[index].T @ scores[index] for index in rows.values()]).reshape(-1, count, count)
    costs = np.array([float(price[index].sum()) for index in rows.values()])
    models = {name: tuple(table.models[i] for i in index) for name, index in rows.items()}
    return Candidates(names, grams, costs, models, scores.T @ scores), (*notes, *scaled)


def _price(table: ScoreTable, cost: str) -> Floats:
    if cost == "models":
        return np.ones(len(table.models))
    price = table.column(cost)
    if np.isnan(price).any():
        named = [model for model, one in zip(table.models, price, strict=True) if np.isnan(one)]
        raise UsageError(
            f"the {cost} of {', '.join(named[:5])} is not known", next="leave those models out with --models"
        )
    return price


def value_of(whole: Floats, gram: Floats) -> float:
    """−trace(XᵀX G⁻¹), −∞ where G is singular."""
    if np.linalg.matrix_rank(gram) < len(gram):
        return -np.inf
    return -float(np.trace(np.linalg.solve(gram, whole)))


def select(table: ScoreTable, budgets: Sequence[float], settings: SelectSettings | None = None) -> Finding[SelectRow]:
    """The best families for each budget. Raises UsageError where what must be included is unknown or over budget."""
    settings = settings or SelectSettings()
    found, notes = candidates(table, settings)
    unknown = [name for name in settings.include if name not in found.names]
    if unknown:
        raise UsageError(f"no family {', '.join(unknown)}", next=f"families: {', '.join(found.names)}")
    rows = tuple(_choose(found, budget, settings) for budget in budgets)
    notes += (note("select_optimality", components=found.whole.shape[0], families=settings.most_families),)
    return Finding(SELECT, rows, notes, {"table": table.name, "kaibo": __version__, "cost": settings.cost})


def _choose(found: Candidates, budget: float, settings: SelectSettings) -> SelectRow:
    inside = np.array([name in settings.include for name in found.names])
    spent = float(found.costs[inside].sum())
    left = settings.most_families - int(inside.sum())
    if spent > budget or left < 0:
        raise UsageError(
            f"{', '.join(settings.include)} alone costs {spent:g} {settings.cost}, over the budget of {budget:g}",
            next="raise --budget",
        )
    # The costliest first: a family that no longer fits cuts its whole branch at once.
    free = np.flatnonzero(~inside & (found.costs <= budget - spent))
    free = free[np.argsort(-found.costs[free], kind="stable")]
    start = found.grams[inside].sum(axis=0)
    grams, costs = found.grams[free], found.costs[free]
    first = greedy(found.whole, grams, costs, budget - spent, left, start)
    value, taken, exact = branch_and_bound(
        found.whole, grams, costs, budget - spent, left, start, first, settings.most_nodes
    )
    chosen = np.zeros(len(found.names), dtype=bool)
    chosen[inside] = True
    chosen[free[taken == 1]] = True
    names = tuple(name for name, one in zip(found.names, chosen, strict=True) if one)
    gap = 0.0 if exact else relaxed_bound(found.whole, grams, costs, budget - spent, left, start) - value
    why = {} if np.isfinite(value) else {"value": note("select_none")}
    models = tuple(model for name in names for model in found.models[name])
    return SelectRow(budget, names, models, value, exact, float(found.costs[chosen].sum()), max(gap, 0.0), why)


def greedy(
    whole: Floats, grams: Floats, costs: Floats, budget: float, most: int, start: Floats
) -> tuple[float, NDArray[np.int64]]:
    """A good choice quickly: the best family at a time (a small ridge while the matrix is singular), then exchanges
    of one family for another as long as one helps.
    """
    taken = np.zeros(len(grams), dtype=np.int64)
    ridge = 1e-6 * np.trace(whole) / len(whole) * np.eye(len(whole))

    def worth(mask: NDArray[np.int64]) -> float:
        if (costs * mask).sum() > budget * (1 + 1e-12) or mask.sum() > most:
            return -np.inf
        return value_of(whole, start + ridge + np.tensordot(mask.astype(float), grams, axes=1))

    current = worth(taken)
    while True:
        trials = []
        for place in range(len(grams)):
            flipped = taken.copy()
            flipped[place] ^= 1
            trials.append(flipped)
            for other in np.flatnonzero(taken) if not taken[place] else ():
                swapped = flipped.copy()
                swapped[other] = 0
                trials.append(swapped)
        values = [worth(trial) for trial in trials]
        if not values or max(values) <= current + 1e-12 * abs(current):
            break
        current, taken = max(values), trials[int(np.argmax(values))]
    return value_of(whole, start + np.tensordot(taken.astype(float), grams, axes=1)), taken


def relaxed_bound(whole: Floats, grams: Floats, costs: Floats, budget: float, most: int, start: Floats) -> float:
    """An upper bound of every choice: families may be taken in part. Frank–Wolfe on the concave relaxation; at any
    point the value plus the best linear gain bounds the optimum.
    """
    share = np.full(len(grams), min(1.0, budget / max(costs.sum(), 1e-300), most / max(len(grams), 1)))
    ridge = 1e-9 * np.trace(whole) / len(whole) * np.eye(len(whole))
    bound = np.inf
    for step in range(400):
        gram = start + ridge + np.tensordot(share, grams, axes=1)
        inverse = np.linalg.inv(gram)
        slope = np.einsum("ij,fji->f", inverse @ whole @ inverse, grams)
        order = np.argsort(-slope / np.maximum(costs, 1e-300))
        best, left = np.zeros(len(grams)), budget
        for place in order:
            best[place] = min(1.0, left / max(costs[place], 1e-300))
            left -= best[place] * costs[place]
            if left <= 0:
                break
        bound = min(bound, -float(np.trace(whole @ inverse)) + float(slope @ (best - share)))
        share = share + 2 / (step + 3) * (best - share)
    return bound
