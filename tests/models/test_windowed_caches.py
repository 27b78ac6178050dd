"""A config that gives layers a window keeps less, also where the family's cache was measured without windows."""

from __future__ import annotations

import pytest

from kaibo.models.anatomy import architecture

CONFIG = {
    "hidden_size": 64, "num_hidden_layers": 4, "num_attention_heads": 4, "num_key_value_heads": 2, "head_dim": 16,
    "intermediate_size": 96, "vocab_size": 100, "max_position_embeddings": 32768, "sliding_window": 1024,
    "max_window_layers": 2,
}  # fmt: skip
TOKEN = 2 * 2 * 16 * 2
"""Bytes of a token in one layer: keys and values of two heads of 16 at 16 bit."""


@pytest.mark.parametrize(("model_type", "name"), [("qwen2", "Qwen2ForCausalLM"), ("qwen3", "Qwen3ForCausalLM")])
@pytest.mark.parametrize("windows", [False, True])
def test_layers_from_max_window_layers_on_keep_their_window(model_type: str, name: str, windows: bool) -> None:
    config = CONFIG | {"model_type": model_type, "architectures": [name], "use_sliding_window": windows}
    kept = architecture(config).cache_after(16384)
    assert kept is not None
    full = TOKEN * 16384
    assert kept["16"] == (2 * full + 2 * TOKEN * 1023 if windows else 4 * full)


def test_a_list_of_kinds_beside_the_flag_says_how_many() -> None:
    kinds = ["full_attention", "sliding_attention"] * 2
    said = {"model_type": "qwen3", "architectures": ["Qwen3ForCausalLM"], "use_sliding_window": True}
    kept = architecture(CONFIG | said | {"layer_types": kinds}).cache_after(16384)
    assert kept is not None
    assert kept["16"] == 2 * TOKEN * 16384 + 2 * TOKEN * 1023
