"""Which tables there are, their components, and what those say of the claims."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import kaibo

ENGLISH, JAPANESE, SHIPPED, SHIPPED_JAPANESE = "english", "japanese", "open-models", "elyza-japanese"
OWN = Path(__file__).parent / "tables" / "base-models.csv"
"""The source's own table, its 77 models: `tables/SOURCE.md` says from where."""

FACTS = "llama-training"
"""The shipped table of training tokens, joined to the open models for their FLOPs."""

HARNESS = frozenset({"MMLU", "ARC-C", "HellaSwag", "TruthfulQA", "GSM8K", "HumanEval"})
"""Benchmarks by which the table of base models is known."""

LATER = {
    "post-training": "gsm8k_cot_8_exact_match,flexible-extract",
    "emergent": "word_unscrambling_2_exact_match",
}
"""Columns by which the source's tables of what laws predict are known: no components are taken of those."""


def kind_of(benchmarks: Sequence[str]) -> str | None:
    """What a table is, by its columns; None for one of another kind."""
    if any(name.startswith("GLP") for name in benchmarks):
        return JAPANESE
    if set(benchmarks) >= HARNESS:
        return ENGLISH
    return next((kind for kind, column in LATER.items() if column in benchmarks), None)


def given(inputs: kaibo.Inputs) -> dict[str, str]:
    """The tables given, by what they are; those of other kinds under the name of their file."""
    named = {}
    for table in inputs.tables:
        kind = kind_of(kaibo.score_table(table).benchmarks)
        named[kind or table.rpartition("/")[2]] = table
    return named


def kept_models(inputs: kaibo.Inputs) -> kaibo.options.TableOptions | None:
    """Of the English table only the models that a manifest names: the source kept 77 of 148."""
    named = tuple(str(member["name"]) for member in inputs.members if "name" in member and "kind" not in member)
    return kaibo.options.TableOptions(models=named) if named else None


def components(tables: Mapping[str, str], inputs: kaibo.Inputs) -> dict[str, Any]:
    """Components of the tables that ship and of those given; a Japanese leaderboard by its `GLP` columns."""
    draws = (
        kaibo.options.ComponentSettings(draws=500, permutations=300)
        if inputs.small
        else kaibo.options.ComponentSettings()
    )
    columns = ",".join(kaibo.score_table(SHIPPED).benchmarks)
    found = {
        SHIPPED: kaibo.pca([SHIPPED, FACTS], columns=columns, settings=draws),
        SHIPPED_JAPANESE: kaibo.pca(SHIPPED_JAPANESE, settings=draws),
    }
    own = {} if ENGLISH in tables else {ENGLISH: str(OWN)}
    for name, table in (own | dict(tables)).items():
        if name not in LATER:
            options = kept_models(inputs) if name == ENGLISH and name in tables else None
            chosen = wanted(table, inputs.columns) or ("GLP_*" if name == JAPANESE else None)
            found[name] = kaibo.pca(table, columns=chosen, settings=draws, options=options)
    return found


def wanted(table: str, pattern: str | None) -> str | None:
    """The columns asked for, where this table has any of them."""
    names = kaibo.score_table(table).benchmarks if pattern else ()
    hits = any(fnmatchcase(name, part.strip()) for part in (pattern or "").split(",") for name in names)
    return pattern if hits else None


def outcomes_of(name: str, row: Any) -> list[kaibo.Outcome]:
    """What one table says of the claims; intervals are those of the bootstrap over families or models."""
    n = len(row.models)
    first = [None if math.isnan(end) else end for end in first_share(row)]
    own = is_own(name, row)
    found = [
        kaibo.Outcome(f"{name}.pc1", row.explained[0], *first, own=own, n=n),
        kaibo.Outcome(f"{name}.pc123", sum(row.explained[:3]), own=own, n=n),
        kaibo.Outcome(f"{name}.pc1_one_sign", one_sign(row, 0), own=own, n=n),
    ]
    if name == JAPANESE:
        found += japanese(name, row, own)
    if row.mean_family_r2 is not None:
        found.append(kaibo.Outcome(f"{name}.log_linear", row.mean_family_r2 >= 0.9, n=len(row.family_lines), own=own))
    if "HumanEval" in row.loadings and len(row.explained) > 2:
        found.append(kaibo.Outcome(f"{name}.pc3_programming", heaviest(row, 2) == "HumanEval", n=n, own=own))
    if {"GSM8K", "HumanEval"} <= set(row.loadings) and len(row.explained) > 1:
        found.append(kaibo.Outcome(f"{name}.pc2_reasoning", reasoning(row), n=n, own=own))
    return found


def first_share(row: Any) -> tuple[float, float]:
    """The interval of the first component's share: over families, where those are too few over models."""
    over_families = row.explained_interval and not math.isnan(row.explained_interval[0][0])
    intervals = row.explained_interval if over_families else row.explained_interval_models
    return intervals[0] if intervals else (math.nan, math.nan)


def japanese(name: str, row: Any, own: bool) -> list[kaibo.Outcome]:
    """Whether the second component is English and the third semantic analysis: each by what weighs most on it."""
    n = len(row.models)
    english = [one for one in row.benchmarks if "英語" in one or "english" in one.lower()]
    second = kaibo.Outcome(f"{name}.pc2_english", heaviest(row, 1) in english, own=own, n=n)
    if not english:
        second = kaibo.Outcome(f"{name}.pc2_english", None, n=n, why=kaibo.note("claim_no_english"))
    return [second, kaibo.Outcome(f"{name}.pc3_semantic", heaviest(row, 2) == "GLP_意味解析", own=own, n=n)]


def is_own(name: str, row: Any) -> bool:
    """Whether a table is the one that the source took its numbers from, or only one like it.

    The English one by its models; of the Japanese leaderboard the third has no column of abstract reasoning, which the
    fourth has.
    """
    if name == ENGLISH:
        return set(row.models) == set(kaibo.score_table(str(OWN)).models)
    return "GLP_抽象的推論" not in row.benchmarks


def one_sign(row: Any, component: int) -> bool:
    """Whether every loading of a component has one sign."""
    signs = {loading[component] > 0 for loading in row.loadings.values() if loading[component] != 0}
    return len(signs) == 1


def heaviest(row: Any, component: int) -> str:
    """The benchmark that weighs most on a component."""
    return str(max(row.loadings, key=lambda name: abs(row.loadings[name][component])))


def reasoning(row: Any) -> bool:
    """Whether mathematics and programming are the two that weigh most on one side of the second component."""
    side = 1 if row.loadings["GSM8K"][1] > 0 else -1
    ordered = sorted(row.loadings, key=lambda name: side * row.loadings[name][1], reverse=True)
    return set(ordered[:2]) == {"GSM8K", "HumanEval"}
