"""The config's promise against the header: each sentence says which of the two is which."""

from __future__ import annotations

import json
import math

import pytest

from kaibo.chapters.inspect.ask import inspect
from kaibo.testing import write_safetensors

HIDDEN, WIDE, VOCABULARY, LAYERS = 32, 64, 96, 4
CONFIG = {
    "architectures": ["LlamaForCausalLM"],
    "model_type": "llama",
    "hidden_size": HIDDEN,
    "intermediate_size": WIDE,
    "num_hidden_layers": LAYERS,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "vocab_size": VOCABULARY,
    "max_position_embeddings": 64,
}
OUTSIDE = {"model.embed_tokens": (VOCABULARY, HIDDEN), "model.norm": (HIDDEN,), "lm_head": (VOCABULARY, HIDDEN)}
INSIDE = {
    "self_attn.q_proj": (HIDDEN, HIDDEN),
    "self_attn.k_proj": (16, HIDDEN),
    "self_attn.v_proj": (16, HIDDEN),
    "self_attn.o_proj": (HIDDEN, HIDDEN),
    "mlp.gate_proj": (WIDE, HIDDEN),
    "mlp.up_proj": (WIDE, HIDDEN),
    "mlp.down_proj": (HIDDEN, WIDE),
    "input_layernorm": (HIDDEN,),
    "post_attention_layernorm": (HIDDEN,),
}


def notes_of(folder, config=None, **shapes):
    """The notes of a LLaMA whose config or tensors were changed; a shape of None leaves a tensor out."""
    held = {f"{name}.weight": shape for name, shape in OUTSIDE.items()}
    held |= {f"model.layers.{n}.{name}.weight": shape for n in range(LAYERS) for name, shape in INSIDE.items()}
    held |= {name.replace("__", "."): shape for name, shape in shapes.items()}
    folder.mkdir()
    tensors = {name: ("F32", s, bytes(4 * math.prod(s))) for name, s in held.items() if s is not None}
    write_safetensors(folder / "model.safetensors", tensors)
    (folder / "config.json").write_text(json.dumps({**CONFIG, **(config or {})}))
    return inspect([folder]).notes


def test_a_header_that_keeps_the_promise_needs_no_note(tmp_path):
    assert notes_of(tmp_path / "right") == ()


def test_fewer_layers_in_the_config_are_said_once_and_not_role_by_role(tmp_path):
    """The header was compared with itself, and eight sentences had weights and config the wrong way round."""
    said = notes_of(tmp_path / "a", {"num_hidden_layers": 3})
    assert said == ("9 tensors (9,280 values) belong to layers from 3 on, which the config does not count.",)


@pytest.mark.parametrize(
    ("config", "shapes", "words"),
    [
        ({}, {"lm_head__weight": None}, ["promises a head of its own (3,072 values), and the weights hold none"]),
        ({}, {"model__embed_tokens__weight": (128, 32), "lm_head__weight": (128, 32)}, ["32 rows of padding"]),
        ({"intermediate_size": 48}, {}, ["mlp.gate: the weights hold 8,192 values, the config promises 6,144"]),
        ({"num_key_value_heads": 4}, {}, ["attention.k: the weights hold 2,048 values, the config promises 4,096"]),
        (
            {"intermediate_size": 48},
            {"lm_head__weight": None},
            ["promises a head of its own", "mlp.down: the weights hold 8,192 values, the config promises 6,144"],
        ),
    ],
)
def test_each_difference_is_named_with_both_numbers(tmp_path, config, shapes, words):
    said = notes_of(tmp_path / "a", config, **shapes)
    assert all(any(word in sentence for sentence in said) for word in words), said


def test_a_model_that_no_family_describes_is_said_to_be_named_like_the_nearest_and_no_more(tmp_path):
    strange = {"model_type": "of nothing", "architectures": ["NothingForCausalLM"]}
    said = notes_of(tmp_path / "a", strange)
    assert said == ("No family describes this config; 100% of the kinds of tensor names are those of llama.",)
    row = inspect([tmp_path / "a"]).rows[0]
    assert row.attention == "unknown"
    assert row.kv_bytes_per_token is row.flops_per_token is None
    found = notes_of(tmp_path / "b", strange, model__sideways__weight=(3,))
    assert found == ("No family describes this config; 92% of the kinds of tensor names are those of llama.",)


def test_what_the_tensors_take_up_as_they_are_stored_is_stated(tmp_path):
    notes_of(tmp_path / "a")
    row = inspect([tmp_path / "a"]).rows[0]
    assert row.stored_bytes == 4 * row.parameters
    assert inspect([tmp_path / "a" / "config.json"]).rows[0].stored_bytes is None
