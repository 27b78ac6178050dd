"""The models that tests and benchmarks are made of, held against the reference reader."""

from __future__ import annotations

import json
from pathlib import Path

import ml_dtypes
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from safetensors.numpy import load_file

from kaibo.models import open_model
from kaibo.testing import sparse_model, tiny_model, write_llama, write_safetensors
from kaibo.testing.models import Plan, encode


@pytest.mark.parametrize("dtype", ["BF16", "F16", "F32", "F64"])
def test_a_tiny_model_is_read_by_the_reference_and_by_us_alike(tmp_path: Path, dtype: str) -> None:
    folder = tiny_model(tmp_path / "m", dtype=dtype)
    theirs = load_file(folder / "model.safetensors")
    buffer = np.empty(1 << 20, np.uint8)
    model = open_model(folder)
    assert {tensor.name for tensor in model.tensors} == set(theirs)
    for tensor in model.tensors:
        ours = b"".join(part.tobytes() for part in tensor.chunks(buffer))
        assert (ours, tensor.shape) == (theirs[tensor.name].tobytes(), theirs[tensor.name].shape)


def test_the_same_seed_gives_the_same_bytes_and_another_seed_others(tmp_path: Path) -> None:
    one, two, other = (tiny_model(tmp_path / name, seed=seed) for name, seed in [("a", 1), ("b", 1), ("c", 2)])
    contents = [(folder / "model.safetensors").read_bytes() for folder in (one, two, other)]
    assert contents[0] == contents[1] != contents[2]


@given(st.lists(st.floats(width=32, allow_nan=False), min_size=1))
def test_bf16_is_rounded_to_nearest_even(values: list[float]) -> None:
    array = np.array(values, np.float32)
    with np.errstate(over="ignore"):
        assert np.array_equal(encode("BF16", array), array.astype(ml_dtypes.bfloat16).view(np.uint16))


def test_a_plan_is_written_with_a_config_that_counts_its_parameters(tmp_path: Path) -> None:
    plan = Plan(hidden_size=64, num_hidden_layers=3, tie_word_embeddings=True)
    model = open_model(write_llama(tmp_path / "m", plan))
    assert "lm_head.weight" not in {tensor.name for tensor in model.tensors}
    assert {tensor.name: tensor.shape for tensor in model.tensors} == plan.tensors()
    assert json.loads((tmp_path / "m" / "config.json").read_text())["num_hidden_layers"] == 3


def test_a_sparse_model_takes_no_disk(tmp_path: Path) -> None:
    folder = sparse_model(tmp_path / "s", 8, 4)
    assert sum(path.stat().st_blocks * 512 for path in folder.iterdir()) < 1 << 20
    assert sum(tensor.size * 2 for tensor in open_model(folder).tensors) == 8 << 30


def test_bytes_that_do_not_fit_their_shape_are_not_written(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="are not BF16"):
        write_safetensors(tmp_path / "x", {"w": ("BF16", (3,), b"ab")})
