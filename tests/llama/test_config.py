"""Configs of both forms, and those that only look like LLaMA."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from kaibo.errors import FormatError, UsageError
from kaibo.llama.config.config import LlamaConfig, Rope, with_rope
from kaibo.llama.config.config_json import read_config, write_config
from kaibo.testing.models import Plan

OLD: dict[str, Any] = Plan().config()


def test_a_config_is_read_from_the_old_and_the_new_form_alike() -> None:
    scaling = {"factor": 4.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0, "original_max_position_embeddings": 64}
    old = OLD | {"rope_theta": 500_000.0, "rope_scaling": {"type": "llama3", **scaling}}
    plain = {name: value for name, value in OLD.items() if name != "rope_theta"}
    new = plain | {"rope_parameters": {"rope_type": "llama3", "rope_theta": 500_000.0, **scaling}}
    assert read_config(old) == read_config(new)
    assert read_config(old).rope == Rope("llama3", 500_000.0, 4.0, trained=64)


@pytest.mark.parametrize("kind", ["llama", "mistral", "qwen2"])
@pytest.mark.parametrize("rope", [None, "yarn:8", "linear:2", "dynamic:4", "base:1e6"])
def test_what_is_written_is_read_back(kind: str, rope: str | None) -> None:
    bias = kind == "qwen2"
    windows = (5, 5) if kind == "mistral" else (None, 5) if kind == "qwen2" else (None, None)
    config = LlamaConfig(64, 32, 48, 2, 4, 2, 8, 128, qkv_bias=bias, windows=windows, kind=kind, bos=1, eos=(2, 3))
    config = config if rope is None else with_rope(config, rope)
    again = read_config(json.loads(json.dumps(write_config(config))))
    if rope == "dynamic:4":  # a folder cannot say both the trained and the wanted length of dynamic scaling
        assert again.rope.factor == config.rope.factor
    else:
        assert again == config


@pytest.mark.parametrize(
    ("field", "value", "reason"),
    [
        ("model_type", "gemma2", "not llama, mistral, qwen2"),
        ("model_type", "qwen3", "not llama, mistral, qwen2"),
        ("architectures", ["LlamaForSequenceClassification"], "not LlamaForCausalLM"),
        ("final_logit_softcapping", 30.0, "caps its logits"),
        ("num_local_experts", 8, "chooses among experts"),
        ("use_qk_norm", True, "norms that a LLaMA has not"),
        ("attention_multiplier", 0.5, "multiplies what a LLaMA does not"),
        ("hidden_act", "gelu", "activation is not SiLU"),
        ("rope_scaling", {"type": "longrope", "factor": 4.0}, "are not known here"),
        ("rope_parameters", {"rope_type": "default", "partial_rotary_factor": 0.5}, "only a part of each head"),
        ("rope_parameters", {"full_attention": {"rope_type": "default"}}, "scaling positions is not known here"),
        ("quantization_config", {"quant_method": "gptq"}, "packed codes"),
        ("something_new", 3, "no LLaMA has this setting"),
    ],
)
def test_what_only_looks_like_llama_is_refused_with_the_field_and_the_reason(
    field: str, value: Any, reason: str
) -> None:
    with pytest.raises(FormatError, match=reason) as refused:
        read_config(OLD | {field: value})
    assert refused.value.exit == 3
    assert field.partition(".")[0] in refused.value.message or field == "rope_scaling" or field == "rope_parameters"


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("hidden_size", "32"),
        ("hidden_size", 33),
        ("num_hidden_layers", 0),
        ("num_attention_heads", None),
        ("num_key_value_heads", 3),
        ("vocab_size", True),
        ("head_dim", 7),
        ("rms_norm_eps", [1]),
        ("rope_theta", 0.5),
        ("rope_scaling", 4),
        ("rope_scaling", {"type": "linear"}),
        ("rope_scaling", {"type": "linear", "factor": 0.5}),
        ("tie_word_embeddings", "yes"),
        ("eos_token_id", "x"),
        ("intermediate_size", 10**400),
    ],
)
def test_a_malformed_field_is_an_error_of_the_format(field: str, value: Any) -> None:
    with pytest.raises(FormatError):
        read_config(OLD | {field: value})


@pytest.mark.parametrize("text", ["yarn", "yarn:0", "yarn:nan", "ntk:4", "linear:x", "base:inf", ""])
def test_a_scaling_that_does_not_exist_is_a_usage_error(text: str) -> None:
    with pytest.raises(UsageError, match="yarn:8, linear:4"):
        with_rope(read_config(OLD), text)


def test_fields_of_a_config_are_read_as_transformers_reads_them(tmp_path: Path) -> None:
    transformers = pytest.importorskip("transformers", reason="the extra torch is not installed")
    theirs = transformers.LlamaConfig(rope_theta=5000.0, rope_scaling={"type": "yarn", "factor": 2.0})
    theirs.save_pretrained(tmp_path)
    ours = read_config(json.loads((tmp_path / "config.json").read_text()))
    assert (ours.hidden, ours.kv_heads, ours.head_size, ours.rope.base) == (4096, 32, 128, 5000.0)
    assert (ours.rope.kind, ours.rope.factor, ours.trained_context) == ("yarn", 2.0, 2048)
