"""Lists with an entry a layer, and numbers that do not fit each other: one sentence each, and nothing guessed."""

from __future__ import annotations

import pytest

from kaibo.models.anatomy import architecture

GPT_OSS = {
    "model_type": "gpt_oss",
    "architectures": ["GptOssForCausalLM"],
    "hidden_size": 64,
    "intermediate_size": 32,
    "num_hidden_layers": 4,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 16,
    "num_local_experts": 8,
    "num_experts_per_tok": 2,
    "sliding_window": 128,
    "vocab_size": 100,
    "max_position_embeddings": 256,
}
QWEN = {
    "model_type": "qwen3_5_text",
    "hidden_size": 64,
    "intermediate_size": 128,
    "num_hidden_layers": 4,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "vocab_size": 100,
    "max_position_embeddings": 256,
}
DEEPSEEK = {
    "model_type": "deepseek_v3",
    "hidden_size": 64,
    "intermediate_size": 128,
    "moe_intermediate_size": 32,
    "num_hidden_layers": 4,
    "num_attention_heads": 4,
    "vocab_size": 100,
    "max_position_embeddings": 256,
    "kv_lora_rank": 16,
    "qk_nope_head_dim": 16,
    "qk_rope_head_dim": 8,
    "v_head_dim": 16,
    "n_routed_experts": 8,
    "num_experts_per_tok": 2,
    "first_k_dense_replace": 1,
}


@pytest.mark.parametrize(
    ("types", "said"),
    [
        (["full_attention"] * 3, "of 3 entries, not a list with an entry for each of 4 layers"),
        (["full_attention", None, {}, 3], "holds None"),
        ("full_attention", 'is the text "full_attention", not a list'),
        (["hyper_attention"] * 4, 'holds the text "hyper_attention", which this family does not have'),
        (7, "is 7, not a list"),
    ],
)
def test_a_list_of_kinds_of_layers_that_is_wrong_is_named_and_no_cache_is_counted_from_it(types, said):
    drawn = architecture({**GPT_OSS, "layer_types": types})
    assert drawn.kv_bytes_per_token is None
    assert len(drawn.malformed) == 1
    assert said in drawn.malformed[0]
    assert architecture(GPT_OSS).kv_bytes_per_token is not None


@pytest.mark.parametrize("interval", [0, -4, "4", [4]])
def test_a_rule_whose_number_is_wrong_says_nothing_of_any_layer(interval):
    """An interval of 0 made every layer a linear one: no cache, and millions of parameters too many."""
    drawn = architecture({**QWEN, "full_attention_interval": interval})
    assert drawn.parameters is drawn.kv_bytes_per_token is None
    assert '"full_attention_interval"' in drawn.malformed[0]
    assert "layer_types" in drawn.why["parameters"]


@pytest.mark.parametrize(("key", "value"), [("first_k_dense_replace", "3"), ("moe_layer_freq", [0, 1])])
def test_where_experts_are_is_not_guessed_from_a_setting_that_is_wrong(key, value):
    drawn = architecture({**DEEPSEEK, key: value})
    assert drawn.parameters is None
    assert f'"{key}"' in drawn.why["parameters"]


def test_heads_that_do_not_divide_the_width_are_said_with_what_was_taken():
    config = {**QWEN, "model_type": "llama", "num_attention_heads": 7, "num_key_value_heads": 7}
    assert architecture(config).malformed == (
        "config.json: 7 heads do not divide a width of 64; heads of 9 numbers are taken",
    )


def test_more_experts_a_token_than_there_are_is_said():
    drawn = architecture({**GPT_OSS, "num_experts_per_tok": 99})
    assert drawn.malformed == ("config.json: a token uses 99 experts of 8; 8 are taken",)
    assert drawn.active_parameters == drawn.parameters


@pytest.mark.parametrize("key", ["text_config", "vision_config"])
@pytest.mark.parametrize("value", [[1], "x", 3, True])
def test_a_part_whose_config_is_no_object_is_named_and_the_defaults_of_its_class_are_not_taken(key, value):
    """A list under `text_config` was read as if nothing stood there: 12 billion parameters of a default model."""
    drawn = architecture({"model_type": "qwen3_vl", key: value})
    assert drawn.parameters_whole is None
    assert any(f'"{key}" is' in sentence for sentence in drawn.malformed)


def test_what_a_part_has_wrong_is_said_as_that_of_the_text_is():
    drawn = architecture({"model_type": "qwen3_vl", "vision_config": {"hidden_size": "1024"}})
    assert drawn.parameters_whole is None
    assert 'config.json: "hidden_size" is the text "1024", not a whole number' in drawn.malformed


def test_a_model_whose_layers_are_only_listed_has_as_many_as_the_list():
    """Nemotron-H spells its layers with a letter each and was said to list 52 of 0."""
    config = {
        "model_type": "nemotron_h",
        "hybrid_override_pattern": "ME*-M",
        "hidden_size": 64,
        "intermediate_size": 128,
        "moe_intermediate_size": 32,
        "moe_shared_expert_intermediate_size": 32,
        "n_routed_experts": 4,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "head_dim": 16,
        "vocab_size": 100,
        "max_position_embeddings": 256,
    }
    drawn = architecture(config)
    assert drawn.malformed == ()
    assert drawn.parameters is not None
    wrong = architecture({**config, "hybrid_override_pattern": "ME*Q"})
    assert 'holds the text "Q"' in wrong.malformed[0]
    assert wrong.parameters is None
