"""Laws: what predicts a score of models held out, beside the baselines of size and FLOPs; forecasts; whom to run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import kaibo

from .components import ENGLISH, FACTS, SHIPPED, kept_models

SHIPPED_TARGETS = ("MMLU", "Code")
TARGETS = {
    "post-training": ("gsm8k_cot_8_exact_match,flexible-extract", "gsm8k_5_exact_match,flexible-extract"),
    "emergent": ("word_unscrambling_2_exact_match", "arithmetic_3da_2_acc"),
}
"""What the source predicts from the components of its base table."""

CUTOFF = 84e21
"""FLOPs up to which the source trains its laws (Llama 2 7B); what cost more is held out."""

NEW = {"8B, 15T tokens": (8e9, 15e12), "70B, 15T tokens": (70e9, 15e12)}
"""Models that are in no table here, by parameters and training tokens."""

BUDGETS = (4, 6, 8, 10)
SOURCE_BUDGETS = (4, 8, 12, 16, 20, 24)


def laws(tables: Mapping[str, str], inputs: kaibo.Inputs) -> dict[str, Any]:
    """A law for each target: of the shipped table by families left out, of the source's by its cut-off."""
    found = {f"law-{target}": shipped_law(target, inputs) for target in SHIPPED_TARGETS}
    for kind, targets in TARGETS.items() if ENGLISH in tables else ():
        for target in targets if kind in tables else ():
            options = kaibo.options.LawOptions(
                without="GSM8K", split=kaibo.options.Split("flops", CUTOFF), fit=fit(inputs)
            )
            both = [tables[ENGLISH], tables[kind]]
            found[f"law-{target}"] = kaibo.law(both, target, law=options, options=kept_models(inputs))
    return found


def shipped_law(target: str, inputs: kaibo.Inputs) -> Any:
    """A law of the open models, each family predicted by the others."""
    options = kaibo.options.LawOptions(columns=others(target), split=kaibo.options.Split("family"), fit=fit(inputs))
    return kaibo.law([SHIPPED, FACTS], target, law=options)


def forecasts(inputs: kaibo.Inputs) -> Any:
    """MMLU of models that are in no table, from what their training costs, with intervals."""
    target = SHIPPED_TARGETS[0]
    options = kaibo.options.LawOptions(columns=others(target), fit=fit(inputs))
    found = [
        kaibo.forecast([SHIPPED, FACTS], target, name, parameters=size, tokens=tokens, law=options)
        for name, (size, tokens) in NEW.items()
    ]
    notes = tuple(dict.fromkeys(note for one in found for note in one.notes))
    return replace(found[0], rows=tuple(row for one in found for row in one.rows), notes=notes)


def selection(tables: Mapping[str, str], inputs: kaibo.Inputs) -> Any:
    """Which families to run to know the components of all: of the source's table where given, else the open models."""
    if ENGLISH in tables:
        return kaibo.select(tables[ENGLISH], SOURCE_BUDGETS, options=kept_models(inputs))
    return kaibo.select(SHIPPED, BUDGETS)


def others(target: str) -> str:
    """The columns of the open models without the one predicted."""
    return ",".join(name for name in kaibo.score_table(SHIPPED).benchmarks if name != target)


def fit(inputs: kaibo.Inputs) -> kaibo.options.FitSettings:
    """Fewer draws in the small form."""
    return kaibo.options.FitSettings(draws=200, starts=20) if inputs.small else kaibo.options.FitSettings()


def told(name: str, finding: Any) -> tuple[str, dict[str, Any]]:
    """The sentence about a law: the error on models held out from size, from FLOPs, from components.

    Of the open models FLOPs are known for one family of four only, and the sentence says so.
    """
    row = finding.rows[0]
    errors = {one: row.test_mse.get(one) for one in ("size", "flops")}
    shown = {one: "–" if value is None else f"{100 * value**0.5:.1f}" for one, value in errors.items()}
    error = 100 * row.test_mse[row.chosen] ** 0.5
    key = "law_shipped" if name.removeprefix("law-") in SHIPPED_TARGETS else "law"
    return key, {"target": row.target, "best": row.chosen, "error": error, **shown, "tested": row.n_test}
