"""MLX and torchao: what their own packages decode, where they are installed, and files that do not fit."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from packed_samples import STEM, mlx, torchao
from reading import model_of, of_torch, same, values, weight_of


@pytest.mark.parametrize("bits", [2, 3, 4, 5, 6, 8])
@pytest.mark.parametrize("size", [32, 64, 128])
def test_codes_of_every_width_and_size_of_groups(tmp_path: Path, bits: int, size: int) -> None:
    sample = mlx(np.random.default_rng(bits), bits, size=size)
    weight = weight_of(tmp_path / "m", sample.stored, sample.config)
    same(values(weight), sample.expected[weight.name])


@pytest.mark.parametrize("bits", [2, 3, 4, 5, 6, 8])
@pytest.mark.parametrize("dtype", ["float32", "float16"])
def test_values_are_those_of_the_package(tmp_path: Path, bits: int, dtype: str) -> None:
    mx = pytest.importorskip("mlx.core", reason="mlx is not installed")
    plain = mx.random.normal((16, 128), key=mx.random.key(bits)).astype(getattr(mx, dtype))
    words, scales, offsets = mx.quantize(plain, group_size=64, bits=bits, mode="affine")
    wide = (scales.astype(mx.float32), offsets.astype(mx.float32))
    expected = np.array(mx.dequantize(words, *wide, group_size=64, bits=bits, mode="affine"))
    kind = {"float32": "F32", "float16": "F16"}[dtype]
    stored = {
        f"{STEM}.weight": ("U32", words.shape, np.array(words)),
        f"{STEM}.scales": (kind, scales.shape, np.array(scales)),
        f"{STEM}.biases": (kind, offsets.shape, np.array(offsets)),
    }
    config = {"quantization": {"group_size": 64, "bits": bits}}
    same(values(weight_of(tmp_path / "m", stored, config)), expected)


@pytest.mark.parametrize("mode", ["mxfp4", "mxfp8", "nvfp4"])
def test_modes_without_offsets_are_those_of_the_package(tmp_path: Path, mode: str) -> None:
    mx = pytest.importorskip("mlx.core", reason="mlx is not installed")
    plain = mx.random.normal((16, 128), key=mx.random.key(1))
    words, scales = mx.quantize(plain, mode=mode)
    expected = np.array(mx.dequantize(words, scales, mode=mode).astype(mx.float32))
    stored = {
        f"{STEM}.weight": ("U32", words.shape, np.array(words)),
        f"{STEM}.scales": ("U8", scales.shape, np.array(scales)),
    }
    config = {"quantization": {"group_size": 32, "bits": 4, "mode": mode}}
    same(values(weight_of(tmp_path / "m", stored, config)), expected)


def test_a_layer_that_the_config_does_not_name_has_the_width_of_all(tmp_path: Path) -> None:
    sample = mlx(np.random.default_rng(0))
    said = {"quantization": {"group_size": 32, "bits": 4, "lm_head": {"group_size": 64, "bits": 8}}}
    weight = weight_of(tmp_path / "m", sample.stored, said)
    same(values(weight), sample.expected[weight.name])


@pytest.mark.parametrize(
    ("config", "gone", "why"),
    [
        ({}, "", "the config says neither its bits nor the size of its groups"),
        ({"quantization": {"bits": 4, "group_size": 64}}, "", "4 bits in groups of 64 do not fit"),
        ({"quantization": {"bits": 4, "group_size": 32}}, "biases", "its offsets are missing"),
        ({"quantization": {"bits": 4, "group_size": 32, "mode": "other"}}, "", "MLX's mode other is not known"),
    ],
)
def test_what_does_not_fit_is_said_by_name(tmp_path: Path, config: dict[str, Any], gone: str, why: str) -> None:
    sample = mlx(np.random.default_rng(0))
    stored = {name: part for name, part in sample.stored.items() if not gone or not name.endswith(gone)}
    model = model_of(tmp_path / "m", stored, config)
    assert model.weights == ()
    assert any(note.startswith(f"{STEM}.weight: {why}") for note in model.notes)


@pytest.mark.parametrize("rows", [True, False])
def test_integers_of_torchao_are_those_of_the_package(tmp_path: Path, rows: bool) -> None:
    torch = pytest.importorskip("torch")
    affine = pytest.importorskip("torchao.quantization.quant_primitives", reason="torchao is not installed")
    random = torch.Generator().manual_seed(0)
    codes = torch.randint(-128, 128, (12, 64), generator=random).to(torch.int8)
    scale = torch.rand(12, 1 if rows else 4, generator=random)
    points = torch.randint(-5, 5, scale.shape, generator=random).to(torch.int8)
    size = 64 if rows else 16
    expected = affine.dequantize_affine(codes, (1, size), scale, points, torch.int8, output_dtype=torch.float32)
    parts = {"_weight_qdata": codes, "_weight_scale": scale, "_weight_zero_point": points}
    stored = of_torch({f"{STEM}.{name}": part for name, part in parts.items()})
    same(values(weight_of(tmp_path / "m", stored)), expected.numpy())


def test_layouts_of_torchao_for_one_processor_are_not_measurable(tmp_path: Path) -> None:
    sample = torchao(np.random.default_rng(0))
    stored = {**sample.stored, f"{STEM}._weight_qdata": ("I32", (3, 2, 4, 8), np.ones(192, np.int32))}
    model = model_of(tmp_path / "m", stored, sample.config)
    assert model.weights == ()
    assert any("of torchao; not measurable" in note for note in model.notes)
