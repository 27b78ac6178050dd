"""The law, the nulls, the interval, entropy and grids, each beside a simulation or a value that can be worked out."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

import kaibo
from kaibo.chapters.digits.benford import LAW, _interval, conformity, gaussian_shares, mean_absolute_error
from kaibo.testing import write_safetensors


def _first(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """The shares of first digits of nonzero values, through their logarithms."""
    fraction = np.mod(np.log10(np.abs(values[values != 0])), 1)
    digits = np.minimum((10**fraction + 1e-12).astype(int), 9)
    return np.bincount(digits, minlength=10)[1:] / digits.size


@given(st.floats(1e-30, 1e30))
def test_the_shares_of_a_gaussian_add_up_to_one(sigma: float) -> None:
    shares = gaussian_shares(np.array(sigma))
    assert shares.shape == (9,)
    assert abs(shares.sum() - 1) < 1e-12
    assert (shares > 0).all()


@given(st.floats(1e-3, 1e3))
def test_ten_times_the_sigma_has_the_same_digits(sigma: float) -> None:
    ratio = gaussian_shares(np.array(10 * sigma)) / gaussian_shares(np.array(sigma))
    assert np.abs(ratio - 1).max() < 1e-9


@pytest.mark.parametrize("sigma", [0.01, 0.02, 0.035, 0.5, 1.0, 7.0])
def test_the_shares_of_a_gaussian_are_those_of_a_simulated_one(sigma: float) -> None:
    n = 1_000_000
    simulated = _first(np.random.default_rng(0).normal(0, sigma, n))
    shares = gaussian_shares(np.array(sigma))
    assert np.abs(simulated - shares).max() < 5 * math.sqrt(0.25 / n)


def test_no_sigma_has_no_shares() -> None:
    assert np.isnan(gaussian_shares(np.array([0.0, np.nan, -1.0]))).all()


def test_the_distance_is_the_mean_over_nine_digits() -> None:
    assert math.isclose(LAW.sum(), 1)
    assert mean_absolute_error(LAW) == 0
    uniform = np.full(9, 1 / 9)
    assert math.isclose(mean_absolute_error(uniform), sum(abs(1 / 9 - math.log10(1 + 1 / d)) for d in range(1, 10)) / 9)


def test_the_classes_are_nigrinis() -> None:
    steps = {0.0: "close", 0.006: "close", 0.00601: "acceptable", 0.012: "acceptable", 0.0121: "marginal"}
    steps |= {0.015: "marginal", 0.0151: "nonconformity", 1.0: "nonconformity"}
    assert {mae: conformity(mae) for mae in steps} == steps
    assert conformity(math.nan) is None


def _digits(folder: Path, tensors: dict[str, NDArray[np.float32]]) -> Any:
    folder.mkdir(exist_ok=True)
    write_safetensors(folder / "x.safetensors", {name: ("F32", x.shape, x) for name, x in tensors.items()})
    (row,) = kaibo.digits(folder / "x.safetensors", settings=kaibo.Settings(store=folder / "s"))
    return row


def test_values_spread_evenly_over_decades_follow_the_law(tmp_path: Path) -> None:
    values = 10 ** np.random.default_rng(0).uniform(-4, 0, 400_000)
    row = _digits(tmp_path, {"w": values.astype("<f4")})
    assert row.mae < 0.002
    assert row.conformity == "close"
    assert row.kl < 1e-4
    assert row.cramers_v < 0.005
    assert row.mae < row.gaussian_mae


def test_one_gaussian_is_its_own_null_and_two_are_their_mixture(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    one = _digits(tmp_path / "one", {"w": random.normal(0, 0.03, 300_000).astype("<f4")})
    assert one.from_gaussian < 0.001
    assert math.isclose(one.gaussian_mae, one.mixture_mae)
    assert (one.mae_low, one.mae_high) == (None, None)
    assert one.why["mae_low"] == "an interval over tensors needs 5 of them"
    tensors = {f"w{n}": random.normal(0, 0.004 * 6**n, 200_000).astype("<f4") for n in range(3)}
    several = _digits(tmp_path / "several", tensors)
    assert several.from_mixture < 0.001
    assert several.from_gaussian > 5 * several.from_mixture


def _coverage(shares: NDArray[np.float64], tensors: int, largest: int) -> float:
    """In how many of 100 models of so many tensors the interval holds the MAE of the population they come from."""
    random = np.random.default_rng(3)
    sizes = np.where(np.arange(tensors) == 0, largest, 1) * 20_000
    true = float(mean_absolute_error(shares.mean(axis=0)))
    held = 0
    for _ in range(100):
        drawn = shares[random.integers(0, len(shares), tensors)]
        counts = [random.multinomial(n, row / row.sum()) for n, row in zip(sizes, drawn, strict=True)]
        low, high = _interval(np.array(counts))
        assert low is not None
        assert high is not None
        held += low <= true <= high
    return held / 100


@pytest.mark.parametrize("tensors", [6, 10, 40, 150])
def test_the_interval_holds_the_distance_of_the_population_it_was_drawn_from(tensors: int) -> None:
    """Percentiles of the MAE itself held it in 75 to 80 % of models of 10 tensors."""
    sigmas = np.exp(np.random.default_rng(4).normal(-3.5, 0.3, 20_000))
    assert _coverage(gaussian_shares(sigmas), tensors, 1) >= 0.93


@pytest.mark.parametrize("tensors", [6, 40])
def test_the_interval_holds_a_distance_near_zero_where_no_draw_can_fall_below_it(tensors: int) -> None:
    """Percentiles of the MAE held it in 0 to 36 %: every draw is farther from the law than the truth is."""
    odd = np.exp(np.random.default_rng(5).normal(0, 0.08, (20_000, 9)))
    assert _coverage(LAW * odd / (LAW * odd).sum(axis=1, keepdims=True), tensors, 1) >= 0.93


def test_the_interval_holds_where_one_tensor_has_a_third_of_the_values() -> None:
    sigmas = np.exp(np.random.default_rng(4).normal(-3.5, 0.3, 20_000))
    assert _coverage(gaussian_shares(sigmas), 30, 15) >= 0.88


def _stat(tmp_path: Path, dtype: str, patterns: NDArray[Any]) -> Any:
    write_safetensors(tmp_path / "x.safetensors", {"w": (dtype, patterns.shape, patterns)})
    (row,) = kaibo.stats(tmp_path / "x.safetensors", "tensor", settings=kaibo.Settings(store=tmp_path / "s"))
    return row


def test_patterns_that_are_all_equally_common_have_all_their_bits(tmp_path: Path) -> None:
    assert _stat(tmp_path, "F8_E4M3", np.arange(256, dtype="<u1")).entropy == 8.0
    row = _stat(tmp_path, "BF16", np.arange(1 << 16, dtype="<u2"))
    assert (row.entropy, row.exponent_entropy) == (16.0, 8.0)
    half = _stat(tmp_path, "F16", np.arange(1 << 16, dtype="<u2"))
    assert (half.entropy, half.exponent_entropy) == (16.0, 5.0)
    assert _stat(tmp_path, "F16", np.full(99, 0x3C00, "<u2")).entropy == 0.0


def test_a_grid_inside_a_wider_type_is_named(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    values = random.normal(0, 0.02, 8192)
    bf16 = values.astype(ml_dtypes.bfloat16)
    assert _stat(tmp_path, "F32", bf16.astype("<f4")).grid == "bfloat16"
    assert _stat(tmp_path, "F32", values.astype("<f4")).grid is None
    assert _stat(tmp_path, "BF16", bf16.view("<u2")).grid is None
    narrow = (values * 50).astype(ml_dtypes.float8_e4m3fn).astype(ml_dtypes.bfloat16)
    assert _stat(tmp_path, "BF16", narrow.view("<u2")).grid == "8-bit float"
    steps = (random.integers(-127, 128, 8192) * 0.0037).astype(ml_dtypes.bfloat16)
    found = _stat(tmp_path, "BF16", steps.view("<u2")).grid
    assert found is not None
    assert found.endswith(" values")


def test_few_values_are_given_no_class_since_chance_moves_them_past_the_limits(tmp_path: Path) -> None:
    values = 10 ** np.random.default_rng(0).uniform(-4, 0, 1000)
    assert _digits(tmp_path / "enough", {"w": values.astype("<f4")}).conformity is not None
    row = _digits(tmp_path / "few", {"w": values[:999].astype("<f4")})
    assert (row.mae is not None, row.conformity) == (True, None)
    assert "fewer than 1,000 values" in row.why["conformity"]
