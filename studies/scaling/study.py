"""How many abilities does a leaderboard measure? Components of score tables, and what they go with."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import kaibo

ENGLISH, JAPANESE, SHIPPED = "english", "japanese", "open-models"
HARNESS = frozenset({"MMLU", "ARC-C", "HellaSwag", "TruthfulQA", "GSM8K", "HumanEval"})
"""Benchmarks by which the table of base models is known."""


@dataclass(frozen=True)
class Measured:
    """The components of each table, by what the table is; tables of other kinds under their own names."""

    components: dict[str, Any]


def measure(inputs: kaibo.Inputs) -> Measured:
    """Components of the table that ships and of every table given; a Japanese leaderboard by its `GLP` columns.

    Where a manifest names models, only those of the English table count: the source kept 77 of 148.
    """
    draws = kaibo.ComponentSettings(draws=500, permutations=300) if inputs.small else kaibo.ComponentSettings()
    named = tuple(str(member["name"]) for member in inputs.members if "name" in member)
    kept = kaibo.TableOptions(models=named) if named else None
    found = {SHIPPED: kaibo.pca(SHIPPED, settings=draws)}
    for table in inputs.tables:
        benchmarks = kaibo.score_table(table).benchmarks
        if any(name.startswith("GLP") for name in benchmarks):
            found[JAPANESE] = kaibo.pca(table, columns="GLP_*", settings=draws)
        elif set(benchmarks) >= HARNESS:
            found[ENGLISH] = kaibo.pca(table, settings=draws, options=kept)
        else:
            found[table.rpartition("/")[2]] = kaibo.pca(table, settings=draws)
    return Measured(found)


def analyse(measured: Measured) -> kaibo.Results:
    """Explained shares, signs and slopes as outcomes; the components themselves as findings."""
    outcomes = [one for name, finding in measured.components.items() for one in outcomes_of(name, finding.rows[0])]
    return kaibo.Results(measured.components, tuple(outcomes), sentences(measured))


def outcomes_of(name: str, row: Any) -> list[kaibo.Outcome]:
    """What one table says of the claims; intervals are those of the bootstrap over families or models."""
    n = len(row.models)
    intervals = row.explained_interval or row.explained_interval_models
    first = intervals[0] if intervals else (None, None)
    scale = "nejumi-leaderboard-4" if "GLP_抽象的推論" in row.benchmarks else "published"
    found = [
        kaibo.Outcome(f"{name}.pc1", row.explained[0], *first, scale=scale, n=n),
        kaibo.Outcome(f"{name}.pc123", sum(row.explained[:3]), scale=scale, n=n),
        kaibo.Outcome(f"{name}.pc1_one_sign", one_sign(row, 0), scale=scale, n=n),
    ]
    if name == JAPANESE:
        found.append(kaibo.Outcome(f"{name}.pc3_semantic", heaviest(row, 2) == "GLP_意味解析", scale=scale, n=n))
    if row.mean_family_r2 is not None:
        found.append(kaibo.Outcome(f"{name}.family_r2", row.mean_family_r2, n=len(row.family_lines)))
        found.append(kaibo.Outcome(f"{name}.log_linear", row.mean_family_r2 >= 0.9, n=len(row.family_lines)))
    if "HumanEval" in row.loadings and len(row.explained) > 2:
        found.append(kaibo.Outcome(f"{name}.pc3_programming", heaviest(row, 2) == "HumanEval", n=n))
    if {"GSM8K", "HumanEval"} <= set(row.loadings) and len(row.explained) > 1:
        found.append(kaibo.Outcome(f"{name}.pc2_reasoning", reasoning(row), n=n))
    return found


def one_sign(row: Any, component: int) -> bool:
    """Whether every loading of a component has one sign."""
    signs = {loading[component] > 0 for loading in row.loadings.values() if loading[component] != 0}
    return len(signs) == 1


def heaviest(row: Any, component: int) -> str:
    """The benchmark that weighs most on a component."""
    return max(row.loadings, key=lambda name: abs(row.loadings[name][component]))


def reasoning(row: Any) -> bool:
    """Whether mathematics and programming are the two that weigh most on one side of the second component."""
    side = 1 if row.loadings["GSM8K"][1] > 0 else -1
    ordered = sorted(row.loadings, key=lambda name: side * row.loadings[name][1], reverse=True)
    return set(ordered[:2]) == {"GSM8K", "HumanEval"}


def sentences(measured: Measured) -> tuple[tuple[str, dict[str, Any]], ...]:
    """One for each table: how much the first components hold, and how many stand above chance."""
    rows = {name: finding.rows[0] for name, finding in measured.components.items()}
    return tuple(("table", facts(name, row)) for name, row in rows.items())


def facts(name: str, row: Any) -> dict[str, Any]:
    """What the sentence about a table says."""
    return {
        "name": name,
        "models": len(row.models),
        "benchmarks": len(row.benchmarks),
        "first": row.explained[0],
        "three": sum(row.explained[:3]),
        "kept": row.kept_components,
    }


study = kaibo.Study("scaling", measure, analyse)
