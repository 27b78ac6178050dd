"""The review's tables, drawn and judged by their own rows, and how many abilities each of them measures."""

from __future__ import annotations

from dataclasses import dataclass
from statistics import median
from typing import Any

import kaibo

from .scores import Scores, at_least, behind, least, most, scores_of

NAMES = ("llama-zero-shot", "open-models", "closed-models", "llama-safety")
TOKENS = "training-tokens"
GAINS = tuple(
    (f"Llama 2 {new}", f"Llama 1 {old}") for new, old in (("7B", "7B"), ("13B", "13B"), ("34B", "33B"), ("70B", "65B"))
)
RIVALS = ("GPT-3 175B", "PaLM 540B")
BESIDE = (("LLaMA 13B", "GPT-3 175B"), ("LLaMA 65B", "PaLM 540B"))
FAR_FEWER = 5
"""How many times as many parameters count as overwhelmingly more."""

CHAT = "Llama-2-7b-chat"
ELYZA = tuple((f"ELYZA-japanese-Llama-2-7b{kind}", CHAT) for kind in ("", "-instruct", "-fast", "-fast-instruct"))
PRETRAINED = 2.0e12
"""Tokens that Llama 2 was pre-trained on, as its paper says."""


@dataclass(frozen=True)
class Tables:
    """Scores by model, the drawings by key, and the components."""

    scores: dict[str, Scores]
    against: dict[str, Any]
    gains: Any
    japanese: Any
    languages: Any
    code: Any
    components: dict[str, Any]


def measure(inputs: kaibo.Inputs) -> Tables:
    """Reads the tables that ship."""
    draws = (
        kaibo.options.ComponentSettings(draws=500, permutations=300)
        if inputs.small
        else kaibo.options.ComponentSettings()
    )
    sides = {"common": ("llama-zero-shot", "LLaMA*"), "open": ("open-models", "Llama*")}
    return Tables(
        {name: scores_of(name) for name in NAMES},
        {
            f"{key}-{axis}": kaibo.questions.against([table, TOKENS], axis, own=own)
            for key, (table, own) in sides.items()
            for axis in ("parameters", "flops")
        },
        kaibo.questions.paired("open-models", GAINS),
        kaibo.questions.paired("elyza-japanese", ELYZA),
        kaibo.questions.shares("llama2-languages", "share", PRETRAINED, marked="ja"),
        kaibo.questions.pass_curves("code-generation"),
        {name: kaibo.pca(name, settings=draws) for name in ("open-models", "elyza-japanese", "code-generation")},
    )


def results(found: Tables) -> kaibo.Results:
    """The drawings in the order of the page, and the claims that the printed rows can judge."""
    shown = {
        **found.against,
        "gains": found.gains.rows,
        "gains-sums": found.gains.sums,
        "code": found.code,
        "languages": found.languages,
        "japanese": found.japanese.rows,
        "japanese-sums": found.japanese.sums,
        **found.components,
    }
    japanese = next(row for row in found.languages if row.label == "ja")
    tokens = kaibo.Outcome("japanese-tokens", japanese.amount, japanese.amount_low, japanese.amount_high, n=1)
    return kaibo.Results(shown, (*of_scores(found.scores), tokens), sentences(found))


def of_scores(tables: dict[str, Scores]) -> tuple[kaibo.Outcome, ...]:
    """The claims about scores."""
    small, models = tables["llama-zero-shot"], tables["open-models"]
    closed, safety = tables["closed-models"], tables["llama-safety"]
    rivals = ["MPT 30B", "Falcon 40B"]
    best = models["Llama 2 70B"]
    chat = {name: row for name, row in safety.items() if name.startswith("Llama 2-Chat")}
    others = {name: row for name, row in safety.items() if name not in chat}
    return (
        holds("fewer-parameters", fewer(small), len(RIVALS)),
        holds("llama34-but-code", behind(models["Llama 2 34B"], [models[one] for one in rivals]) == {"Code"}, 8),
        holds("llama34-below-65", not at_least(models["Llama 2 34B"], models["Llama 1 65B"])[0], 8),
        holds("llama70-best", all(not behind(best, [row]) for name, row in models.items() if row is not best), 8),
        holds("llama2-gpt35", at_least(closed["Llama 2"], closed["GPT-3.5"])[0] == 0, 3),
        holds("toxigen", most(chat, "ToxiGen ↓") < least(others, "ToxiGen ↓"), len(safety)),
        holds("truthfulqa", most(chat, "TruthfulQA ↑") > most(others, "TruthfulQA ↑"), len(safety)),
    )


def fewer(scores: Scores) -> bool:
    """Whether each rival has a LLaMA of far fewer parameters that is at least as good on most tasks that both have."""
    own = [name for name in scores if name.startswith("LLaMA")]
    return all(
        any(
            FAR_FEWER * billions(name) <= billions(rival) and beats_on_most(scores[name], scores[rival]) for name in own
        )
        for rival in RIVALS
    )


def beats_on_most(one: dict[str, float], other: dict[str, float]) -> bool:
    """Whether the one is at least as good on more than half of what both have."""
    good, both = at_least(one, other)
    return 2 * good > both


def billions(name: str) -> float:
    """The size in a model's name: 13 of `LLaMA 13B`."""
    return float(name.rpartition(" ")[2].removesuffix("B"))


def needed(found: Tables, key: str) -> list[float]:
    """How many times more the others needed, for each score of a LLaMA that any of them reached."""
    return [row.needed_times for row in found.against[key] if row.own and row.needed_times is not None]


def by_the_smallest(found: Tables) -> int:
    """For how many scores of a LLaMA the smallest of all others was enough, so that the table has no smaller to try."""
    rows = list(found.against["common-parameters"])
    others = [row for row in rows if not row.own]
    least = {row.benchmark: min(one.x for one in others if one.benchmark == row.benchmark) for row in others}
    reached = [row for row in rows if row.own and row.needed_times is not None]
    return sum(row.needed_times * row.x <= least[row.benchmark] * (1 + 1e-9) for row in reached)


def sentences(found: Tables) -> tuple[tuple[str, dict[str, Any]], ...]:
    """What stands out: parameters and FLOPs saved, the gains, the Japanese tasks, and the Japanese tokens."""
    sizes, flops = needed(found, "common-parameters"), needed(found, "common-flops")
    own = [row for row in found.against["common-parameters"] if row.own]
    saved = {"parameters": median(sizes), "flops": median(flops), "reached": len(sizes), "cells": len(own)}
    saved["least"] = by_the_smallest(found)
    gains = list(found.gains.sums)
    clear = [row for row in found.japanese.rows if row.q is not None and row.one.endswith("7b-instruct")]
    up = sum(row.q < 0.05 and row.difference > 0 for row in clear)
    share = next(row for row in found.languages if row.label == "ja")
    small = found.scores["llama-zero-shot"]
    (gpt, gpt_all), (palm, palm_all) = (at_least(small[one], small[rival]) for one, rival in BESIDE)
    lost = ", ".join(sorted(behind(small["LLaMA 65B"], [small["PaLM 540B"]])))
    return (
        ("saved", saved),
        ("beside", {"gpt": gpt, "gpt_all": gpt_all, "palm": palm, "palm_all": palm_all, "lost": lost}),
        ("gains", {"higher": sum(row.higher for row in gains), "cells": sum(row.benchmarks for row in gains)}),
        ("japanese", {"up": up, "tested": len(clear), "tasks": len({row.benchmark for row in found.japanese.rows})}),
        ("languages", {"low": share.amount_low / 1e9, "high": share.amount_high / 1e9}),
    )


def holds(name: str, value: bool, n: int) -> kaibo.Outcome:
    """Whether something holds, judged on n rows."""
    return kaibo.Outcome(name, bool(value), n=n)
