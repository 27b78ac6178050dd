"""Powers of two that cancel: the digits move, the model that transformers runs answers with the same bits."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import kaibo
from kaibo.chapters.digits.benford import LAW
from kaibo.chapters.merge.ask import Writing
from kaibo.counting.scaling import Tally
from kaibo.errors import FormatError, StorageError, UsageError
from kaibo.models import open_model
from kaibo.models.derived.couplings import couplings_of
from kaibo.testing import tiny_model
from kaibo.testing.models import encode, write_safetensors

SMALL: dict[str, Any] = {
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "vocab_size": 64,
    "max_position_embeddings": 64,
}
KINDS: dict[str, dict[str, Any]] = {
    "llama": {"attention_bias": True, "mlp_bias": True, "tie_word_embeddings": False},
    "llama-tied": {"tie_word_embeddings": True},
    "qwen2": {"tie_word_embeddings": False},
    "qwen3": {"head_dim": 16, "tie_word_embeddings": False},
    "gemma2": {"head_dim": 8, "tie_word_embeddings": True},
}


def real_model(kind: str, folder: Path, dtype: str = "float32") -> Path:
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM

    config = AutoConfig.for_model(kind.partition("-")[0], **SMALL, **KINDS[kind])
    torch.manual_seed(0)
    model = AutoModelForCausalLM.from_config(config)
    with torch.no_grad():
        for parameter in model.parameters():  # gains and biases that are not all alike
            parameter.add_(0.1 * torch.randn_like(parameter))
    model.to(getattr(torch, dtype)).save_pretrained(folder)
    return folder


def logits(folder: Path) -> Any:
    import torch
    from transformers import AutoModelForCausalLM

    model = AutoModelForCausalLM.from_pretrained(folder, dtype="auto").eval()
    tokens = torch.randint(0, 64, (2, 40), generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        return model(tokens).logits


def settings(tmp_path: Path) -> kaibo.Settings:
    return kaibo.Settings(store=tmp_path / "store", workers=1)


@pytest.mark.parametrize(("kind", "dtype"), [*((kind, "float32") for kind in KINDS), ("llama", "bfloat16")])
def test_every_logit_is_the_same_to_the_last_bit(kind: str, dtype: str, tmp_path: Path) -> None:
    import torch

    base = real_model(kind, tmp_path / "base", dtype)
    before = logits(base)
    for way in ("law", "away") if kind == "llama" else ("away",):
        out = tmp_path / way
        (row,) = kaibo.rescale(base, way, writing=Writing(out), settings=settings(tmp_path)).rows
        assert torch.equal(logits(out), before)
        assert row.scaled > row.channels // 4
        (found,) = kaibo.digits(out, settings=settings(tmp_path)).rows
        assert found.mae == row.mae
        assert (row.mae < row.mae_before) if way == "law" else (row.mae > row.mae_before)


def test_a_wrong_partner_would_be_seen_in_the_logits(tmp_path: Path) -> None:
    """The check above can fail: one channel scaled on one side alone moves the logits."""
    import torch
    from safetensors.torch import load_file, save_file

    base = real_model("llama", tmp_path / "base")
    before = logits(base)
    weights = load_file(base / "model.safetensors")
    weights["model.layers.0.mlp.up_proj.weight"][0] *= 2
    save_file(weights, base / "model.safetensors", {"format": "pt"})
    assert not torch.equal(logits(base), before)


def test_what_may_not_be_scaled_has_no_coupling(tmp_path: Path) -> None:
    kinds = {kind: {one.kind for one in couplings_of(open_model(real_model(kind, tmp_path / kind)))} for kind in KINDS}
    everything = {"attention norm", "mlp norm", "q and k", "v and o", "up and down"}
    assert kinds["llama"] == kinds["qwen2"] == everything | {"final norm"}
    assert kinds["llama-tied"] == everything  # the head is the embedding, and that is read at the other end, too
    assert kinds["qwen3"] == (everything | {"final norm"}) - {"q and k"}  # each head of q and k is normalised
    assert kinds["gemma2"] == {"q and k", "v and o", "up and down"}  # its gain is 1 + weight


def test_gate_is_scaled_by_columns_alone(tmp_path: Path) -> None:
    found = couplings_of(open_model(real_model("llama", tmp_path / "m")))
    sides = [(side.tensor.role, side.tensor.name, side.axis) for one in found for side in one.sides]
    assert {axis for role, name, axis in sides if "gate_proj" in name} == {1}
    assert not [name for _, name, _ in sides if name.endswith(("o_proj.bias", "down_proj.bias", "gate_proj.bias"))]


def test_gaussian_weights_reach_from_the_law_to_the_farthest_gaussian(tmp_path: Path) -> None:
    """0.0001 to 0.0235 with long rows; short ones are not quite Gaussian, and go a little past."""
    tiny_model(tmp_path / "m", hidden=96, heads=4, kv_heads=4, layers=3, vocabulary=8, dtype="F32")
    law, away = kaibo.rescale(tmp_path / "m", settings=settings(tmp_path)).rows
    assert law.mae < 1e-4
    assert 0.0230 < away.mae < 0.0260
    assert law.mae_before == away.mae_before
    assert law.exponent_low < 0 < law.exponent_high


def test_digits_under_a_power_of_two_are_those_of_the_products(tmp_path: Path) -> None:
    tiny_model(tmp_path / "m", dtype="BF16")
    tensor = next(one for one in open_model(tmp_path / "m").tensors if one.role == "mlp.down")
    rows, columns = tensor.shape
    held = np.arange(rows, dtype=np.int8) % 3 - 1, np.zeros(columns, np.int8)
    tally = Tally(columns, np.arange(-5, 5, dtype=np.int8))
    tally.add(tensor, 1, -1, np.arange(columns, dtype=np.int32), held)
    weights = _weights(tmp_path / "m")[tensor.name].double().numpy()
    for place, exponent in enumerate(range(-5, 5)):
        scaled = np.abs(weights) * 2.0 ** (held[0][:, None] - exponent)
        digits = np.array([[int(f"{value:.17e}"[0]) for value in row] for row in scaled])
        expected = np.stack([(digits == digit).sum(axis=0) for digit in range(1, 10)], axis=1)
        assert (tally.counts[:, place] == expected).all()
    assert not tally.refused.any()


@pytest.mark.parametrize(("dtype", "small", "large"), [("F32", 2.0**-126, 2.0**127), ("F16", 2.0**-14, 2.0**15)])
def test_exponents_that_would_leave_the_normal_numbers_are_refused(
    dtype: str, small: float, large: float, tmp_path: Path
) -> None:
    values = np.array([[small, 1.0], [large, 1.0], [0.0, np.inf], [1.0, 1.0]], np.float32)
    write_safetensors(tmp_path / "m.safetensors", {"w": (dtype, values.shape, encode(dtype, values))})
    (tensor,) = open_model(tmp_path / "m.safetensors").tensors
    tally = Tally(4, np.arange(-5, 5, dtype=np.int8))
    tally.add(tensor, 0, 1, np.arange(4, dtype=np.int32), (np.zeros(4, np.int8), np.zeros(2, np.int8)))
    assert tally.refused[0].tolist() == [True] * 5 + [False] * 5
    assert tally.refused[1].tolist() == [False] * 6 + [True] * 4
    assert not tally.refused[2:].any()


def test_half_precision_stays_exact_where_little_may_move(tmp_path: Path) -> None:
    import torch

    base = real_model("llama", tmp_path / "base", "float16")
    (row,) = kaibo.rescale(base, "away", writing=Writing(tmp_path / "out"), settings=settings(tmp_path)).rows
    assert row.kept_back > 0
    wide = [{name: value.float() for name, value in _weights(folder).items()} for folder in (base, tmp_path / "out")]
    for name, before in wide[0].items():
        ratio = wide[1][name][before != 0] / before[before != 0]
        assert torch.equal(torch.frexp(ratio).mantissa, torch.full_like(ratio, 0.5)), name
        assert wide[1][name].isfinite().all()


def _weights(folder: Path) -> Any:
    from safetensors.torch import load_file

    return load_file(folder / "model.safetensors")


def test_a_run_is_repeated_to_the_byte(tmp_path: Path) -> None:
    base = tiny_model(tmp_path / "base")
    for name in ("one", "two"):
        kaibo.rescale(base, "away", writing=Writing(tmp_path / name), settings=settings(tmp_path))
    assert (tmp_path / "one" / "model.safetensors").read_bytes() == (
        tmp_path / "two" / "model.safetensors"
    ).read_bytes()


def test_what_cannot_be_done_is_said(tmp_path: Path) -> None:
    base = tiny_model(tmp_path / "base")
    with pytest.raises(UsageError, match="no direction"):
        kaibo.rescale(base, "up", settings=settings(tmp_path))  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="one folder holds one model"):
        kaibo.rescale(base, writing=Writing(tmp_path / "out"), settings=settings(tmp_path))
    with pytest.raises(UsageError, match="is the model that is rescaled"):
        kaibo.rescale(base, "law", writing=Writing(base), settings=settings(tmp_path))
    other = tiny_model(tmp_path / "other")
    with pytest.raises(StorageError, match="was not made by this"):
        kaibo.rescale(base, "law", writing=Writing(other), settings=settings(tmp_path))
    config = json.loads((other / "config.json").read_text())
    wrong = {"family mixtral": {"model_type": "mixtral"}, "channels": {"num_attention_heads": 8, "head_dim": 8}}
    for said, changed in wrong.items():
        (other / "config.json").write_text(json.dumps(config | changed))
        with pytest.raises(FormatError, match=said):
            kaibo.rescale(other, "law", settings=settings(tmp_path))


def test_the_law_is_what_is_approached(tmp_path: Path) -> None:
    tiny_model(tmp_path / "m", hidden=64, layers=2, vocabulary=8)
    (row,) = kaibo.rescale(tmp_path / "m", "law", settings=settings(tmp_path)).rows
    assert np.abs(np.array(row.shares) - LAW).max() < 1e-3
