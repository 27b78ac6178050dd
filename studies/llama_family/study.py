"""What makes a model a LLaMA, and what came of it? Its anatomy from configs, its review judged on its own tables."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import kaibo

CONFIGS = Path(__file__).parent / "configs"
TABLES = ("llama-zero-shot", "open-models", "closed-models", "llama-safety", "code-generation", "elyza-japanese")
CARD = 80e9
"""Bytes of the card that the review names."""

Scores = dict[str, dict[str, float]]


@dataclass(frozen=True)
class Measured:
    """The architectures side by side, and the published tables without their missing cells."""

    anatomy: Any
    components: dict[str, Any]
    tables: dict[str, Scores]
    languages: Scores


def measure(inputs: kaibo.Inputs) -> Measured:
    """Reads the configs that ship (and any model given) and the published tables."""
    addresses = [str(path.parent) for path in sorted(CONFIGS.glob("*/config.json"))]
    draws = kaibo.ComponentSettings(draws=500, permutations=300) if inputs.small else kaibo.ComponentSettings()
    return Measured(
        kaibo.inspect([*addresses, *inputs.models]),
        {name: kaibo.pca(name, settings=draws) for name in ("open-models", "elyza-japanese", "code-generation")},
        {name: scores_of(name) for name in TABLES},
        scores_of("llama2-languages"),
    )


def scores_of(name: str) -> Scores:
    """A published table as scores by model and benchmark."""
    table = kaibo.score_table(name)
    return {
        model: {
            benchmark: float(value)
            for benchmark, value in zip(table.benchmarks, row, strict=True)
            if value == value  # a missing cell is NaN
        }
        for model, row in zip(table.models, table.values, strict=True)
    }


def analyse(measured: Measured) -> kaibo.Results:
    """Every claim that the review's own tables and the configs can judge, as an outcome."""
    outcomes = (*of_tables(measured.tables), *of_anatomy(measured))
    findings = {"anatomy": measured.anatomy, **measured.components}
    return kaibo.Results(findings, outcomes, sentences(measured))


def of_tables(tables: dict[str, Scores]) -> tuple[kaibo.Outcome, ...]:
    """The claims about scores."""
    small, models = tables["llama-zero-shot"], tables["open-models"]
    closed, safety = tables["closed-models"], tables["llama-safety"]
    rivals = ["MPT 30B", "Falcon 40B"]
    best = models["Llama 2 70B"]
    chat = {name: row for name, row in safety.items() if name.startswith("Llama 2-Chat")}
    others = {name: row for name, row in safety.items() if name not in chat}
    return (
        count("llama13-gpt3", at_least(small["LLaMA 13B"], small["GPT-3 175B"])),
        count("llama65-palm540", at_least(small["LLaMA 65B"], small["PaLM 540B"])),
        holds("llama65-palm540-but", behind(small["LLaMA 65B"], [small["PaLM 540B"]]) == {"BoolQ", "WinoGrande"}, 7),
        holds("llama34-but-code", behind(models["Llama 2 34B"], [models[one] for one in rivals]) == {"Code"}, 8),
        holds("llama34-below-65", not at_least(models["Llama 2 34B"], models["Llama 1 65B"])[0], 8),
        holds("llama70-best", all(not behind(best, [row]) for name, row in models.items() if row is not best), 8),
        holds("llama2-gpt35", at_least(closed["Llama 2"], closed["GPT-3.5"])[0] == 0, 3),
        holds("toxigen", most(chat, "ToxiGen ↓") < least(others, "ToxiGen ↓"), len(safety)),
        holds("truthfulqa", most(chat, "TruthfulQA ↑") > most(others, "TruthfulQA ↑"), len(safety)),
    )


def of_anatomy(measured: Measured) -> tuple[kaibo.Outcome, ...]:
    """The claims about sizes, contexts and data."""
    rows = {Path(row.model).name: row for row in measured.anatomy.rows}
    large = rows["Llama-2-70B"]
    japanese = measured.languages["ja"]["share"] / 100 * 2.0e12
    return (
        holds("four-bit", large.weights_bytes["4"] < CARD < large.weights_bytes["16"], 1),
        kaibo.Outcome("context", float(rows["Llama-2-7B"].context), n=1),
        kaibo.Outcome("japanese-tokens", japanese, n=1),
        holds("gqa-70-only", rows["Code-Llama-34B"].kv_heads == rows["Code-Llama-34B"].heads, 1),
    )


def at_least(one: dict[str, float], other: dict[str, float]) -> tuple[int, int]:
    """On how many of the benchmarks that both have the one is at least as good, and how many those are."""
    shared = one.keys() & other.keys()
    return sum(one[name] >= other[name] for name in shared), len(shared)


def behind(one: dict[str, float], others: list[dict[str, float]]) -> set[str]:
    """The benchmarks on which any other is better."""
    return {name for other in others for name in one.keys() & other.keys() if one[name] < other[name]}


def most(rows: Scores, name: str) -> float:
    """The largest value of a column."""
    return max(row[name] for row in rows.values())


def least(rows: Scores, name: str) -> float:
    """The smallest value of a column."""
    return min(row[name] for row in rows.values())


def count(name: str, found: tuple[int, int]) -> kaibo.Outcome:
    """So many of so many."""
    return kaibo.Outcome(name, float(found[0]), n=found[1])


def holds(name: str, value: bool, n: int) -> kaibo.Outcome:
    """Whether something holds, judged on n rows."""
    return kaibo.Outcome(name, bool(value), n=n)


def sentences(measured: Measured) -> tuple[tuple[str, dict[str, Any]], ...]:
    """What grouped queries save, and what 4 bits do."""
    rows = {Path(row.model).name: row for row in measured.anatomy.rows}
    grouped, plain = rows["Llama-2-70B"], rows["LLaMA-65B"]
    cache = {"grouped": grouped.kv_bytes_per_token / 1e3, "plain": plain.kv_bytes_per_token / 1e3}
    return (("cache", cache), ("card", {"size": grouped.weights_bytes["4"] / 1e9}))


study = kaibo.Study("llama_family", measure, analyse)
