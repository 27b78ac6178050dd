"""Files that others wrote: each value is that of the format's own package, each tensor has its place in the family."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import gguf
import numpy as np
import pytest
import safetensors.torch
import torch

import kaibo
from kaibo.models import open_model
from kaibo.vocabulary import Tensor
from real_files import gemma3, iglm, minilm_int8, smollm2

pytestmark = pytest.mark.slow


def values(tensor: Tensor) -> np.ndarray:
    found = np.concatenate([chunk.copy() for chunk in tensor.chunks(np.empty(1 << 24, np.uint8))])
    return found.view(np.float32).reshape(tensor.shape)


def pairs_apart(rows: np.ndarray, size: int) -> np.ndarray:
    """Rows of heads whose two halves lie interleaved, one half after the other again."""
    return rows.reshape(-1, size // 2, 2, rows.shape[1]).swapaxes(1, 2).reshape(rows.shape)


def of_llama(name: str, stored: np.ndarray) -> np.ndarray:
    return pairs_apart(stored, 64) if "attn_q." in name or "attn_k." in name else stored


def of_gemma(name: str, stored: np.ndarray) -> np.ndarray:
    return stored - np.float32(1) if name.endswith("norm.weight") else stored


@pytest.mark.parametrize(("file", "family", "undone"), [(smollm2, "llama", of_llama), (gemma3, "gemma3", of_gemma)])
def test_a_gguf_holds_what_its_own_package_decodes_under_the_familys_names(
    file: Callable[[], Path], family: str, undone: Callable[[str, np.ndarray], np.ndarray]
) -> None:
    path = file()
    model = open_model(path)
    theirs = {one.name: one for one in gguf.GGUFReader(path).tensors}
    assert (model.family, model.seen) == (family, 1.0)
    assert {one.name for one in model.tensors} == set(theirs)
    assert [one.name for one in model.tensors if one.role == "other"] == []
    for tensor in model.tensors:
        stored = theirs[tensor.name]
        expected = undone(tensor.name, gguf.dequantize(stored.data, stored.tensor_type).astype(np.float32))
        assert np.array_equal(values(tensor).view(np.uint32), expected.view(np.uint32)), tensor.name


@pytest.mark.parametrize("file", [smollm2, gemma3])
def test_a_gguf_is_the_model_that_transformers_makes_of_it(file: Callable[[], Path]) -> None:
    transformers = pytest.importorskip("transformers")
    path = file()
    model = open_model(path)
    loaded = transformers.AutoModelForCausalLM.from_pretrained(path.parent, gguf_file=path.name, dtype=torch.float32)
    theirs = {name.removeprefix("model."): one for name, one in loaded.state_dict().items() if name != "lm_head.weight"}
    assert {one.canonical for one in model.tensors} == set(theirs)
    for tensor in model.tensors:
        assert np.array_equal(values(tensor), theirs[tensor.canonical].numpy()), tensor.canonical
    config = loaded.config
    assert model.config["rms_norm_eps"] == pytest.approx(config.rms_norm_eps, rel=1e-6)
    for key in ("hidden_size", "num_hidden_layers", "num_attention_heads", "num_key_value_heads", "intermediate_size"):
        assert model.config[key] == getattr(config, key)


def test_a_gpt2_of_torch_save_is_what_torch_loads() -> None:
    folder = iglm()
    model = open_model(folder)
    theirs = torch.load(folder / "pytorch_model.bin", weights_only=True, map_location="cpu")
    assert model.family == "gpt2"
    assert {one.name for one in model.tensors} == set(theirs) - {"lm_head.weight"}
    assert "tied, counted once: lm_head.weight is transformer.wte.weight" in model.notes
    for tensor in model.weights:
        assert np.array_equal(values(tensor), theirs[tensor.name].numpy()), tensor.name


def test_an_int8_onnx_is_listed_and_its_codes_are_not_measured() -> None:
    model = open_model(minilm_int8())
    assert {one.dtype.name for one in model.not_weights} == {"I8", "I64", "BOOL", "F32"}
    assert model.seen < 0.01
    assert model.undecoded == sum(one.size for one in model.tensors if one.dtype.name == "I8")


@pytest.mark.parametrize("file", [smollm2, gemma3])
def test_a_real_gguf_is_within_the_rounding_of_its_own_weights_and_names_the_tensor_that_was_changed(
    file: Callable[[], Path], tmp_path: Path
) -> None:
    """Beside the bfloat16 of what its codes stand for; then one row of a tensor is moved by a place."""
    path, plain = file(), tmp_path / "plain"
    settings = kaibo.Settings(workers=2)
    kaibo.unpack(path, plain, settings=settings)
    (row,) = kaibo.same(plain, path, settings=settings).rows
    assert (row.verdict, row.n_changed) == ("same", 0)
    assert row.n_within > 0
    assert row.expected_inside is not None
    assert row.expected_inside < 0.3
    tensors = safetensors.torch.load_file(plain / "model.safetensors")
    name = "model.layers.3.mlp.down_proj.weight"
    tensors[name][7] = tensors[name][7].roll(1)
    safetensors.torch.save_file(tensors, plain / "model.safetensors", {"format": "pt"})
    (row,) = kaibo.same(plain, path, settings=settings).rows
    (changed,) = [one for one in row.tensors if one.verdict == "changed"]
    assert row.verdict == "different"
    assert "layers.3.mlp.down_proj" in changed.name
    assert changed.begins is not None
    assert changed.begins[0] == 7
