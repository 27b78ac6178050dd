"""A model's answers are kept under what decides them: another function is another key, another spelling is not."""

from __future__ import annotations

from typing import Any

import pytest

from kaibo.llama.engines.functions import Running, function_of
from kaibo.vocabulary import Model

LLAMA: dict[str, Any] = {
    "model_type": "llama", "architectures": ["LlamaForCausalLM"], "vocab_size": 300, "hidden_size": 64,
    "intermediate_size": 128, "num_hidden_layers": 2, "num_attention_heads": 4, "num_key_value_heads": 2,
    "max_position_embeddings": 256, "rms_norm_eps": 1e-6, "rope_theta": 10000.0, "torch_dtype": "float32",
}  # fmt: skip
GPT2: dict[str, Any] = {
    "model_type": "gpt2", "vocab_size": 300, "n_embd": 32, "n_layer": 2, "n_head": 4, "n_positions": 64,
    "activation_function": "gelu_new",
}  # fmt: skip
NEOX: dict[str, Any] = {
    "model_type": "gpt_neox", "vocab_size": 300, "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4,
    "intermediate_size": 64, "max_position_embeddings": 64, "rotary_pct": 0.25, "rotary_emb_base": 10000,
}  # fmt: skip
SCALED = {"factor": 4.0, "original_max_position_embeddings": 64}


def key(config: dict[str, Any], how: Running | None = None, model_id: str = "m", tokenizer: str = "t") -> str:
    return function_of(
        Model("./m", "m", "llama", (), config), model_id, tokenizer, how or Running("float32")
    ).function_id


@pytest.mark.parametrize(
    "change",
    [
        {"rope_theta": 500000.0},
        {"rms_norm_eps": 0.1},
        {"num_attention_heads": 8},
        {"num_key_value_heads": 4},
        {"rope_scaling": {"type": "linear", "factor": 4.0}},
        {"rope_scaling": {"type": "yarn", **SCALED}},
        {"rope_parameters": {"rope_type": "default", "rope_theta": 500000.0}},
        {"attention_bias": True},
        {"tie_word_embeddings": True},
        {"head_dim": 32},
        {"hidden_act": "gelu"},
        {"attention_multiplier": 2.0},
        {"model_type": "mistral", "architectures": ["MistralForCausalLM"], "sliding_window": 16},
    ],
)
def test_another_field_that_the_forward_pass_reads_is_another_function(change: dict[str, Any]) -> None:
    assert key({**LLAMA, **change}) != key(LLAMA)


@pytest.mark.parametrize(
    "respelled",
    [
        {**LLAMA, "rope_theta": 10000},
        {name: value for name, value in LLAMA.items() if name not in ("rope_theta", "rms_norm_eps")},
        {**LLAMA, "rope_theta": None, "rope_parameters": {"rope_type": "default", "rope_theta": 10000.0}},
        {**LLAMA, "head_dim": 16, "hidden_act": "silu", "attention_bias": False, "rope_scaling": None},
        {**LLAMA, "_name_or_path": "elsewhere", "transformers_version": "4.1.0", "use_cache": False},
        {**LLAMA, "torch_dtype": None, "dtype": "bfloat16", "initializer_range": 0.5, "attention_dropout": 0.5},
        {**LLAMA, "eos_token_id": [1, 2], "pad_token_id": 7, "temperature": 0.5, "unsloth_version": "1"},
    ],
)
def test_another_spelling_of_a_llama_is_the_same_function(respelled: dict[str, Any]) -> None:
    assert key(respelled) == key(LLAMA)


def test_scaled_positions_agree_in_old_and_new_words() -> None:
    old = {**LLAMA, "rope_theta": 500000.0, "rope_scaling": {"type": "yarn", **SCALED}}
    new = {**LLAMA, "rope_parameters": {"rope_type": "yarn", "rope_theta": 500000, **SCALED}}
    assert key(old) == key(new) != key({**new, "rope_parameters": {**new["rope_parameters"], "factor": 2.0}})


@pytest.mark.parametrize(
    ("config", "respelled"),
    [
        (GPT2, {"n_head": None, "num_attention_heads": 4}),
        (GPT2, {"n_embd": None, "hidden_size": 32, "layer_norm_epsilon": 1e-5, "resid_pdrop": 0.5}),
        (GPT2, {"architectures": ["GPT2LMHeadModel"], "_name_or_path": "x", "torch_dtype": "float16"}),
        (NEOX, {"rotary_pct": None, "rotary_emb_base": None,
                "rope_parameters": {"rope_type": "default", "rope_theta": 10000.0, "partial_rotary_factor": 0.25}}),
        (NEOX, {"use_parallel_residual": True, "hidden_act": "gelu", "hidden_dropout": 0.3}),
    ],
)  # fmt: skip
def test_another_spelling_of_what_transformers_runs_is_the_same_function(
    config: dict[str, Any], respelled: dict[str, Any]
) -> None:
    pytest.importorskip("transformers")
    written = {name: value for name, value in {**config, **respelled}.items() if value is not None}
    assert key(written) == key(config)


@pytest.mark.parametrize(
    ("config", "change"),
    [
        (GPT2, {"n_head": 8}),
        (GPT2, {"layer_norm_epsilon": 1e-3}),
        (GPT2, {"scale_attn_by_inverse_layer_idx": True}),
        (GPT2, {"quantization_config": {"quant_method": "fp8"}}),
        (NEOX, {"rotary_pct": 1.0}),
        (NEOX, {"rotary_emb_base": 500000}),
        (NEOX, {"use_parallel_residual": False}),
    ],
)
def test_another_field_that_transformers_reads_is_another_function(
    config: dict[str, Any], change: dict[str, Any]
) -> None:
    pytest.importorskip("transformers")
    assert key({**config, **change}) != key(config)


def test_whatever_decides_how_a_model_is_run_is_in_the_key() -> None:
    runs = [
        Running("float32"), Running("bfloat16"), Running("float32", rope="yarn:2"), Running("float32", bits=8),
        Running("float32", bits=4), Running("float32", device="cuda"),
    ]  # fmt: skip
    keys = {key(GPT2, how) for how in runs} | {key(LLAMA, how) for how in runs}
    assert len(keys) == 2 * len(runs)
    assert key(LLAMA, Running("float32", "cuda:1")) == key(LLAMA, Running("float32", "cuda"))
    assert len({key(LLAMA), key(LLAMA, model_id="n"), key(LLAMA, tokenizer="u")}) == 3


def test_a_config_that_nothing_reads_still_has_a_key() -> None:
    odd = {"model_type": "nobody-knows", "heads": {"deep": [1, 2.0]}, "label": float("inf")}
    assert key(odd) == key(dict(reversed(odd.items()))) != key({**odd, "heads": {"deep": [1, 3]}})


def test_every_way_of_scaling_positions_is_a_function_of_its_own() -> None:
    ways = [{"type": "linear", "factor": 4.0}, {"type": "dynamic", "factor": 4.0}, {"type": "yarn", **SCALED}]
    keys = {key({**LLAMA, "rope_scaling": way}) for way in ways}  # dynamic was answered by what linear had scored
    assert len({*keys, key(LLAMA)}) == 4


def test_a_model_has_stopped_after_whatever_its_generation_config_says() -> None:
    from types import SimpleNamespace

    from kaibo.chapters.eval.ask import ends_of

    model = Model(
        "./m", "m", "llama", (), {"eos_token_id": 3}, documents={"generation_config.json": {"eos_token_id": [3, 7]}}
    )
    assert ends_of(SimpleNamespace(model=model, tokenizer=SimpleNamespace(eos=2))) == {2, 3, 7}
