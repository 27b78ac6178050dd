"""Findings of published tables and of configs, made up or read from what ships."""

import json
from pathlib import Path

import kaibo
from kaibo.chapters import kinds
from kaibo.chapters.generate.rows import FormatRow
from kaibo.chapters.inspect.side_by_side import side_by_side
from kaibo.models.anatomy import architecture
from kaibo.vocabulary import Finding

CONFIGS = Path(__file__).resolve().parents[2] / "studies" / "llama_family" / "configs"


def comparing_findings():
    pairs = [("ELYZA-japanese-Llama-2-7b", "Llama-2-7b-chat"), ("ELYZA-japanese-Llama-2-7b-fast", "Llama-2-7b-chat")]
    return {
        "against size": kaibo.questions.against("llama-zero-shot", own="LLaMA*"),
        "against tokens": kaibo.questions.against(["open-models", "training-tokens"], "tokens", own="Llama*"),
        "against FLOPs": kaibo.questions.against(["open-models", "training-tokens"], "flops", own="Llama*"),
        "pairs of rows": kaibo.questions.paired("elyza-japanese", pairs).rows,
        "a pair of unknown sizes": kaibo.questions.paired("open-models", [("Llama 2 7B", "Llama 1 7B")]).rows,
        "pass@k": kaibo.questions.pass_curves("code-generation"),
        "shares": kaibo.questions.shares("llama2-languages", "share", 2e12, marked="ja"),
        "formats": formats_finding(("m",)),
        "formats of two": formats_finding(("m", "/home/ann/n")),
        **{one.kind.name: one for one in views()},
    }


def views():
    configs = {name: json.loads((CONFIGS / name / "config.json").read_text()) for name in ("LLaMA-7B", "gemma-2-9b")}
    found = side_by_side([architecture(config, model=name) for name, config in configs.items()])
    return found.roles, found.cache, found.memory, found.reach


def formats_finding(models):
    names = ("own", "llama-2", "alpaca", "plain", "none")
    return Finding(kinds()["formats"], tuple(row(model, *one) for model in models for one in enumerate(names)))


def row(model, place, name):
    if name == "own":
        return FormatRow(model, name, True, 8, 90, 7.5)
    low, high = (place - 0.2, place + 0.2) if place % 2 else (None, None)
    return FormatRow(model, name, False, 8, 90, 7.5 + place, float(place), 0.1, low, high, 2.0, 1.0)
