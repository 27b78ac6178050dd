"""The models side by side, from the configs that ship and any model given."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import kaibo

from . import counted

CONFIGS = Path(__file__).parent / "configs"
LINEAGE = ("LLaMA-", "Llama-2-", "Code-Llama-", "ELYZA-", "Llama-3-", "Mistral-", "Qwen2-", "gemma-2-", "gpt-neox-")
"""The order of the page: the line itself, what was made of it, then the others."""


@dataclass(frozen=True)
class Anatomy:
    """The views of all architectures, and what the training table says of grouped queries."""

    views: Any
    grouped: dict[str, bool]


def measure(inputs: kaibo.Inputs) -> Anatomy:
    """The configs that ship, then the models that were given."""
    addresses = [str(path.parent) for path in sorted(CONFIGS.glob("*/config.json"), key=lineage)]
    table = kaibo.score_table("llama-training")
    said = zip(table.models, table.labels["GQA"], strict=True)
    views = kaibo.questions.side_by_side([*addresses, *inputs.models])
    return Anatomy(views, {model: label == "yes" for model, label in said})


def lineage(path: Path) -> tuple[int, int, str]:
    """The line a config belongs to, then its size."""
    name = path.parent.name
    line = next((place for place, head in enumerate(LINEAGE) if name.startswith(head)), len(LINEAGE))
    size = re.search(r"(\d+)b", name, re.IGNORECASE)
    return line, int(size[1]) if size else 0, name


def results(found: Anatomy) -> kaibo.Results:
    """The table, the four drawings, and the claims about size, context and grouped queries."""
    views = found.views
    shown = {
        "anatomy": views.table,
        "roles": views.roles,
        "cache": views.cache,
        "memory": views.memory,
        "reach": views.reach,
    }
    cache = {Path(row.model).name: row for row in views.cache}
    memory = {(Path(row.model).name, row.bits): row for row in views.memory}
    reach = {Path(row.model).name: row for row in views.reach}
    grouped, plain = cache["Llama-2-70B"], cache["LLaMA-65B"]
    narrow, half = memory["Llama-2-70B", 4], memory["Llama-2-70B", 16]
    outcomes = (
        kaibo.Outcome("four-bit", bool(narrow.fits_with_cache and not half.fits), n=1),
        kaibo.Outcome("context", float(reach["Llama-2-7B"].context), n=1),
        kaibo.Outcome("gqa-70-only", only_largest(found.grouped), n=len(found.grouped)),
        *counted.outcomes(CONFIGS / "Llama-2-7B"),
        *(kaibo.Outcome(name, None, why=why) for name, why in UNMEASURED),
    )
    sentences = (
        ("cache", {"grouped": grouped.kv_bytes_per_token / 1e3, "plain": plain.kv_bytes_per_token / 1e3}),
        ("card", {"size": narrow.weights / 1e9, "with_cache": narrow.with_cache / 1e9}),
        ("reach", {"factor": reach["Llama-2-7B"].stretch, "cache": reach["Llama-2-7B"].extended_cache / 1e9}),
    )
    return kaibo.Results(shown, outcomes, sentences)


def only_largest(grouped: dict[str, bool]) -> bool:
    """Whether the one model with grouped queries is that of 70B."""
    return {model for model, has in grouped.items() if has} == {"Llama 2 70B"}


UNMEASURED = (
    ("rope", kaibo.note("family_why_2")),
    ("unlimited", kaibo.note("family_why_6")),
    (
        "credit",
        kaibo.note("family_why_7"),
    ),
    ("rlhf", kaibo.note("family_why_8")),
    ("elyza-tokens", kaibo.note("family_why_8")),
    ("elyza-gpt35", kaibo.note("family_why_9")),
)
"""What no config and no table can judge, and why."""
