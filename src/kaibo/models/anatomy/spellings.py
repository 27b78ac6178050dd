"""How older files spell what newer ones say: kinds of layers, patterns of letters; and what a model class is for."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

MOST_LAYERS = 100_000

_ENDINGS = (
    "ForSequenceClassification",
    "ForTokenClassification",
    "ForQuestionAnswering",
    "ForMultipleChoice",
    "ForNextSentencePrediction",
    "ForConditionalGeneration",
    "ForPreTraining",
    "ForMaskedLM",
    "ForCausalLM",
    "LMHeadModel",
    "Model",
)


LEGACY = {
    "mamba": "linear_attention",
    "attention": "full_attention",
    "deepseek_sparse_attention": "indexed_attention",
    "qwen_sparse_attention": "indexed_attention",
}
"""Entries of `layer_types` in older files. Source: transformers: configuration_utils.py, _LEGACY_LAYER_TYPE_REMAP."""


SPELLED: Mapping[str, tuple[str, Mapping[str, str]]] = {
    "hybrid_override_pattern": (
        "layers_block_type",
        {"M": "linear_attention", "E": "moe", "*": "full_attention", "-": "mlp"},
    )
}
"""Layers that older files spell with a letter each. Source: transformers: nemotron_h/configuration_nemotron_h.py."""


def spelled_out(config: Mapping[str, Any]) -> Mapping[str, Any]:
    """The config with a list in place of each pattern of letters."""
    found = dict(config)
    for key, (name, letters) in SPELLED.items():
        text = config.get(key)
        if isinstance(text, str) and name not in config and len(text) <= MOST_LAYERS and set(text) <= set(letters):
            found[name] = [letters[letter] for letter in text]
    return found


def ending_of(architecture: str) -> str | None:
    """What a model class is for, from the end of its name: `ForCausalLM`, `Model` …; None where it says nothing."""
    return next((ending for ending in _ENDINGS if architecture.endswith(ending)), None)
