"""What differs beside the weights: said once, shown short, and never for two ways of writing the same."""

from __future__ import annotations

import json
import shutil
import warnings
from pathlib import Path
from typing import Any

import pytest

from kaibo.models import open_model
from kaibo.models.adapters import vocabularies
from kaibo.models.pairing.comparing import LONGEST, Change, changes
from kaibo.models.pairing.vocabularies import tokenizer_of
from kaibo.testing import tiny_model
from made import Made

LLAMA = {"model_type": "llama", "architectures": ["LlamaForCausalLM"], "hidden_size": 32, "intermediate_size": 64}
LLAMA |= {
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "vocab_size": 64,
    "rms_norm_eps": 1e-5,
    "hidden_act": "silu",
}
LLAMA |= {"bos_token_id": 1, "eos_token_id": 2, "torch_dtype": "bfloat16", "max_position_embeddings": 128}
SCALING = {"factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0, "original_max_position_embeddings": 64}
OLD: dict[str, dict[str, Any]] = {
    "llama 2": {**LLAMA, "rope_scaling": None, "pretraining_tp": 1, "tie_word_embeddings": False, "use_cache": True},
    "llama 3.1": {**LLAMA, "rope_theta": 500000.0, "rope_scaling": {**SCALING, "rope_type": "llama3"}},
    "llama linear": {**LLAMA, "rope_scaling": {"type": "linear", "factor": 2.0}, "num_key_value_heads": 4},
    "gemma": {
        **LLAMA,
        "model_type": "gemma",
        "architectures": ["GemmaForCausalLM"],
        "head_dim": 8,
        "num_key_value_heads": 1,
    },
    "gpt_neox": {
        **{key: value for key, value in LLAMA.items() if key not in ("rms_norm_eps", "hidden_act")},
        "model_type": "gpt_neox",
        "architectures": ["GPTNeoXForCausalLM"],
        "hidden_act": "gelu",
        "rotary_emb_base": 20000,
        "rotary_pct": 0.5,
        "layer_norm_eps": 1e-5,
        "initializer_range": 0.02,
    },
    "qwen3": {
        **LLAMA,
        "model_type": "qwen3",
        "architectures": ["Qwen3ForCausalLM"],
        "head_dim": 8,
        "rope_theta": 1e6,
        "num_key_value_heads": 2,
    },
}

WRITTEN_OUT = {
    "gemma": {"attention_bias", "pad_token_id"},
    "gpt_neox": {"classifier_dropout", "hidden_dropout"},
    "qwen3": {"layer_types", "max_window_layers"},
}
"""Defaults of a class that its old file left to it and no anatomy knows: said, since they may matter."""


def differing(base: Path, tuned: Path) -> dict[str, Change]:
    models = open_model(base), open_model(tuned)
    return {change.what: change for change in changes(*models, vocabularies(*models))}


def model(folder: Path, config: dict[str, Any]) -> Path:
    tiny_model(folder)
    (folder / "config.json").write_text(json.dumps(config))
    return folder


def saved_again(config: dict[str, Any], folder: Path) -> dict[str, Any]:
    """The same config as this version of transformers writes it."""
    from transformers import AutoConfig

    folder.mkdir()
    (folder / "config.json").write_text(json.dumps(config))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        AutoConfig.from_pretrained(folder).save_pretrained(folder)
    new: dict[str, Any] = json.loads((folder / "config.json").read_text())
    return new


@pytest.mark.parametrize("name", OLD)
def test_an_old_config_and_what_transformers_5_makes_of_it_mean_the_same(name: str, tmp_path: Path) -> None:
    new = saved_again(OLD[name], tmp_path / "again")
    assert "rope_parameters" in new
    assert "torch_dtype" not in new
    found = differing(model(tmp_path / "old", OLD[name]), model(tmp_path / "new", new))
    assert {what.removeprefix("config: ") for what in found} <= WRITTEN_OUT.get(name, set())
    assert all(change.before is None for change in found.values())


def test_what_matters_in_a_config_is_said_in_either_form(tmp_path: Path) -> None:
    new = saved_again(OLD["llama 3.1"], tmp_path / "again")
    new["rope_parameters"] |= {"rope_theta": 1e6, "factor": 16.0}
    new |= {"dtype": "float32", "max_position_embeddings": 256, "tie_word_embeddings": True, "num_key_value_heads": 2}
    found = differing(model(tmp_path / "old", OLD["llama 3.1"]), model(tmp_path / "new", new))
    pairs = {what: (change.before, change.after) for what, change in found.items()}
    assert pairs["config: RoPE base"] == (500000.0, 1e6)
    assert pairs["config: RoPE factor"] == (8.0, 16.0)
    assert pairs["config: dtype"] == ("bfloat16", "float32")
    assert pairs["config: max_position_embeddings"] == (128, 256)
    assert pairs["config: num_key_value_heads"] == (None, 2)
    assert pairs["config: tie_word_embeddings"] == (None, True)
    assert "config: RoPE scaling" not in pairs


def test_a_default_of_the_family_that_is_written_out_is_no_difference(tmp_path: Path) -> None:
    said = {**LLAMA, "num_key_value_heads": 4, "head_dim": 8, "tie_word_embeddings": False}
    assert differing(model(tmp_path / "a", LLAMA), model(tmp_path / "b", said)) == {}
    neox = OLD["gpt_neox"]
    found = differing(model(tmp_path / "c", neox), model(tmp_path / "d", {**neox, "attention_bias": False}))
    assert set(found) == {"config: attention_bias"}  # of this family the default is true


def test_a_config_of_an_unknown_family_is_compared_key_by_key(tmp_path: Path) -> None:
    a, b = {"model_type": "new", "x": 1, "rope_theta": 1e4}, {"model_type": "new", "x": [1] * 400, "rope_theta": 2e4}
    models = [model(tmp_path / name, config) for name, config in (("a", a), ("b", b))]
    found = differing(*models)
    assert set(found) == {"config: x", "config: RoPE base"} or set(found) == {"config: x", "config: rope_theta"}
    assert found["config: x"].full == (1, [1] * 400)
    assert len(found["config: x"].after) == LONGEST


def test_a_tokenizer_saved_in_the_old_form_and_the_new_is_the_same(made: Made, tmp_path: Path) -> None:
    new = made.base()
    old = tmp_path / "old"
    shutil.copytree(new, old)
    special = {"bos_token": {"content": "<s>", "lstrip": False}, "eos_token": "</s>", "unk_token": "<unk>"}
    (old / "special_tokens_map.json").write_text(json.dumps(special))
    settings = json.loads((new / "tokenizer_config.json").read_text())
    for key in ("bos_token", "eos_token", "unk_token"):
        settings.pop(key, None)
    settings |= {"tokenizer_class": "PreTrainedTokenizerFast", "chat_template": "{{ x }}\n", "added_tokens_decoder": {}}
    (old / "tokenizer_config.json").write_text(json.dumps(settings))
    newer = tmp_path / "new"
    shutil.copytree(new, newer)
    (newer / "chat_template.jinja").write_text("{{ x }}")
    assert differing(old, newer) == {}
    (newer / "chat_template.jinja").write_text("{{ y }}")
    special["eos_token"] = "<end>"
    (old / "special_tokens_map.json").write_text(json.dumps(special))
    assert set(differing(old, newer)) == {
        "special token: eos_token",
        "chat template: line 1, the first of 1 that differ",
    }


def test_a_chat_template_is_shown_where_it_differs_and_kept_whole(tmp_path: Path) -> None:
    lines = [f"{{# line {n} #}}" for n in range(300)]
    base, tuned = tiny_model(tmp_path / "a"), tiny_model(tmp_path / "b")
    (base / "chat_template.jinja").write_text("\n".join(lines))
    lines[200] = "x" * 5000 + "\x1b[2J" + "y" * 5000
    (tuned / "chat_template.jinja").write_text("\n".join(lines))
    (change,) = differing(base, tuned).values()
    assert change.what == "chat template: line 201, the first of 1 that differ"
    assert change.before == "{# line 200 #}"
    assert len(change.after) <= LONGEST + 1
    assert "\x1b" not in change.after
    assert change.full == ((base / "chat_template.jinja").read_text(), (tuned / "chat_template.jinja").read_text())
    (base / "chat_template.jinja").unlink()
    (change,) = differing(base, tuned).values()
    assert (change.what, change.before, change.after) == ("chat template", None, "300 lines")


def tokenizer(folder: Path, vocabulary: Any, merges: Any = (), **more: Any) -> None:
    document = {"model": {"vocab": vocabulary, "merges": list(merges)}, **more}
    (folder / "tokenizer.json").write_text(json.dumps(document))


def test_tokens_added_removed_and_renumbered_are_counted_with_examples(tmp_path: Path) -> None:
    base, tuned = tiny_model(tmp_path / "a"), tiny_model(tmp_path / "b")
    tokenizer(base, {"a": 0, "b": 1, "c": 2, "gone": 3}, ["a b", "b c"])
    tokenizer(
        tuned, {"a": 0, "c": 1, "b": 2, **{f"new{n}": 3 + n for n in range(9)}}, [["a", "b"], ["a", "c"], ["b", "c"]]
    )
    found = differing(base, tuned)
    pairs = {what: (change.before, change.after) for what, change in found.items()}
    assert pairs == {
        "vocabulary: tokens": (4, 12),
        "vocabulary: added": (None, 9),
        "vocabulary: added, for example": (None, "new0, new1, new2, new3, new4"),
        "vocabulary: removed": (None, 1),
        "vocabulary: removed, for example": ("gone", None),
        "vocabulary: re-numbered": (None, 2),
        "vocabulary: re-numbered, for example": ("c 2, b 1", "c 1, b 2"),
        "tokenizer: merges": (2, 3),
        "tokenizer: merge 2, the first that differs": ("b c", "a c"),
    }
    tokenizer(base, {"a": 0}, ["a b"])
    tokenizer(tuned, {"a": 0}, [["a", "b"]], normalizer={"type": "NFC"})
    assert [(change.what, change.before) for change in differing(base, tuned).values()] == [
        ("tokenizer: normalizer", None)
    ]


def test_tokens_listed_twice_are_counted_and_the_last_row_holds(tmp_path: Path) -> None:
    base, tuned = tiny_model(tmp_path / "a"), tiny_model(tmp_path / "b")
    tokenizer(base, [["a", -1.0], ["b", -2.0], ["a", -3.0]])
    tokenizer(tuned, [["x", -1.0], ["b", -2.0], ["a", -3.0]])
    read = tokenizer_of(str(base))
    assert read is not None
    assert (dict(read.vocabulary), read.repeated) == ({"a": 2, "b": 1}, 1)
    assert differing(base, tuned)["tokenizer: tokens listed twice"].before == 1


def test_the_files_of_a_slow_tokenizer_are_read_together(tmp_path: Path) -> None:
    folder = tiny_model(tmp_path / "a")
    (folder / "vocab.json").write_text(json.dumps({"a": 0, "b": 1, "ab": 2}))
    (folder / "merges.txt").write_text("#version: 0.2\na b\n")
    (folder / "added_tokens.json").write_text(json.dumps({"<pad>": 3}))
    read = tokenizer_of(str(folder))
    assert read is not None
    assert dict(read.vocabulary) == {"a": 0, "b": 1, "ab": 2, "<pad>": 3}
    assert read.merges == (("a", "b"),)
    (folder / "vocab.json").write_text(json.dumps({"a": 0}))
    again = tokenizer_of(str(folder))
    assert again is not None
    assert len(again.vocabulary) == 2
