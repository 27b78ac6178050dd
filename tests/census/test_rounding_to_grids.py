from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kaibo.counting.rounding import nearest, rounding, rounding_total, whole_rows

ml_dtypes = pytest.importorskip("ml_dtypes")

finite = st.floats(-1e30, 1e30, allow_nan=False)


@settings(deadline=None)
@given(st.lists(finite, min_size=1, max_size=30))
def test_bf16_is_the_nearest_there_is_and_ties_go_to_the_even_one(values: list[float]) -> None:
    found = nearest("bf16", np.array(values), len(values))
    for value, rounded in zip(values, found, strict=True):
        pattern = int(np.float32(rounded).view(np.uint32)) >> 16
        for other in (pattern - 1, pattern + 1):
            neighbour = np.array([other & 0xFFFF], np.uint16).view(ml_dtypes.bfloat16).astype(np.float64)[0]
            if not math.isfinite(neighbour):
                continue
            ours, theirs = (abs(Fraction(value) - Fraction(float(one))) for one in (rounded, neighbour))
            assert ours < theirs or (ours == theirs and pattern % 2 == 0) or rounded == neighbour


def test_a_value_just_beside_a_tie_is_not_rounded_twice() -> None:
    """By way of float32 both would be taken for the tie 1 + 2⁻⁸ and rounded to 1."""
    tie = 1 + 2.0**-8
    assert nearest("bf16", np.array([tie, tie + 2.0**-40, -tie - 2.0**-40]), 3).tolist() == [1.0, 1.0078125, -1.0078125]
    assert nearest("bf16", np.array([tie + 2.0**-7, tie + 2.0**-7 - 2.0**-40]), 2).tolist() == [1.015625, 1.0078125]


@settings(deadline=None)
@given(st.lists(st.floats(-7e4, 7e4), min_size=1, max_size=30))
def test_f16_is_what_numpy_rounds_from_64_bits(values: list[float]) -> None:
    with np.errstate(over="ignore"):
        expected = np.array(values).astype(np.float16).astype(np.float64)
    assert np.array_equal(nearest("f16", np.array(values), len(values)), expected)


@pytest.mark.parametrize("shape", [(8, 64), (1, 480), (1, 50), (7, 4096)])
@pytest.mark.parametrize("scale", [1e-30, 0.02, 1e4])
def test_nf4_is_what_bitsandbytes_quantises_and_back_again(shape: tuple[int, int], scale: float) -> None:
    import torch
    from bitsandbytes.functional import dequantize_4bit, quantize_4bit

    values = (np.random.default_rng(0).standard_t(3, size=shape) * scale).astype(np.float32)
    values[0, :64] = 0
    packed, state = quantize_4bit(torch.from_numpy(values), blocksize=64, quant_type="nf4")
    expected = dequantize_4bit(packed, state).numpy()
    found = nearest("nf4", values.reshape(-1).astype(np.float64), shape[1]).reshape(shape)
    np.testing.assert_array_equal(found.astype(np.float32), expected)


@pytest.mark.parametrize("scale", [1e-30, 0.02, 1e4])
def test_int8_is_what_bitsandbytes_quantises_by_rows_and_back_again(scale: float) -> None:
    import torch
    from bitsandbytes.functional import int8_vectorwise_dequant, int8_vectorwise_quant

    values = (np.random.default_rng(1).standard_t(3, size=(9, 70)) * scale).astype(np.float32)
    codes, rows, _ = int8_vectorwise_quant(torch.from_numpy(values))
    expected = int8_vectorwise_dequant(codes, rows).numpy()
    found = nearest("int8", values.reshape(-1).astype(np.float64), 70).reshape(9, 70)
    np.testing.assert_allclose(found, expected, rtol=2e-7)


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 40), st.integers(1, 90), st.sampled_from(["bf16", "f16", "nf4", "int8"]), st.integers(0, 2**32))
def test_whole_rows_taken_together_or_apart_are_rounded_alike(rows: int, columns: int, grid: str, seed: int) -> None:
    random = np.random.default_rng(seed)
    weights, change = random.normal(size=rows * columns), random.normal(size=rows * columns).astype(np.float32) * 0.01
    step = whole_rows(columns, 1)
    parts = [
        rounding(grid, weights[at : at + step], change[at : at + step], columns) for at in range(0, weights.size, step)
    ]
    whole, together = rounding(grid, weights, change, columns), rounding_total(parts)
    assert (whole.n, whole.moved, whole.deleted) == (together.n, together.moved, together.deleted)
    for name in ("delta", "delta_square", "error_square", "base", "base_square"):
        assert math.isclose(getattr(whole, name), getattr(together, name), rel_tol=1e-12)


@pytest.mark.parametrize("grid", ["bf16", "f16", "nf4", "int8"])
def test_the_sums_are_those_of_the_definitions(grid: str) -> None:
    random = np.random.default_rng(2)
    weights = random.normal(size=640).astype(ml_dtypes.bfloat16).astype(np.float64)
    change = np.where(random.random(640) < 0.5, random.normal(size=640) * 1e-3, 0).astype(np.float32)
    stored, before = nearest(grid, weights + change, 64), nearest(grid, weights, 64)
    found = rounding(grid, weights, change, 64)
    assert (found.n, found.moved) == (640, np.count_nonzero(change))
    assert found.deleted == sum(bool(c) and s == b for c, s, b in zip(change, stored, before, strict=True))
    assert math.isclose(found.error_square, math.fsum((stored - weights - change) ** 2), rel_tol=1e-12)
    assert math.isclose(found.base, math.fsum(np.abs(before - weights)), rel_tol=1e-12, abs_tol=0)
    assert (found.base == 0) == (grid in ("bf16", "f16"))  # normal values of bf16 are values of f16, too


def test_what_is_not_finite_is_left_out() -> None:
    found = rounding("f16", np.array([1.0, np.nan, 65504.0, 1e6]), np.array([0.5, 1, 1e5, 0], np.float32), 4)
    assert (found.n, found.moved, found.deleted) == (1, 1, 0)


def test_a_dense_update_of_an_8b_model_stored_in_bf16_changes_three_entries_in_ten() -> None:
    """An 8B model has Gaussian weights of σ ≈ 0.018 and 8.03e9 entries; an update of L2 2.24 has 2.5e-5 an entry."""
    random = np.random.default_rng(8)
    weights = random.normal(0, 0.018, 1 << 20).astype(ml_dtypes.bfloat16).astype(np.float64)
    change = random.normal(0, 2.24 / math.sqrt(8.03e9), 1 << 20).astype(np.float32)
    found = rounding("bf16", weights, change, 1024)
    assert 1 - found.deleted / found.moved == pytest.approx(0.30, abs=0.01)
    assert math.sqrt(found.error_square / found.delta_square) == pytest.approx(0.73, abs=0.01)
