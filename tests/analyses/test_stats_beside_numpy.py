"""Statistics from a census beside numpy and scipy in float64, for every type; the odd tensors; the self-checks."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import stats as reference

import kaibo
from kaibo.chapters.stats.statistics import norms_hold
from kaibo.testing import tiny_model, write_safetensors

TYPES: dict[str, Any] = {
    "F64": np.float64,
    "F32": np.float32,
    "F16": np.float16,
    "BF16": ml_dtypes.bfloat16,
    "F8_E4M3": ml_dtypes.float8_e4m3fn,
    "F8_E5M2": ml_dtypes.float8_e5m2,
}


def _stats(tmp_path: Path, dtype: str, values: NDArray[Any], by: Any = "model") -> Any:
    stored = values.astype(TYPES[dtype])
    write_safetensors(tmp_path / "x.safetensors", {"w": (dtype, values.shape, stored.tobytes())})
    (row,) = kaibo.stats(tmp_path / "x.safetensors", by, settings=kaibo.Settings(store=tmp_path / "s"))
    return row


@pytest.mark.parametrize("dtype", TYPES)
def test_moments_norms_and_tails_are_those_of_numpy(tmp_path: Path, dtype: str) -> None:
    values = np.random.default_rng(0).standard_t(4, 30_000) * 0.1 + 0.01
    row = _stats(tmp_path, dtype, values)
    x = values.astype(TYPES[dtype]).astype(np.float64)
    close = 1e-7 if dtype == "F64" else 1e-12  # 64-bit values are counted as rounded to 32 bits
    assert row.n == x.size
    assert math.isclose(row.mean, x.mean(), rel_tol=max(close, 1e-10))
    assert math.isclose(row.std, x.std(), rel_tol=close)
    assert math.isclose(row.l1, np.abs(x).sum(), rel_tol=close)
    assert math.isclose(row.l2, np.sqrt((x * x).sum()), rel_tol=close)
    assert (row.minimum, row.maximum, row.max) == (x.min(), x.max(), np.abs(x).max())
    assert row.zeros == (x == 0).sum()
    assert row.negative == (x < 0).mean()
    assert abs(row.skew - reference.skew(x)) <= row.skew_bound + 1e-6 * abs(row.skew) + 1e-9
    assert abs(row.kurtosis - reference.kurtosis(x)) <= row.kurtosis_bound + 1e-6 * abs(row.kurtosis) + 1e-9
    for times, low, high in ((3, row.beyond3, row.beyond3_high), (6, row.beyond6, row.beyond6_high)):
        share = (np.abs(x - x.mean()) > times * x.std()).mean()
        assert low <= share <= high
    ordered = np.sort(x)
    for quantile in row.quantiles:
        exact = ordered[math.ceil(quantile.share * x.size) - 1]
        slack = abs(exact) * 1e-7 if dtype == "F64" else 0
        assert quantile.low - slack <= exact <= quantile.high + slack
        assert dtype in ("F32", "F64") or quantile.low == quantile.high
    if dtype not in ("F32", "F64"):
        _, counts = np.unique(
            values.astype(TYPES[dtype]).view(f"u{np.dtype(TYPES[dtype]).itemsize}"), return_counts=True
        )
        assert math.isclose(row.entropy, reference.entropy(counts, base=2), rel_tol=1e-12)


@pytest.mark.parametrize("dtype", ["F32", "F16", "BF16", "F8_E5M2"])
def test_what_is_not_finite_is_counted_and_left_out(tmp_path: Path, dtype: str) -> None:
    values = np.random.default_rng(1).normal(0, 0.5, 1000)
    values[[3, 4]], values[5], values[6] = np.nan, np.inf, -np.inf
    row = _stats(tmp_path, dtype, values)
    x = values.astype(TYPES[dtype]).astype(np.float64)
    x = x[np.isfinite(x)]
    assert (row.n, row.nonfinite) == (1000, 4)
    assert math.isclose(row.std, x.std(), rel_tol=1e-12)
    assert math.isfinite(row.kurtosis)
    assert row.max == np.abs(x).max()


def test_the_largest_halves_do_not_overflow(tmp_path: Path) -> None:
    row = _stats(tmp_path, "F16", np.tile([65504.0, -65504.0], 5000))
    assert row.l1 == 65504.0 * 10_000
    assert row.l2 == 65504.0 * 100
    assert (row.mean, row.std, row.kurtosis) == (0.0, 65504.0, -2.0)


def test_the_smallest_halves_do_not_underflow(tmp_path: Path) -> None:
    row = _stats(tmp_path, "F16", np.full(1 << 12, 2.0**-24))
    assert row.l2 == 2.0**-24 * 64
    assert row.subnormals == 1 << 12


@pytest.mark.parametrize("dtype", TYPES)
@pytest.mark.parametrize("shape", [(0,), (0, 3), (1,), (1, 7), ()])
def test_small_and_empty_tensors_have_numbers_or_reasons(tmp_path: Path, dtype: str, shape: tuple[int, ...]) -> None:
    row = _stats(tmp_path, dtype, np.full(shape, 0.5), by="tensor")
    assert row.n == math.prod(shape)
    for name in ("mean", "std", "skew", "kurtosis", "max", "entropy", "beyond3"):
        assert math.isfinite(getattr(row, name)) or name in row.why, name
    if row.n:
        assert (row.mean, row.std, row.max, row.l1) == (0.5, 0.0, 0.5, 0.5 * row.n)
        assert row.why["kurtosis"] == "all values are equal"


def test_integers_are_listed_and_never_measured(tmp_path: Path) -> None:
    contents = {
        "w": ("F32", [2], np.array([1, 3], "<f4")),
        "ids": ("I64", [3], np.array([100, 200, 300], "<i8")),
        "mask": ("BOOL", [4], b"\0\1\0\1"),
    }
    write_safetensors(tmp_path / "x.safetensors", contents)
    settings = kaibo.Settings(store=tmp_path / "s")
    found = kaibo.stats(tmp_path / "x.safetensors", "tensor", settings=settings)
    assert [row.key for row in found] == ["w"]
    assert any("2 tensors are not weights (BOOL, I64)" in note for note in found.notes)


def test_buffers_are_counted_and_left_out_of_statistics(tmp_path: Path) -> None:
    folder = tiny_model(tmp_path / "m", dtype="F32")
    settings = kaibo.Settings(store=tmp_path / "s")
    (before,) = kaibo.stats(folder, settings=settings)
    name = "model.layers.0.self_attn.rotary_emb.inv_freq"
    (folder / "model.safetensors").rename(folder / "model-00001-of-00002.safetensors")
    write_safetensors(folder / "model-00002-of-00002.safetensors", {name: ("F32", [2], np.array([1e6, 2e6], "<f4"))})
    found = kaibo.stats(folder, settings=settings)
    assert (found.rows[0].n, found.rows[0].max) == (before.n, before.max)
    assert any("1 buffers" in note for note in found.notes)


def test_an_unknown_family_is_measured_as_other(tmp_path: Path) -> None:
    write_safetensors(tmp_path / "model.safetensors", {"blah.3.zip": ("F32", [2], np.array([1, 3], "<f4"))})
    (tmp_path / "config.json").write_text('{"model_type": "never-heard-of"}')
    (row,) = kaibo.stats(tmp_path, "role", settings=kaibo.Settings(store=tmp_path / "s"))
    assert row.key == "other"


def test_norms_that_cannot_be_are_noticed() -> None:
    assert norms_hold(2.0, math.sqrt(2.0), 1.0, 2)
    assert not norms_hold(2.1, math.sqrt(2.0), 1.0, 2)
    assert not norms_hold(2.0, 3.0, 1.0, 2)


@pytest.mark.parametrize("value", [0.1, 0.3, 1e-50, 1e39])
def test_a_64_bit_value_that_float32_rounds_passes_the_check_of_its_norms(tmp_path: Path, value: float) -> None:
    """The sums hold the rounded value, the maximum the exact one; comparing the two once ended in a fault."""
    patterns = np.array([value]).view(np.uint64)
    model = write_safetensors(tmp_path / "one.safetensors", {"a": ("F64", (1,), patterns)})
    (row,) = kaibo.stats(model, settings=kaibo.Settings(store=tmp_path / "store"))
    assert row.max == value
    assert (row.zeros, row.nonfinite) == (0, 0)
