"""4- and 6-bit floats: both dialects of NVFP4, MXFP4 and MXFP6 as their own packages decode them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from packed_samples import E2M1, STEM, mxfp4, nvfp4
from reading import model_of, same, values, weight_of

from kaibo.models.packings.fp4 import levels

STACKED = "model.layers.0.mlp.experts.gate_up_proj"


def torch_of(part: tuple[str, tuple[int, ...], Any]) -> Any:
    torch = pytest.importorskip("torch")
    raw = torch.from_numpy(np.asarray(part[2]).copy()).reshape(part[1])
    return raw.view(torch.float8_e4m3fn) if part[0] == "F8_E4M3" else raw


def test_experts_of_gpt_oss_are_those_of_transformers(tmp_path: Path) -> None:
    """Bit for bit in float32, and inputs first as its bfloat16 form has them."""
    torch = pytest.importorskip("torch")
    theirs = pytest.importorskip("transformers.integrations.mxfp4").convert_moe_packed_tensors
    sample = mxfp4(np.random.default_rng(0))
    parts = (torch_of(sample.stored[f"{STACKED}_{part}"]) for part in ("blocks", "scales"))
    expected = theirs(*parts, dtype=torch.float32)
    for room in (100, 1 << 16):
        weight = weight_of(tmp_path / str(room), sample.stored, sample.config)
        assert weight.name == STACKED
        same(values(weight, room), expected.contiguous().numpy())


def test_blocks_as_openai_names_them_stay_outputs_first(tmp_path: Path) -> None:
    sample = mxfp4(np.random.default_rng(0))
    name = "block.0.mlp.mlp1_weight"
    stored = {f"{name}.{part}": sample.stored[f"{STACKED}_{part}"] for part in ("blocks", "scales")}
    weight = weight_of(tmp_path / "m", stored)
    assert weight.name == name
    same(values(weight), sample.expected[STACKED].swapaxes(1, 2).copy())


def test_nvfp4_of_compressed_tensors_is_that_of_its_package(tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    pytest.importorskip("compressed_tensors")
    from compressed_tensors.compressors.nvfp4.helpers import unpack_fp4_from_uint8
    from compressed_tensors.quantization import QuantizationArgs
    from compressed_tensors.quantization.lifecycle.forward import dequantize

    sample = nvfp4(np.random.default_rng(0), divided=True)
    packed, scale = (torch_of(sample.stored[f"{STEM}.weight_{part}"]) for part in ("packed", "scale"))
    whole = torch.from_numpy(sample.stored[f"{STEM}.weight_global_scale"][2].view(np.float32))
    args = QuantizationArgs(num_bits=4, type="float", strategy="tensor_group", group_size=16)
    codes = unpack_fp4_from_uint8(packed, 24, 80, torch.float32)
    expected = dequantize(codes, scale.float(), args=args, global_scale=whole, dtype=torch.float32)
    same(values(weight_of(tmp_path / "m", sample.stored, sample.config)), expected.numpy())


def test_nvfp4_of_modelopt_multiplies_the_scales_first(tmp_path: Path) -> None:
    """The steps of its `dequantize` in torch: scale times scale in float32, then times the level."""
    torch = pytest.importorskip("torch")
    sample = nvfp4(np.random.default_rng(1))
    packed, scale = (torch_of(sample.stored[f"{STEM}.{part}"]) for part in ("weight", "weight_scale"))
    whole = torch.from_numpy(sample.stored[f"{STEM}.weight_scale_2"][2].view(np.float32))
    codes = torch.stack([packed & 15, packed >> 4], -1).reshape(24, 5, 16).long()
    expected = (torch.from_numpy(E2M1)[codes] * (scale.float() * whole).unsqueeze(-1)).reshape(24, 80)
    same(values(weight_of(tmp_path / "m", sample.stored, sample.config)), expected.numpy())


def test_the_two_dialects_are_told_apart_by_the_name_of_their_global_scale(tmp_path: Path) -> None:
    for n, divided in enumerate((True, False)):
        sample = nvfp4(np.random.default_rng(0), divided=divided)
        model = model_of(tmp_path / str(n), sample.stored)  # no config at all
        (weight,) = model.weights
        same(values(weight), sample.expected[weight.name])
        way = "divided by weight_global_scale" if divided else "multiplied by weight_scale_2"
        assert any(way in note for note in model.notes)


def mx(bits: int, name: str, scale: str, kind: str = "U8", codes: str = "U8") -> tuple[dict[str, Any], np.ndarray]:
    """MX codes of 4 or 6 bits under some spelling, and their values."""
    random = np.random.default_rng(bits)
    held = random.integers(0, 1 << bits, (12, 96))
    powers = random.integers(110, 130, (12, 3)).astype(np.uint8)
    table = E2M1 if bits == 4 else np.concatenate([SIX, -SIX]).astype(np.float32)
    stream = ((held[..., None] >> np.arange(bits)) & 1).reshape(12, -1)
    packed = np.packbits(stream.astype(np.uint8), axis=1, bitorder="little")
    shape = (12, 96) if codes == "F4" else packed.shape
    stored = {f"{STEM}.{name}": (codes, shape, packed), f"{STEM}.{scale}": (kind, powers.shape, powers)}
    return stored, table[held] * np.repeat(np.ldexp(np.float32(1), powers.astype(np.int32) - 127), 32, 1)


SIX = np.array([*(m / 8 for m in range(8)), *((1 + m / 8) * 2**e for e in range(3) for m in range(8))])


@pytest.mark.parametrize(
    ("bits", "name", "scale", "kind", "codes"),
    [
        (4, "weight_packed", "weight_scale", "U8", "U8"),  # compressed-tensors
        (4, "weight", "weight_scale", "U8", "U8"),  # ModelOpt, Quark
        (4, "weight", "scale", "F8_E8M0", "I8"),  # DeepSeek V4
        (4, "weight", "weight_scale", "F8_E8M0", "F4"),
        (6, "weight_packed", "weight_scale", "U8", "U8"),
    ],
)
def test_mx_codes_under_every_spelling(tmp_path: Path, bits: int, name: str, scale: str, kind: str, codes: str) -> None:
    stored, expected = mx(bits, name, scale, kind, codes)
    same(values(weight_of(tmp_path / "m", stored)), expected)


def test_the_levels_are_those_of_the_published_tables() -> None:
    np.testing.assert_array_equal(levels(4).values[:16], E2M1)
    np.testing.assert_array_equal(levels(6).values[:64], np.concatenate([SIX, -SIX]).astype(np.float32))


def test_an_mx_scale_of_255_is_no_number(tmp_path: Path) -> None:
    sample = mxfp4(np.random.default_rng(0))
    name = f"{STACKED}_scales"
    dtype, shape, scales = sample.stored[name]
    scales = np.asarray(scales).copy()
    scales[1, 3, 0] = 255
    weight = weight_of(tmp_path / "m", {**sample.stored, name: (dtype, shape, scales)})
    assert np.isnan(values(weight)[1, :32, 3]).all()
    assert np.isnan(values(weight)).sum() == 32


@pytest.mark.parametrize(
    ("divided", "part", "changed", "why"),
    [
        (True, "weight_global_scale", None, "its global scale is missing"),
        (False, "weight_scale_2", None, "its global scale is missing"),
        (False, "weight_scale_2", ("F32", (7,), np.ones(7, np.uint32)), "7 global scales"),
        (False, "weight_scale", ("F8_E4M3", (24, 4), np.ones(96, np.uint8)), "its scales have shape (24, 4)"),
    ],
)
def test_parts_that_do_not_fit_are_said_by_name(
    tmp_path: Path, divided: bool, part: str, changed: Any, why: str
) -> None:
    sample = nvfp4(np.random.default_rng(0), divided=divided)
    stored = {name: held for name, held in sample.stored.items() if name != f"{STEM}.{part}"}
    model = model_of(tmp_path / "m", stored | ({} if changed is None else {f"{STEM}.{part}": changed}), sample.config)
    assert model.weights == ()
    assert any(note.startswith(f"{STEM}.weight") and why in note for note in model.notes)


def test_scales_that_are_zero_or_infinite_give_what_the_formula_gives(tmp_path: Path) -> None:
    for n, factor in enumerate((0.0, np.inf, np.nan, -2.0)):
        sample = nvfp4(np.random.default_rng(0))
        whole = np.array([factor], np.float32)
        stored = {**sample.stored, f"{STEM}.weight_scale_2": ("F32", (), whole.view(np.uint32))}
        weight = weight_of(tmp_path / str(n), stored, sample.config)
        exact = np.asarray(sample.stored[f"{STEM}.weight_scale"][2])
        import ml_dtypes

        packed = np.asarray(sample.stored[f"{STEM}.weight"][2])
        codes = np.stack([packed & 15, packed >> 4], -1).reshape(24, 80)
        with np.errstate(invalid="ignore", over="ignore"):
            scales = exact.view(ml_dtypes.float8_e4m3fn).astype(np.float32) * whole
            expected = E2M1[codes] * np.repeat(scales, 16, 1)
        same(values(weight), expected)
