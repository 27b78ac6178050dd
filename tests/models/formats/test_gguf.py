"""GGUF: what a file says is read exactly, in both byte orders, and nothing that it says is believed unchecked."""

from __future__ import annotations

import contextlib
import json
import struct
import time
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import pytest

from kaibo.errors import FormatError, KaiboError, MissingError
from kaibo.models import open_description, open_model
from kaibo.models.formats.gguf import read
from kaibo.models.places.folder import LocalFile
from kaibo.vocabulary import Model, widen
from made_gguf import gguf_bytes, text, write_gguf

LLAMA: dict[str, Any] = {
    "general.architecture": "llama",
    "llama.block_count": 1,
    "llama.embedding_length": 16,
    "llama.feed_forward_length": 32,
    "llama.attention.head_count": 2,
    "llama.attention.head_count_kv": 1,
    "llama.attention.layer_norm_rms_epsilon": 1e-5,
    "llama.context_length": 64,
    "llama.rope.freq_base": 10000.0,
    "tokenizer.ggml.tokens": ["<s>", "</s>", "a", "b"],
    "tokenizer.ggml.bos_token_id": 0,
    "tokenizer.ggml.eos_token_id": 1,
    "tokenizer.chat_template": "{{ messages }}",
}


def weights(seed: int = 0) -> dict[str, np.ndarray]:
    """A llama of one layer as its family's own files have it."""
    random = np.random.default_rng(seed)
    shapes = {
        "model.embed_tokens.weight": (4, 16),
        "model.norm.weight": (16,),
        "model.layers.0.input_layernorm.weight": (16,),
        "model.layers.0.post_attention_layernorm.weight": (16,),
        "model.layers.0.self_attn.q_proj.weight": (16, 16),
        "model.layers.0.self_attn.k_proj.weight": (8, 16),
        "model.layers.0.self_attn.v_proj.weight": (8, 16),
        "model.layers.0.self_attn.o_proj.weight": (16, 16),
        "model.layers.0.mlp.gate_proj.weight": (32, 16),
        "model.layers.0.mlp.up_proj.weight": (32, 16),
        "model.layers.0.mlp.down_proj.weight": (16, 32),
    }
    return {name: random.standard_normal(shape).astype(np.float32) for name, shape in shapes.items()}


NAMES = {
    "model.embed_tokens": "token_embd",
    "model.norm": "output_norm",
    "model.layers.0.input_layernorm": "blk.0.attn_norm",
    "model.layers.0.post_attention_layernorm": "blk.0.ffn_norm",
    "model.layers.0.self_attn.q_proj": "blk.0.attn_q",
    "model.layers.0.self_attn.k_proj": "blk.0.attn_k",
    "model.layers.0.self_attn.v_proj": "blk.0.attn_v",
    "model.layers.0.self_attn.o_proj": "blk.0.attn_output",
    "model.layers.0.mlp.gate_proj": "blk.0.ffn_gate",
    "model.layers.0.mlp.up_proj": "blk.0.ffn_up",
    "model.layers.0.mlp.down_proj": "blk.0.ffn_down",
}


def permuted(values: np.ndarray, heads: int) -> np.ndarray:
    """llama.cpp, convert_hf_to_gguf.py, `LlamaModel.permute`."""
    return (
        values.reshape(heads, 2, values.shape[0] // heads // 2, *values.shape[1:]).swapaxes(1, 2).reshape(values.shape)
    )


def stored(values: dict[str, np.ndarray], order: str = "<") -> dict[str, Any]:
    found = {}
    for name, one in values.items():
        heads = 2 if "q_proj" in name else 1
        data = permuted(one, heads) if "q_proj" in name or "k_proj" in name else one
        found[f"{NAMES[name.removesuffix('.weight')]}.weight"] = ("F32", one.shape, data.astype(f"{order}f4").tobytes())
    return found


def read_all(model: Model) -> dict[str, np.ndarray]:
    room = np.empty(1 << 12, np.uint8)
    return {
        tensor.canonical: np.concatenate([widen(tensor.dtype.name, chunk) for chunk in tensor.chunks(room)]).reshape(
            tensor.shape
        )
        for tensor in model.tensors
    }


@pytest.mark.parametrize("version", [2, 3])
@pytest.mark.parametrize("order", ["<", ">"])
def test_a_llama_is_what_its_own_files_hold_in_either_byte_order(tmp_path: Path, order: str, version: int) -> None:
    values = weights()
    model = open_model(write_gguf(tmp_path / "m.gguf", LLAMA, stored(values, order), order=order, version=version))
    assert model.family == "llama"
    found = read_all(model)
    assert found.keys() == {name.removeprefix("model.") for name in values}
    for name, one in values.items():
        np.testing.assert_array_equal(found[name.removeprefix("model.")], one, err_msg=name)
    roles = {tensor.role for tensor in model.tensors}
    assert roles >= {"embedding", "norm", "attention.q", "attention.o", "mlp.gate", "mlp.down"}


def test_metadata_become_config_tokenizer_and_template(tmp_path: Path) -> None:
    found = open_description(write_gguf(tmp_path / "m.gguf", LLAMA, stored(weights())))
    assert found.config["hidden_size"] == 16
    assert found.config["num_key_value_heads"] == 1
    assert found.config["vocab_size"] == 4
    assert found.config["tie_word_embeddings"] is True
    assert found.documents["chat_template"] == "{{ messages }}"
    assert found.documents["tokenizer_config.json"] == {"bos_token": "<s>", "eos_token": "</s>"}


def test_the_norms_of_gemma_lose_the_one_that_was_added(tmp_path: Path) -> None:
    metadata = {"general.architecture": "gemma3", "gemma3.block_count": 1}
    norm = np.array([0.5, -0.25, 0.0, 2.0], np.float32)
    tensors = {"blk.0.post_ffw_norm.weight": ("F32", (4,), (norm + 1).tobytes())}
    model = open_model(write_gguf(tmp_path / "m.gguf", metadata, tensors))
    (found,) = read_all(model).items()
    assert found[0] == "layers.0.post_feedforward_layernorm.weight"
    np.testing.assert_array_equal(found[1], norm)


def test_sixteen_bit_values_of_the_other_byte_order_are_swapped(tmp_path: Path) -> None:
    values = np.array([[1.5, -2.0]], ml_dtypes.bfloat16)
    data = values.view(np.uint16).astype(">u2").tobytes()
    path = write_gguf(tmp_path / "m.gguf", {}, {"w": ("BF16", (1, 2), data)}, order=">")
    np.testing.assert_array_equal(read_all(open_model(path))["w"], values.astype(np.float64))


def test_blocks_of_the_other_byte_order_are_the_same_values(tmp_path: Path) -> None:
    block = np.concatenate([np.array([0.5], "<f2").view(np.uint8), np.arange(32, dtype=np.uint8)])
    turned = np.concatenate([block[1::-1], block[2:]])
    paths = [
        write_gguf(tmp_path / f"{order == '<'}.gguf", {}, {"w": ("Q8_0", (1, 32), data.tobytes())}, order=order)
        for order, data in (("<", block), (">", turned))
    ]
    one, other = (read_all(open_model(path))["w"] for path in paths)
    np.testing.assert_array_equal(one, other)
    np.testing.assert_array_equal(one[0], 0.5 * np.arange(32))


# Split files and folders --------------------------------------------------------------------------------------------


def split(folder: Path, parts: int = 3, **changes: Any) -> list[Path]:
    tensors = list(stored(weights()).items())
    written = []
    for number in range(parts):
        own = {
            "split.no": number,
            "split.count": parts,
            "split.tensors.count": len(tensors),
            **changes.get(str(number), {}),
        }
        metadata = {**(LLAMA if number == 0 else {}), **own}
        written.append(
            write_gguf(folder / f"m-{number + 1:05d}-of-{parts:05d}.gguf", metadata, dict(tensors[number::parts]))
        )
    return written


def test_a_split_model_is_the_model_in_one_file(tmp_path: Path) -> None:
    whole = read_all(open_model(write_gguf(tmp_path / "one.gguf", LLAMA, stored(weights()))))
    paths = split(tmp_path / "parts")
    for address in (tmp_path / "parts", *paths):
        found = read_all(open_model(address))
        assert found.keys() == whole.keys()
        assert all(np.array_equal(found[name], whole[name]) for name in whole)


def test_a_part_that_is_missing_is_named(tmp_path: Path) -> None:
    paths = split(tmp_path / "parts")
    paths[1].unlink()
    for address in (tmp_path / "parts", paths[0]):
        with pytest.raises(MissingError, match="m-00002-of-00003"):
            open_model(address)


@pytest.mark.parametrize(
    "change", [{"1": {"split.no": 2}}, {"2": {"split.count": 4}}, {"0": {"split.tensors.count": 99}}]
)
def test_parts_that_do_not_belong_together_are_refused(tmp_path: Path, change: dict[str, Any]) -> None:
    split(tmp_path / "parts", **change)
    with pytest.raises(FormatError, match="part"):
        open_model(tmp_path / "parts")


def test_several_models_in_a_folder_are_not_guessed_between_and_a_vision_tower_is_left(tmp_path: Path) -> None:
    write_gguf(tmp_path / "f" / "a-Q4.gguf", LLAMA, stored(weights()))
    write_gguf(tmp_path / "f" / "mmproj-a.gguf", {}, stored(weights()))
    model = open_model(tmp_path / "f")
    assert model.files == ("a-Q4.gguf",)
    assert any("mmproj-a.gguf" in note for note in model.notes)
    write_gguf(tmp_path / "f" / "a-Q8.gguf", LLAMA, stored(weights()))
    with pytest.raises(MissingError, match="several GGUF files"):
        open_model(tmp_path / "f")


# Faults -------------------------------------------------------------------------------------------------------------


def refused(path: Path, data: bytes) -> FormatError:
    path.write_bytes(data)
    started = time.monotonic()
    with pytest.raises(FormatError) as caught:
        read(LocalFile(str(path)))
    assert time.monotonic() - started < 20
    return caught.value


ONE = {"w": ("F32", (2, 2), bytes(16))}
HEAD = b"GGUF" + struct.pack("<I", 3)
NESTED = struct.pack("<I", 9) + struct.pack("<IQ", 9, 1) * 9


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"GGUF", "begin with"),
        (b"GGUF" + struct.pack("<IQQ", 1, 0, 0), "version 1"),
        (b"GGUF" + struct.pack("<IQQ", 9, 0, 0), "version 9"),
        (HEAD + struct.pack("<QQ", 1 << 63, 0), "tensors are promised"),
        (HEAD + struct.pack("<QQ", 0, 1 << 63), "keys of metadata are promised"),
        (HEAD + struct.pack("<QQ", 0, 1) + struct.pack("<Q", 1 << 62) + bytes(20), "bytes of a key"),
        (HEAD + struct.pack("<QQ", 0, 1) + text("k", "<") + struct.pack("<IIQ", 9, 4, 1 << 61), "values of an array"),
        (HEAD + struct.pack("<QQ", 0, 1) + text("k", "<") + struct.pack("<I", 77) + bytes(8), "no type of metadata"),
        (HEAD + struct.pack("<QQ", 0, 1) + text("k", "<") + struct.pack("<IB", 7, 3) + bytes(8), "truth value"),
        (
            HEAD
            + struct.pack("<QQ", 0, 1)
            + text("k", "<")
            + struct.pack("<I", 9)
            + struct.pack("<IQ", 9, 1) * 9
            + bytes(99),
            "nested",
        ),
        (gguf_bytes({}, {"w": (99, (4,), bytes(16))}), "type 99"),
        (gguf_bytes({}, {"w": ("F32", (1,) * 5, bytes(4))}), "5 dimensions"),
        (gguf_bytes({}, {"w": ("Q4_0", (31,), bytes(18))}), "blocks of 32"),
        (gguf_bytes({}, {"w": ("F32", (1 << 62, 1 << 62), bytes(16))}), "the file at"),
        (gguf_bytes({"general.alignment": 0}, ONE), "power of two"),
        (gguf_bytes({"general.alignment": 3}, ONE), "power of two"),
        (gguf_bytes({"general.alignment": 1 << 31}, ONE), "the file at"),
        (gguf_bytes({}, ONE)[:-20], "the file at"),
        (gguf_bytes({}, ONE) + bytes(64), "follow the last"),
        (gguf_bytes({}, {**ONE, "x": ONE["w"]}).replace(text("x", "<"), text("w", "<")), "twice"),
        (gguf_bytes({"a": 1, "b": 2}, ONE).replace(text("b", "<"), text("a", "<")), "twice"),
    ],
)
def test_a_fault_is_said_with_its_place(tmp_path: Path, data: bytes, words: str) -> None:
    problem = refused(tmp_path / "x.gguf", data)
    assert words in problem.message
    assert problem.offset is not None or problem.tensor is not None


def test_overlaps_and_holes_are_refused(tmp_path: Path) -> None:
    data = gguf_bytes({}, {"a": ONE["w"], "b": ONE["w"]})
    second = data.index(text("b", "<")) + len(text("b", "<")) + 4 + 16 + 4
    for offset, words in ((0, "overlaps"), (64, "hole")):
        changed = data[:second] + struct.pack("<Q", offset) + data[second + 8 :] + bytes(32 if offset else 0)
        assert words in refused(tmp_path / "x.gguf", changed).message


def test_any_cut_and_any_flipped_byte_ends_in_our_own_words(tmp_path: Path) -> None:
    data, random = gguf_bytes(LLAMA, stored(weights())), np.random.default_rng(0)
    path = tmp_path / "x.gguf"
    for length in random.integers(0, len(data), 60):
        refused(path, data[:length])
    for place in random.integers(0, 1500, 300):
        damaged = bytearray(data)
        damaged[place] ^= 1 << int(random.integers(0, 8))
        path.write_bytes(damaged)
        with contextlib.suppress(KaiboError):
            open_description(path)


def test_odd_metadata_do_not_harm(tmp_path: Path) -> None:
    odd = {
        **LLAMA,
        "llama.embedding_length": "wide",
        "llama.attention.head_count": 0,
        "tokenizer.ggml.bos_token_id": 99,
    }
    found = open_description(write_gguf(tmp_path / "m.gguf", odd, stored(weights())))
    assert json.dumps(found.config)
