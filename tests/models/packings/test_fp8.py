"""8-bit floats under every name of their scale that is found in published files, and what is no weight beside them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import pytest
from packed_samples import STEM, fp8

from kaibo.models import open_model
from kaibo.models.packings import group_of
from kaibo.models.packings.fp8 import blocks
from kaibo.models.pairing import pair_models
from kaibo.testing import write_safetensors

CODES = np.random.default_rng(0).integers(0, 0x7E, (4, 6)).astype(np.uint8)
VALUES = CODES.view(ml_dtypes.float8_e4m3fn).astype(np.float32)


def folder(path: Path, tensors: dict[str, tuple[str, tuple[int, ...], Any]], **config: Any) -> Path:
    path.mkdir()
    write_safetensors(path / "model.safetensors", tensors)
    (path / "config.json").write_text(json.dumps(config))
    return path


def values(tensor: Any) -> np.ndarray:
    return np.concatenate([chunk.copy() for chunk in tensor.chunks(np.empty(64, np.uint8))]).view("<f4")


@pytest.mark.parametrize(
    "ending",
    [
        "weight_scale_inv",
        "weight_scale",
        "scale_weight",
        "scale",
        "scales",
        "scale_inv",
        "qscale_weight",
        "weight_inv_scale",
    ],
)
def test_every_name_of_a_scale_is_known(tmp_path: Path, ending: str) -> None:
    sample = fp8(np.random.default_rng(0), ending)
    model = open_model(sample.written(tmp_path / "model"))
    (weight,) = model.tensors
    np.testing.assert_array_equal(values(weight).reshape(weight.shape), sample.expected[weight.name])
    group = group_of(weight)
    assert group is not None
    assert group.how == f"F8_E4M3 codes multiplied by {ending}"


@pytest.mark.parametrize(
    ("dtype", "stored", "scale"),
    [
        ("F32", np.float32(0.03).view(np.uint32), np.float32(0.03)),
        ("BF16", np.uint16(0x3D00), np.float32(0.03125)),
        ("F16", np.float16(0.03).view(np.uint16), np.float32(np.float16(0.03))),
        ("F8_E8M0", np.uint8(120), np.float32(2.0**-7)),
        ("U8", np.uint8(120), np.float32(2.0**-7)),
        ("U8", np.uint8(255), np.float32(np.nan)),
    ],
)
@pytest.mark.parametrize("shape", [(), (1,), (1, 1)])
def test_a_scale_of_any_type_and_of_one_number_in_any_shape(
    tmp_path: Path, dtype: str, stored: Any, scale: np.float32, shape: tuple[int, ...]
) -> None:
    tensors = {
        f"{STEM}.weight": ("F8_E4M3", (4, 6), CODES),
        f"{STEM}.weight_scale": (dtype, shape, np.array([stored])),
        f"{STEM}.input_scale": ("F32", (), np.ones(1, np.float32).view(np.uint32)),
    }
    model = open_model(folder(tmp_path / "m", tensors))
    (weight,) = model.weights
    np.testing.assert_array_equal(values(weight).reshape(4, 6), VALUES * scale)
    assert [tensor.name for tensor in model.not_weights] == [f"{STEM}.input_scale"]


def test_scales_of_activations_are_not_missing_in_the_other_model(tmp_path: Path) -> None:
    """Once a base without them was said to be compared in part."""
    one = np.ones(1, np.float32).view(np.uint32)
    base = {f"{STEM}.weight": ("F32", (4, 6), VALUES.view(np.uint32))}
    tuned = {
        f"{STEM}.weight": ("F8_E4M3", (4, 6), CODES),
        f"{STEM}.weight_scale": ("F32", (), one),
        f"{STEM}.input_scale": ("F32", (), one),
    }
    found = pair_models(open_model(folder(tmp_path / "a", base)), open_model(folder(tmp_path / "b", tuned)))
    assert found.unmatched == ()
    assert [side.values for side in found.coverage] == [1.0, 1.0]


def test_shapes_of_scales_say_what_they_scale() -> None:
    assert blocks((4, 6), (4, 1), None) == (1, 6)  # a row
    assert blocks((4, 6), (4,), None) == (1, 6)
    assert blocks((4, 6), (1, 6), None) == (4, 1)  # a column
    assert blocks((4, 64), (4, 2), None) == (1, 32)  # MXFP8
    assert blocks((300, 200), (3, 2), None) == (128, 128)  # the last block is cut
    assert blocks((300, 200), (10, 7), (32, 32)) == (32, 32)
    assert blocks((8, 256, 384), (8, 2, 3), None) == (1, 128, 128)  # experts
    assert blocks((8, 4, 6), (8, 1, 6), None) == (1, 4, 1)
    assert blocks((4, 6), (3, 1), None) is None
    assert blocks((4, 6), (5,), None) is None
    assert blocks((4, 6), (2, 2, 2), None) is None


def test_experts_in_one_tensor_are_scaled_each_by_its_own(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    codes = random.integers(0, 0x7E, (3, 4, 6)).astype(np.uint8)
    scales = random.uniform(1, 2, (3, 1, 6)).astype(np.float32)
    name = "model.layers.0.mlp.experts.gate_up_proj"
    tensors = {name: ("F8_E4M3", (3, 4, 6), codes), f"{name}_scale": ("F32", (3, 1, 6), scales.view(np.uint32))}
    (weight,) = open_model(folder(tmp_path / "m", tensors)).weights
    np.testing.assert_array_equal(
        values(weight).reshape(3, 4, 6), codes.view(ml_dtypes.float8_e4m3fn).astype(np.float32) * scales
    )


def test_codes_whose_scale_does_not_fit_are_not_measurable_and_never_codes_as_weights(tmp_path: Path) -> None:
    scales = np.ones((3, 1), np.float32).view(np.uint32)
    tensors = {f"{STEM}.weight": ("F8_E4M3", (4, 6), CODES), f"{STEM}.weight_scale": ("F32", (3, 1), scales)}
    model = open_model(folder(tmp_path / "m", tensors))
    assert model.weights == ()
    assert model.seen == 0.0
    assert any("not measurable" in note for note in model.notes)


def test_a_layer_that_lacks_its_scale_lowers_the_share_that_is_seen(tmp_path: Path) -> None:
    one = np.ones(1, np.float32).view(np.uint32)
    tensors = {
        f"{STEM}.weight": ("F8_E4M3", (4, 6), CODES),
        f"{STEM}.weight_scale": ("F32", (), one),
        "model.layers.1.self_attn.q_proj.weight": ("F8_E4M3", (4, 6), CODES),
    }
    model = open_model(folder(tmp_path / "m", tensors))
    assert [tensor.layer for tensor in model.weights] == [0]
    assert model.seen == 0.5


def test_eight_bit_floats_without_any_scale_are_weights_as_they_are(tmp_path: Path) -> None:
    """Files that were cast to 8 bits, and nothing else: no config and no tensor speaks of scales."""
    (weight,) = open_model(folder(tmp_path / "m", {f"{STEM}.weight": ("F8_E4M3", (4, 6), CODES)})).weights
    assert weight.dtype.name == "F8_E4M3"


def test_a_norm_that_is_called_scale_is_a_weight(tmp_path: Path) -> None:
    norm = ("F32", (4,), np.ones(4, np.float32).view(np.uint32))
    model = open_model(folder(tmp_path / "m", {"blocks.0.norm.scale": norm, "logit_scale": norm}))
    assert len(model.weights) == 2


@pytest.mark.parametrize("ending", ["k_scale", "v_scale", "k_proj.k_scale", "attn.kv_scale", "k_proj.output_scale"])
def test_scales_of_cached_keys_and_values_are_known_and_never_weights(tmp_path: Path, ending: str) -> None:
    one = ("F32", (1,), np.ones(1, np.float32).view(np.uint32))
    norm = ("F32", (4,), np.ones(4, np.float32).view(np.uint32))
    model = open_model(folder(tmp_path / "m", {f"model.layers.0.self_attn.{ending}": one, "model.norm.weight": norm}))
    assert [tensor.name for tensor in model.weights] == ["model.norm.weight"]
    assert model.seen == 1.0


@pytest.mark.parametrize(
    ("codes", "parts"),
    [
        (("U32", "weight"), {"scales": "BF16", "biases": "BF16"}),  # MLX
        (("U8", "weight"), {"weight_scale": "F8_E4M3", "weight_scale_2": "F32", "input_scale": "F32"}),  # NVFP4
        (("I32", "qweight"), {"qzeros": "I32", "scales": "F16", "g_idx": "I32"}),  # GPTQ
        (("I32", "weight_packed"), {"weight_scale": "BF16", "weight_shape": "I64", "weight_zero_point": "I32"}),
        (("U8", "weight"), {"weight.absmax": "F32", "weight.quant_map": "F32"}),  # bitsandbytes
        (("I8", "weight"), {"SCB": "F32"}),
        (("I8", "weight_of_a_kind_to_come"), {"weight_codebook": "F16"}),
    ],
)
def test_parts_are_never_weights_whatever_is_decoded(
    tmp_path: Path, codes: tuple[str, str], parts: dict[str, str]
) -> None:
    width = {"U32": 4, "I32": 4, "U8": 1, "I8": 1, "BF16": 2, "F16": 2, "F32": 4, "F8_E4M3": 1, "I64": 8}
    tensors: dict[str, Any] = {f"{STEM}.{codes[1]}": (codes[0], (8, 8), np.ones(64 * width[codes[0]], np.uint8))}
    for ending, dtype in parts.items():
        tensors[f"{STEM}.{ending}"] = (dtype, (2, 2), np.ones(4 * width[dtype], np.uint8))
    tensors[f"{STEM}.bias"] = ("F32", (8,), np.ones(32, np.uint8))
    config = {"quantization_config": {"quant_method": "unknown"}}
    model = open_model(folder(tmp_path / "m", tensors, **config))
    assert {tensor.name for tensor in model.weights} <= {f"{STEM}.bias", f"{STEM}.weight"}
    names = {tensor.name for tensor in model.weights}
    assert f"{STEM}.bias" in names
    if names == {f"{STEM}.bias"}:
        assert model.seen < 0.9


@pytest.mark.parametrize("ending", ["qscale", "weight_dequant", "weight_quantizer._scale", "weight_quantizer._amax"])
def test_codes_beside_a_scale_of_an_unknown_name_are_not_taken_for_weights(tmp_path: Path, ending: str) -> None:
    codes, scale = np.full((16, 16), 0x7E, np.uint8), np.array([0.0001], "<f4")  # 448 each: what was measured
    held = {f"{STEM}.weight": ("F8_E4M3", (16, 16), codes), f"{STEM}.{ending}": ("F32", (1,), scale)}
    model = open_model(str(folder(tmp_path / "m", held)))
    assert not any(tensor.name.endswith(".weight") for tensor in model.weights)
    assert model.seen < 0.9
