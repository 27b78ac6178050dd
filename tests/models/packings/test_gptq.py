"""GPTQ and AWQ: every width, both versions of zero points, inputs in any order, and files that do not fit."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from packed_samples import STEM, Sample, awq, gptq

from kaibo.errors import FormatError
from kaibo.models import open_model
from kaibo.models.packings import tiles
from kaibo.vocabulary import Tensor

WEIGHT = f"{STEM}.weight"


def values(tensor: Tensor, room: int = 1 << 16) -> np.ndarray:
    return np.concatenate([chunk.copy() for chunk in tensor.chunks(np.empty(room, np.uint8))]).view("<f4")


def weight_of(sample: Sample, folder: Path) -> Tensor:
    (weight,) = open_model(sample.written(folder)).weights
    return weight


def check(sample: Sample, folder: Path) -> None:
    weight = weight_of(sample, folder)
    np.testing.assert_array_equal(values(weight).reshape(weight.shape), sample.expected[WEIGHT])


@pytest.mark.parametrize("version", ["gptq", "gptq_v2"])
@pytest.mark.parametrize("bits", [2, 3, 4, 8])
@pytest.mark.parametrize("shuffled", [True, False])
def test_codes_of_every_width_and_both_versions(tmp_path: Path, bits: int, version: str, shuffled: bool) -> None:
    check(gptq(np.random.default_rng(bits), bits, version=version, shuffled=shuffled), tmp_path / "m")


@pytest.mark.parametrize("bits", [2, 3, 4, 8])
def test_the_values_are_those_of_the_formula_of_its_package(tmp_path: Path, bits: int) -> None:
    """GPTQModel's own steps in torch: shift, mask, gather scales and zero points by the group of each input."""
    torch = pytest.importorskip("torch")
    sample = gptq(np.random.default_rng(1), bits, version="gptq_v2")
    words, zeros, scales, order = (
        torch.from_numpy(np.asarray(sample.stored[f"{STEM}.{part}"][2]).astype(np.int64))
        for part in ("qweight", "qzeros", "scales", "g_idx")
    )
    scales = scales.to(torch.uint16).view(torch.float16).float()

    def apart(rows: Any, count: int) -> Any:
        """Codes down a column of words, which may span two of them."""
        begins = torch.arange(count) * bits
        low = rows[begins // 32] >> (begins % 32)[:, None]
        following = rows[(begins // 32 + 1).clamp(max=len(rows) - 1)] << (32 - begins % 32)[:, None]
        return (low | following) & ((1 << bits) - 1)

    codes = apart(words, order.numel())
    points = apart(zeros.T, scales.shape[1]).T
    expected = scales[order] * (codes - points[order]).float()
    weight = weight_of(sample, tmp_path / "m")
    np.testing.assert_array_equal(values(weight).reshape(weight.shape), expected.T.numpy())


def test_a_file_without_the_order_of_groups_has_them_one_after_the_other(tmp_path: Path) -> None:
    check(gptq(np.random.default_rng(0), shuffled=False, sparse=("g_idx",)), tmp_path / "m")


def test_wide_matrices_are_read_in_bands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tiles, "BAND", 200)
    for n, sample in enumerate([gptq(np.random.default_rng(0), 3), awq(np.random.default_rng(0))]):
        weight = weight_of(sample, tmp_path / str(n))
        for room in (4, 1000, 1 << 16):
            np.testing.assert_array_equal(values(weight, room).reshape(weight.shape), sample.expected[WEIGHT])


@pytest.mark.parametrize("gemm", [True, False])
@pytest.mark.parametrize("size", [32, 96])
def test_awq_in_both_its_layouts(tmp_path: Path, gemm: bool, size: int) -> None:
    check(awq(np.random.default_rng(0), size=size, gemm=gemm), tmp_path / "m")


def test_awq_is_known_by_its_shapes_where_the_config_is_silent(tmp_path: Path) -> None:
    for n, sample in enumerate([awq(np.random.default_rng(0)), gptq(np.random.default_rng(0))]):
        check(Sample(sample.stored, sample.expected, {}), tmp_path / str(n))


@pytest.mark.parametrize("scale", [0.0, np.inf, np.nan, -1.0])
def test_scales_that_are_zero_infinite_or_no_number_give_what_the_formula_gives(tmp_path: Path, scale: float) -> None:
    sample = awq(np.random.default_rng(0))
    dtype, shape, patterns = sample.stored[f"{STEM}.scales"]
    patterns = np.full_like(patterns, np.float16(scale).view(np.uint16))
    weight = weight_of(
        Sample({**sample.stored, f"{STEM}.scales": (dtype, shape, patterns)}, {}, sample.config), tmp_path / "m"
    )
    plain = sample.expected[WEIGHT]
    with np.errstate(invalid="ignore"):
        expected = np.sign(plain).astype(np.float32) * np.float32(scale)
    got = values(weight).reshape(weight.shape)
    assert (np.isnan(got) == np.isnan(expected)).all()
    assert (np.sign(got) == np.sign(expected))[~np.isnan(expected)].all()


def test_groups_that_there_are_no_scales_for_are_named_when_they_are_read(tmp_path: Path) -> None:
    sample = gptq(np.random.default_rng(0))
    order = np.full(96, 7, np.int32)
    weight = weight_of(
        Sample({**sample.stored, f"{STEM}.g_idx": ("I32", (96,), order)}, {}, sample.config), tmp_path / "m"
    )
    with pytest.raises(FormatError, match=r"groups 7 to 7 of 96 inputs; there are 3 groups") as failed:
        values(weight)
    assert failed.value.tensor == f"{STEM}.g_idx"


@pytest.mark.parametrize(
    ("maker", "gone", "why"),
    [
        (gptq, "scales", "its scales are missing"),
        (gptq, "qzeros", "its zero points are missing"),
        (awq, "scales", "its scales are missing"),
        (awq, "qzeros", "its zero points are missing"),
    ],
)
def test_parts_that_are_missing_are_said_in_one_line_that_names_the_tensor(
    tmp_path: Path, maker: Any, gone: str, why: str
) -> None:
    sample = maker(np.random.default_rng(0))
    stored = {name: part for name, part in sample.stored.items() if not name.endswith(gone)}
    model = open_model(Sample(stored, {}, sample.config).written(tmp_path / "m"))
    assert model.weights == ()
    assert model.seen == 0.0
    assert f"{STEM}.qweight: {why}; not measurable" in model.notes


def test_groups_that_do_not_divide_are_not_measurable(tmp_path: Path) -> None:
    sample = gptq(np.random.default_rng(0), groups=5, sparse=("g_idx",))
    model = open_model(Sample(sample.stored, {}, sample.config).written(tmp_path / "m"))
    assert any("96 inputs do not divide into 5 groups" in note for note in model.notes)
    assert model.undecoded == 40 * 96


def test_config_and_file_that_contradict_each_other_are_said(tmp_path: Path) -> None:
    plain = {WEIGHT: ("F32", (2, 2), np.ones(4, np.uint32))}
    silent = {"model_type": "llama"}
    model = open_model(Sample(plain, {}, {"quantization_config": {"quant_method": "gptq"}}).written(tmp_path / "a"))
    assert "the config says that weights are packed (gptq), and no tensor is" in model.notes
    model = open_model(Sample(gptq(np.random.default_rng(0)).stored, {}, silent).written(tmp_path / "b"))
    assert "1 weights are packed, and the config does not say so" in model.notes
    model = open_model(Sample(plain, {}, silent).written(tmp_path / "c"))
    assert not any("packed" in note for note in model.notes)


def test_what_is_not_measurable_is_counted_in_bytes_and_parameters(tmp_path: Path) -> None:
    sample = gptq(np.random.default_rng(0), sparse=("scales",))
    model = open_model(Sample(sample.stored, {}, sample.config).written(tmp_path / "m"))
    assert "what is not measurable takes 1,920 bytes and stands for about 3,840 parameters" in model.notes
