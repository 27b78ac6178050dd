"""A packed file becomes a folder that every other program reads, and runs as it is."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

import kaibo
from kaibo.cli import main_loop
from kaibo.errors import FormatError, UsageError
from kaibo.testing import tiny_model
from made_gguf import write_gguf

torch = pytest.importorskip("torch", reason="the extra torch is not installed")

from scoring_models import TEXT, save_causal  # noqa: E402

LAYER = {
    "input_layernorm": "attn_norm",
    "post_attention_layernorm": "ffn_norm",
    "self_attn.q_proj": "attn_q",
    "self_attn.k_proj": "attn_k",
    "self_attn.v_proj": "attn_v",
    "self_attn.o_proj": "attn_output",
    "mlp.gate_proj": "ffn_gate",
    "mlp.up_proj": "ffn_up",
    "mlp.down_proj": "ffn_down",
}
WHOLE = {"model.embed_tokens": "token_embd", "model.norm": "output_norm", "lm_head": "output"}


def as_gguf(folder: Path, file: Path) -> Path:
    """The model of a folder as llama.cpp's converter writes it: names, q and k in pairs, the tokenizer's lists."""
    config = json.loads((folder / "config.json").read_text())
    said = json.loads((folder / "tokenizer.json").read_text())
    vocabulary = {**said["model"]["vocab"], **{one["content"]: one["id"] for one in said["added_tokens"]}}
    tokens = sorted(vocabulary, key=lambda token: vocabulary[token])
    special = {one["content"] for one in said["added_tokens"]}
    metadata = {
        "general.architecture": "llama",
        "llama.block_count": config["num_hidden_layers"],
        "llama.embedding_length": config["hidden_size"],
        "llama.feed_forward_length": config["intermediate_size"],
        "llama.attention.head_count": config["num_attention_heads"],
        "llama.attention.head_count_kv": config["num_key_value_heads"],
        "llama.attention.layer_norm_rms_epsilon": config["rms_norm_eps"],
        "llama.context_length": config["max_position_embeddings"],
        "llama.rope.freq_base": 10000.0,
        "tokenizer.ggml.model": "gpt2",
        "tokenizer.ggml.pre": "gpt-2",
        "tokenizer.ggml.tokens": tokens,
        "tokenizer.ggml.token_type": [3 if token in special else 1 for token in tokens],
        "tokenizer.ggml.merges": [" ".join(pair) for pair in said["model"]["merges"]],
        "tokenizer.ggml.bos_token_id": 0,
        "tokenizer.ggml.eos_token_id": 1,
        "tokenizer.ggml.add_bos_token": True,
        "tokenizer.chat_template": "{% for m in messages %}{{ m.content }}{% endfor %}",
    }
    tensors = {}
    for name, values in load_file(folder / "model.safetensors").items():
        stem, _, ending = name.rpartition(".")
        _, _, block = stem.partition("model.layers.")
        number, _, inner = block.partition(".")
        known = f"blk.{number}.{LAYER[inner]}" if block else WHOLE[stem]
        if inner in ("self_attn.q_proj", "self_attn.k_proj"):
            heads = config["num_attention_heads" if "q_proj" in inner else "num_key_value_heads"]
            paired = values.reshape(heads, 2, -1, values.shape[1]).swapaxes(1, 2)
            values = np.ascontiguousarray(paired).reshape(values.shape)
        tensors[f"{known}.{ending}"] = ("F32", values.shape, values.tobytes())
    return write_gguf(file, metadata, tensors)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    place = tmp_path_factory.mktemp("gguf")
    folder = save_causal(place / "llm")
    return folder, as_gguf(folder, place / "llm.gguf")


def test_unpacked_weights_are_those_it_was_made_from_under_their_own_names(
    made: tuple[Path, Path], tmp_path: Path
) -> None:
    folder, file = made
    found = kaibo.unpack(file, tmp_path / "out", dtype="float32")
    before, after = load_file(folder / "model.safetensors"), load_file(tmp_path / "out" / "model.safetensors")
    assert before.keys() == after.keys()
    assert all(np.array_equal(before[name], after[name]) for name in before)
    assert found.rows[0].tokenizer
    text = (tmp_path / "out" / "chat_template.jinja").read_text()
    assert text.startswith("{% for m")


def test_a_gguf_runs_as_it_is_and_scores_as_transformers_scores_what_was_unpacked(
    made: tuple[Path, Path], tmp_path: Path
) -> None:
    from transformers import AutoModelForCausalLM, AutoTokenizer

    _, file = made
    kaibo.unpack(file, tmp_path / "out", dtype="float32")
    (tmp_path / "t.txt").write_text(TEXT[:40], encoding="utf-8")
    settings = kaibo.Settings(tmp_path / "store")
    (row,) = kaibo.score(file, tmp_path / "t.txt", settings=settings).rows
    tokenizer = AutoTokenizer.from_pretrained(tmp_path / "out")
    ids = torch.tensor([tokenizer(TEXT[:40]).input_ids])
    with torch.no_grad():
        logits = AutoModelForCausalLM.from_pretrained(tmp_path / "out")(ids).logits[0].double().log_softmax(-1)
    nats = -logits[:-1].gather(1, ids[0, 1:, None]).mean()
    assert ids[0, 0] == 0  # the token that the file says is put before a text
    assert row.nats / row.tokens == pytest.approx(float(nats), rel=1e-5)


def test_rounding_is_once_to_nearest_even(tmp_path: Path) -> None:
    folder = tiny_model(tmp_path / "m", dtype="F32")
    kaibo.unpack(folder, tmp_path / "out", dtype="bfloat16")
    before = torch.from_numpy(load_file(folder / "model.safetensors")["model.norm.weight"])
    from safetensors.torch import load_file as load

    assert torch.equal(load(tmp_path / "out" / "model.safetensors")["model.norm.weight"], before.bfloat16())
    assert json.loads((tmp_path / "out" / "config.json").read_text())["torch_dtype"] == "bfloat16"


def test_the_command_writes_once_and_refuses_what_cannot_be(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tiny_model(tmp_path / "m")
    assert main_loop(["unpack", str(folder), "--out", str(tmp_path / "out"), "--json"]) == 0
    (row,) = json.loads(capsys.readouterr().out)["results"]
    assert row["files"] == 1
    assert main_loop(["unpack", str(folder), "--out", str(folder)]) == 2
    assert "is the model's own folder" in capsys.readouterr().err
    with pytest.raises(UsageError, match="--dtype must be one of"):
        kaibo.unpack(folder, tmp_path / "more", dtype="int3")


def test_codes_that_no_packing_decodes_are_refused(tmp_path: Path) -> None:
    folder = tiny_model(tmp_path / "m", dtype="F32")
    tensors: dict[str, Any] = load_file(folder / "model.safetensors")
    tensors.pop("model.layers.0.mlp.up_proj.weight")
    save_file({**tensors, "model.layers.0.mlp.up_proj.codes": np.zeros((4, 4), np.int32)}, folder / "model.safetensors")
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, "quantization_config": {"quant_method": "unheard"}}))
    with pytest.raises(FormatError, match="not decoded"):
        kaibo.unpack(folder, tmp_path / "out")
