"""compressed-tensors: packed integers of every width as its own package decodes them, and files that do not fit."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from packed_samples import STEM, compressed, int8
from reading import model_of, of_torch, same, values, weight_of


def quantised(
    bits: int, *, symmetric: bool, shape: tuple[int, int] = (24, 64), size: int = 32, kind: str = "int"
) -> Any:
    """A weight that the package itself compressed: its tensors, what it decompresses them to, and its settings."""
    torch = pytest.importorskip("torch")
    quantization = pytest.importorskip("compressed_tensors.quantization")
    compressors = pytest.importorskip("compressed_tensors.compressors")
    weights = quantization.QuantizationArgs(
        num_bits=bits, type="int", strategy="group", group_size=size, symmetric=symmetric
    )
    scheme = quantization.QuantizationScheme(targets=["Linear"], weights=weights)
    random = torch.Generator().manual_seed(bits)
    grid = shape[0], shape[1] // size
    state = {
        "weight": torch.randn(*shape, generator=random) * 0.02,
        "weight_scale": torch.rand(*grid, generator=random) * 0.02 + 0.001,
        "weight_zero_point": torch.randint(-(1 << (bits - 1)), 1 << (bits - 1), grid, generator=random).to(torch.int8),
    }
    if symmetric:
        del state["weight_zero_point"]
    compressor = compressors.BaseCompressor.get_value_from_registry("pack-quantized" if kind == "int" else kind)
    packed = compressor.compress(dict(state), scheme)
    expected = compressor.decompress(dict(packed), scheme)["weight"]
    return {f"{STEM}.{name}": part for name, part in packed.items()}, expected, {"weights": {"num_bits": bits}}


def config(*groups: dict[str, Any]) -> dict[str, Any]:
    said = {f"group_{n}": group for n, group in enumerate(groups)}
    return {"quantization_config": {"quant_method": "compressed-tensors", "config_groups": said}}


@pytest.mark.parametrize("bits", range(1, 9))
@pytest.mark.parametrize("symmetric", [True, False])
def test_values_are_those_of_the_package(tmp_path: Path, bits: int, symmetric: bool) -> None:
    parts, expected, group = quantised(bits, symmetric=symmetric)
    weight = weight_of(tmp_path / "m", of_torch(parts), config(group))
    same(values(weight), expected.numpy())


def test_bytes_of_groups_are_those_of_the_package(tmp_path: Path) -> None:
    parts, expected, group = quantised(8, symmetric=False, kind="naive-quantized")
    same(values(weight_of(tmp_path / "m", of_torch(parts), config(group))), expected.numpy())


@pytest.mark.parametrize("bits", [2, 3, 4, 5, 6, 7, 8])
def test_words_of_whole_codes_as_versions_before_0_20_wrote_them(tmp_path: Path, bits: int) -> None:
    sample = compressed(np.random.default_rng(bits), bits, loose=True)
    weight = weight_of(tmp_path / "m", sample.stored, sample.config)
    same(values(weight), sample.expected[weight.name])


def test_several_groups_of_the_config_each_have_their_width(tmp_path: Path) -> None:
    """The shapes say which of them a weight belongs to."""
    random = np.random.default_rng(0)
    four, eight = compressed(random), compressed(random, 8, shuffled=True)
    stored = {**four.stored, **{name.replace("q_proj", "v_proj"): part for name, part in eight.stored.items()}}
    model = model_of(tmp_path / "m", stored, config({"weights": {"num_bits": 4}}, {"weights": {"num_bits": 8}}))
    key, value = model.weights
    same(values(key), four.expected[f"{STEM}.weight"])
    same(values(value), eight.expected[f"{STEM}.weight"])
    assert model.seen == 1.0


def test_a_scale_for_each_row_and_experts_in_one_tensor(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    parts = [compressed(random, groups=1, shape=(40, 64)) for _ in range(3)]
    stored: dict[str, Any] = {}
    for name, (dtype, shape, _) in parts[0].stored.items():
        stored[name] = (dtype, (3, *shape), np.stack([np.asarray(part.stored[name][2]) for part in parts]))
    stored[f"{STEM}.weight_shape"] = ("I64", (3,), np.array([3, 40, 64], np.int64))
    weight = weight_of(tmp_path / "m", stored, parts[0].config)
    same(values(weight, 1000), np.stack([part.expected[weight.name] for part in parts]))


@pytest.mark.parametrize(
    ("part", "changed", "why"),
    [
        ("weight_shape", None, "its shape is missing"),
        ("weight_scale", None, "its scale is missing"),
        ("weight_shape", ("I64", (2,), np.array([40, -96])), "its shape is said to be (40, -96)"),
        ("weight_shape", ("I64", (2,), np.array([40, 2**62])), "words do not hold"),
        ("weight_shape", ("F64", (2,), np.array([40.0, 96.0])), "its shape is held as F64"),
        ("weight_scale", ("BF16", (40, 5), np.ones(200, np.uint16)), "its scales have shape (40, 5)"),
        ("weight_zero_point", ("I32", (4, 3), np.ones(12, np.int32)), "its zero points have shape (4, 3)"),
    ],
)
def test_parts_that_do_not_fit_are_said_by_name(tmp_path: Path, part: str, changed: Any, why: str) -> None:
    sample = compressed(np.random.default_rng(0))
    stored = {name: held for name, held in sample.stored.items() if name != f"{STEM}.{part}"}
    model = model_of(tmp_path / "m", stored | ({} if changed is None else {f"{STEM}.{part}": changed}), sample.config)
    assert model.weights == ()
    assert model.seen == 0.0
    (note,) = [note for note in model.notes if why in note]
    assert note.startswith(f"{STEM}.weight_packed: ")


def test_zero_points_of_bytes_that_do_not_fit_their_scales_are_said(tmp_path: Path) -> None:
    sample = int8(np.random.default_rng(0))
    stored = {**sample.stored, f"{STEM}.weight_zero_point": ("I8", (3, 1), np.ones(3, np.int8))}
    model = model_of(tmp_path / "m", stored, sample.config)
    assert model.weights == ()
    assert any("its zero points have shape (3, 1)" in note for note in model.notes)
