"""Spectra: what must hold of singular values, and numpy's own, for every way they are computed."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kaibo.spectra import exact, matrices_of, randomised, spectrum_of
from kaibo.spectra.matrices import Matrix
from kaibo.testing.arrays import array_tensor
from kaibo.testing.models import encode
from kaibo.vocabulary import Spectrum, values_of

sizes = st.integers(1, 40)


def matrix(values: np.ndarray, dtype: str = "F64") -> Matrix:
    (found,), _ = matrices_of(array_tensor(dtype, values.astype(f"<f{4 if dtype == 'F32' else 8}").view(np.uint8).view(
        "<u4" if dtype == "F32" else "<u8").reshape(values.shape)))  # fmt: skip
    return found


def spectrum(values: np.ndarray, dtype: str = "F64") -> Spectrum:
    return spectrum_of(matrix(values, dtype))


def drawn(seed: int, rows: int, columns: int) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(rows, columns))


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10**6), sizes, sizes)
def test_singular_values_are_those_of_numpy_within_the_stated_error(seed: int, rows: int, columns: int) -> None:
    values = drawn(seed, rows, columns)
    found = spectrum(values)
    assert found.complete
    assert found.values.size == found.whole == min(rows, columns)
    assert np.all(np.diff(found.values) <= 0)
    assert np.abs(found.values - np.linalg.svd(values, compute_uv=False)).max() <= 4 * found.error  # two computations
    assert found.error <= 1e-13 * found.values[0]
    assert found.square == pytest.approx((values**2).sum(), rel=1e-13)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10**6), sizes, sizes, st.sampled_from([1e-200, -3.0, 7e150]))
def test_scaling_transposing_and_turning(seed: int, rows: int, columns: int, factor: float) -> None:
    values = drawn(seed, rows, columns)
    plain, top = spectrum(values).values, spectrum(values).values[0]
    assert spectrum(values.T.copy()).values == pytest.approx(plain, abs=1e-13 * top)
    assert spectrum(values * factor).values / abs(factor) == pytest.approx(plain, abs=1e-13 * top)
    turn = np.linalg.qr(drawn(seed + 1, rows, rows))[0]
    assert spectrum(turn @ values).values == pytest.approx(plain, abs=1e-13 * top)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10**6), st.integers(1, 8), st.integers(1, 8))
def test_the_rank_of_a_sum_is_at_most_the_sum_of_ranks(seed: int, one: int, other: int) -> None:
    first, second = (drawn(seed + k, 30, rank) @ drawn(seed + k + 1, rank, 24) for k, rank in ((0, one), (5, other)))

    def rank(values: np.ndarray) -> int:
        found = spectrum(values)
        return int((found.values > 10 * found.error).sum())

    assert rank(first) == one
    assert rank(first + second) <= one + other


@pytest.mark.parametrize("whole", [1 << 26, 64])
def test_a_tall_matrix_has_the_same_values_through_its_triangle(whole: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exact, "WHOLE", whole)
    monkeypatch.setattr("kaibo.spectra.matrices.BLOCK", 100)
    values = drawn(0, 517, 24)
    assert spectrum(values).values == pytest.approx(np.linalg.svd(values, compute_uv=False), rel=1e-12)


def test_float32_stays_within_its_stated_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exact, "DOUBLE", 8)
    values = drawn(3, 300, 200).astype(np.float32)
    found = spectrum(values, "F32")
    assert np.abs(found.values - np.linalg.svd(values.astype(float), compute_uv=False)).max() <= found.error
    assert 1e-7 < found.error / found.values[0] < 1e-5


@pytest.mark.parametrize("decay", [0.0, 0.5, 1.5])
@pytest.mark.parametrize("shape", [(90, 60), (50, 110)])
def test_the_bracket_of_the_randomised_values_holds(decay: float, shape: tuple[int, int]) -> None:
    left, right = (np.linalg.qr(drawn(side, side, min(shape)))[0] for side in shape)
    true = np.arange(1, min(shape) + 1.0) ** -decay
    values = ((left * true) @ right.T).astype(np.float32)
    true = np.linalg.svd(values.astype(float), compute_uv=False)
    leading = randomised.leading_values(matrix(values, "F32"), float((true**2).sum()), 1.0, rank=12)
    found, error = leading.values, leading.error
    assert np.abs(true - found[0]).min() <= leading.residual
    rounding = 1e-5 * true[0]
    assert np.all(found <= true[:12] + rounding)
    assert np.all(true[:12] <= np.sqrt(found**2 + error**2) + rounding)
    assert found[0] == pytest.approx(true[0], rel=0.05)
    again = randomised.leading_values(matrix(values, "F32"), float((true**2).sum()), 1.0, rank=12)
    assert np.array_equal(found, again.values), "seeded"


def test_a_low_rank_matrix_is_found_whole_by_the_randomised_way() -> None:
    values = (drawn(0, 200, 7) @ drawn(1, 7, 300)).astype(np.float32)
    true = np.linalg.svd(values.astype(float), compute_uv=False)
    found = randomised.leading_values(matrix(values, "F32"), float((true**2).sum()), 10.0, rank=12)
    assert found.values == pytest.approx(true[:12], abs=1e-5 * true[0])
    assert found.error < 1e-3 * true[0]
    assert found.residual < 1e-4 * true[0]


def test_beyond_the_limit_the_randomised_way_is_taken_with_its_bracket(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exact, "LARGEST", 32)
    monkeypatch.setattr("kaibo.spectra.randomised.RANK", 10)
    values = drawn(0, 64, 48)
    found = spectrum(values)
    assert (found.method, found.complete) == ("randomised", False)
    assert found.square == pytest.approx((values**2).sum())


def test_blocks_of_any_size_read_the_same_matrix(monkeypatch: pytest.MonkeyPatch) -> None:
    patterns = encode("BF16", drawn(0, 37, 11).astype(np.float32)).reshape(37, 11)
    (one,), _ = matrices_of(array_tensor("BF16", patterns))
    for rows in (1, 5, 37, 100):
        assert np.array_equal(np.concatenate(list(one.blocks(rows))), values_of("BF16")[patterns])


def test_a_stack_of_experts_is_a_matrix_each() -> None:
    values = drawn(0, 12, 5).reshape(3, 4, 5)
    found, _ = matrices_of(array_tensor("F64", values.view("<u8")))
    assert [one.part for one in found] == [0, 1, 2]
    for one, part in zip(found, values, strict=True):
        assert spectrum_of(one).values == pytest.approx(np.linalg.svd(part, compute_uv=False))


@pytest.mark.parametrize(("shape", "why"), [((7,), "a vector"), ((2, 2, 2, 2), "4 dimensions"), ((0, 3), "no values")])
def test_what_is_no_matrix_says_why(shape: tuple[int, ...], why: str) -> None:
    found, reason = matrices_of(array_tensor("F32", np.zeros(shape, "<u4")))
    assert found == ()
    assert reason.startswith(why)


def test_zeros_have_zeros_and_broken_matrices_are_counted_not_decomposed() -> None:
    assert spectrum(np.zeros((3, 5))).values.tolist() == [0, 0, 0]
    broken = np.ones((4, 4))
    broken[1, 2], broken[3, 3] = np.nan, np.inf
    found = spectrum(broken)
    assert (found.method, found.nonfinite, found.values.size, found.square) == ("none", 2, 0, 14.0)
