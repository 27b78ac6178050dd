"""Folders: what is saved is loaded, by transformers too; what does not fit is named."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="the extra torch is not installed")

from safetensors.torch import load_file  # noqa: E402

from kaibo.errors import FormatError, PolicyError, StorageError, UsageError  # noqa: E402
from kaibo.llama import Llama, LlamaConfig, initialise, load_llama, open_causal, save_llama, token_losses  # noqa: E402
from kaibo.models import open_model  # noqa: E402
from kaibo.testing import tiny_model  # noqa: E402
from kaibo.testing.models import Plan, encode, write_safetensors  # noqa: E402

SMALL = LlamaConfig(64, 32, 48, 2, 4, 2, 8, context=32, bos=1, eos=(2,))
IDS = torch.tensor([[3, 1, 4, 1, 5, 9, 2, 6]])


def test_a_saved_model_is_loaded_bit_for_bit_and_gives_transformers_the_same_logits(tmp_path: Path) -> None:
    transformers = pytest.importorskip("transformers", reason="the extra torch is not installed")
    model = initialise(Llama(SMALL), seed=3).eval()
    save_llama(model, tmp_path)
    again = load_llama(tmp_path)
    assert again.config == SMALL
    assert all(torch.equal(a, b) for a, b in zip(model.parameters(), again.parameters(), strict=True))
    theirs = transformers.AutoModelForCausalLM.from_pretrained(tmp_path)
    assert torch.allclose(theirs(IDS).logits, model.logits(model(IDS)), atol=1e-6)


def test_shards_hold_what_one_file_would(tmp_path: Path) -> None:
    model = initialise(Llama(SMALL), seed=3)
    save_llama(model, tmp_path / "one", dtype="bfloat16")
    save_llama(model, tmp_path / "many", dtype="bfloat16", shard_bytes=8000)
    assert len(list((tmp_path / "many").glob("*.safetensors"))) > 2
    assert len(open_model(tmp_path / "many").tensors) == len(open_model(tmp_path / "one").tensors)
    one, many = load_llama(tmp_path / "one"), load_llama(tmp_path / "many")
    assert one.embedding.weight.dtype == torch.bfloat16
    assert all(torch.equal(a, b) for a, b in zip(one.parameters(), many.parameters(), strict=True))
    save_llama(model, tmp_path / "many")  # over the shards: their index must not outlive them
    assert {file.name for file in (tmp_path / "many").iterdir()} == {"config.json", "model.safetensors"}
    assert load_llama(tmp_path / "many").embedding.weight.dtype == torch.float32


@pytest.mark.parametrize("dtype", ["F16", "BF16", "F32", "F64"])
def test_every_float_type_is_read_and_rounded_to_the_type_asked_for(dtype: str, tmp_path: Path) -> None:
    model = load_llama(tiny_model(tmp_path, dtype=dtype), dtype="float32")
    assert model.embedding.weight.dtype == torch.float32
    assert torch.isfinite(token_losses(model, IDS)).all()


def test_the_same_seed_gives_the_same_weights() -> None:
    one, two, other = (initialise(Llama(SMALL), seed) for seed in (7, 7, 8))
    assert torch.equal(one.blocks[1].mlp.down.weight, two.blocks[1].mlp.down.weight)
    assert not torch.equal(one.blocks[1].mlp.down.weight, other.blocks[1].mlp.down.weight)
    assert abs(one.embedding.weight.std().item() - SMALL.init_sigma) < 0.001


def test_the_config_counts_the_parameters_there_are() -> None:
    for config in (SMALL, LlamaConfig(64, 32, 48, 2, 4, 1, 10, 32, tied=True, qkv_bias=True, output_bias=True)):
        assert config.parameters == sum(weight.numel() for weight in Llama(config).parameters())


def altered(folder: Path, drop: str | None = None, add: dict[str, Any] | None = None, shape: Any = None) -> Path:
    """A tiny folder with a tensor less, more, or of another shape."""
    plan = Plan()
    shapes = {name: shape for name, shape in plan.tensors().items() if name != drop} | (add or {}) | (shape or {})
    random = np.random.default_rng(0)
    tensors = {
        name: ("F32", size, encode("F32", random.standard_normal(size).astype(np.float32) * np.float32(0.02)))
        for name, size in shapes.items()
    }
    folder.mkdir(exist_ok=True)
    (folder / "config.json").write_text(json.dumps(plan.config("F32")))
    write_safetensors(folder / "model.safetensors", tensors)
    return folder


NORM = "model.layers.1.self_attn.q_norm.weight"
DOWN = "model.layers.0.mlp.down_proj.weight"


@pytest.mark.parametrize(
    ("change", "tensor", "says"),
    [
        ({"drop": DOWN}, DOWN, "is missing"),
        ({"add": {NORM: (8,)}}, NORM, "no LLaMA of this config has it"),
        ({"shape": {DOWN: (88, 32)}}, DOWN, r"has shape \[88, 32\], config.json says \[32, 88\]"),
        ({"add": {"model.layers.2.mlp.down_proj.weight": (32, 88)}}, "model.layers.2.mlp.down_proj.weight", "has it"),
    ],
)
def test_a_tensor_that_does_not_fit_is_named(change: Any, tensor: str, says: str, tmp_path: Path) -> None:
    with pytest.raises(FormatError, match=says) as found:
        load_llama(altered(tmp_path, **change))
    assert found.value.tensor == tensor


def test_a_tied_head_that_is_written_out_must_be_the_embedding(tmp_path: Path) -> None:
    folder = altered(tmp_path)
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"tie_word_embeddings": True}))
    with pytest.raises(FormatError, match="differs from the embedding"):
        load_llama(folder)


def test_ids_outside_the_vocabulary_are_refused_before_the_embedding_meets_them() -> None:
    model = initialise(Llama(SMALL)).eval()
    for bad in (64, -1):
        with pytest.raises(UsageError, match=f"token id {bad} is outside the vocabulary of 64"):
            token_losses(model, torch.tensor([[3, bad]]))


class Called:
    """What a pickle wants called when it is loaded."""

    def __reduce__(self) -> Any:
        return os.mkdir, ("called",)


def test_a_pickle_gives_its_weights_and_nothing_it_wants_called_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    model = initialise(Llama(SMALL), seed=1)
    save_llama(model, tmp_path)
    stored = load_file(tmp_path / "model.safetensors")
    (tmp_path / "model.safetensors").unlink()
    torch.save(stored, tmp_path / "pytorch_model.bin")
    for one, other in zip(load_llama(tmp_path).parameters(), model.parameters(), strict=True):
        assert torch.equal(one, other)
    torch.save({**stored, "more": Called()}, tmp_path / "pytorch_model.bin")
    with pytest.raises(PolicyError, match="mkdir"):
        load_llama(tmp_path)
    assert not (tmp_path / "called").exists()


def test_a_full_disk_leaves_the_old_weights_and_no_half_of_the_new(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import errno
    import os

    save_llama(initialise(Llama(SMALL), seed=1), tmp_path)
    before = (tmp_path / "model.safetensors").read_bytes()

    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(StorageError, match="No space left"):
        save_llama(initialise(Llama(SMALL), seed=2), tmp_path)
    monkeypatch.undo()
    assert (tmp_path / "model.safetensors").read_bytes() == before
    assert {file.name for file in tmp_path.iterdir()} == {"config.json", "model.safetensors"}


def test_an_unknown_type_or_device_is_a_usage_error(tmp_path: Path) -> None:
    folder = tiny_model(tmp_path)
    with pytest.raises(UsageError, match="int4"):
        load_llama(folder, dtype="int4")
    with pytest.raises(UsageError, match="no device"):
        load_llama(folder, device="nowhere")


def test_matrices_laid_out_by_columns_hold_the_same_values_and_give_the_same_logits(tmp_path: Path) -> None:
    for tied in (True, False):
        model = initialise(Llama(replace(SMALL, tied=tied)), 3).eval()
        folder = save_llama(model, tmp_path / str(tied))
        turned = open_causal(folder).runs.model
        for name, weight in turned.named_parameters():
            assert torch.equal(weight, dict(model.named_parameters())[name])
            laid = weight.t() if weight.dim() == 2 and (tied or name != "embedding.weight") else weight
            assert laid.is_contiguous()
        ids = torch.tensor([[5, 9, 3, 7]])
        with torch.inference_mode():
            for some in (ids, ids[:, :1]):
                assert torch.allclose(turned.logits(turned(some)), model.logits(model(some)), atol=1e-6)
        again = save_llama(turned, tmp_path / f"{tied}-again")
        assert (again / "model.safetensors").read_bytes() == (folder / "model.safetensors").read_bytes()
