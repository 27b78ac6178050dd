"""The laws of the census: exact digits, exact sums, and parts that add up to the whole."""

from __future__ import annotations

import dataclasses
import itertools
import math
from decimal import Decimal
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from kaibo.counting import Workspace, count_span
from kaibo.counting.counting import merged
from kaibo.testing.arrays import array_tensor
from kaibo.vocabulary import DTYPES, Census, points, sums, total, widen

FLOATS = [name for name, dtype in DTYPES.items() if dtype.measurable]
WORKSPACE = Workspace()


def census_of(dtype: str, patterns: np.ndarray) -> Census:
    tensor = array_tensor(dtype, patterns)
    census = count_span(tensor, 0, tensor.size, WORKSPACE).census
    assert census is not None
    return census


def patterns_of(dtype: str) -> st.SearchStrategy[np.ndarray]:
    kind = DTYPES[dtype].patterns
    anything = st.integers(0, 2 ** (8 * kind.itemsize) - 1)
    near_special = st.sampled_from([0, 1, 2 ** (8 * kind.itemsize - 1)])
    exponent_edge = {2: 0x7F80, 4: 0x7F800000, 8: 0x7FF0000000000000, 1: 0x7C}[kind.itemsize]
    edges = st.integers(-3, 3).map(lambda step: exponent_edge + step)
    return hnp.arrays(kind, st.integers(0, 60), elements=anything | near_special | edges)


def first_digit(value: float) -> int:
    return Decimal(value).copy_abs().as_tuple().digits[0]


@pytest.mark.parametrize("dtype", FLOATS)
def test_every_value_is_counted_with_its_exact_decimal_first_digit(dtype: str) -> None:
    @settings(max_examples=60, deadline=None)
    @given(patterns_of(dtype))
    def holds(patterns: np.ndarray) -> None:
        values = widen(dtype, patterns)
        rounded = narrowed(values) if dtype == "F64" else values
        finite = rounded[np.isfinite(rounded)]
        census = census_of(dtype, patterns)
        found = points(census)
        counts = [int(found.counts[found.digit == digit].sum()) for digit in range(10)]
        expected = [0] * 10
        for value in finite:
            expected[first_digit(value) if value else 0] += 1
        assert counts == expected
        assert census.n == patterns.size
        assert census.nonfinite == patterns.size - finite.size

    holds()


def narrowed(values: np.ndarray) -> np.ndarray:
    with np.errstate(over="ignore", invalid="ignore"):
        return values.astype(np.float32).astype(np.float64)


@settings(max_examples=100, deadline=None)
@given(patterns_of("F64"))
def test_digits_of_64_bit_floats_are_those_before_rounding(patterns: np.ndarray) -> None:
    values = patterns.view("<f8")
    expected = [0] * 11
    for value in values:
        expected[10 if not math.isfinite(value) else first_digit(value) if value else 0] += 1
    assert list(census_of("F64", patterns).digits64) == expected


@pytest.mark.parametrize("dtype", FLOATS)
def test_sums_are_the_exact_sums_rounded_once(dtype: str) -> None:
    @settings(max_examples=60, deadline=None)
    @given(patterns_of(dtype))
    def holds(patterns: np.ndarray) -> None:
        values = widen(dtype, patterns)
        values = narrowed(values) if dtype == "F64" else values
        exact = [Fraction(float(value)) for value in values[np.isfinite(values)]]
        found = sums([census_of(dtype, patterns)])
        assert found.signed == rounded(sum(exact, Fraction(0)))
        assert found.absolute == rounded(sum(map(abs, exact), Fraction(0)))
        assert found.square == rounded(sum((value**2 for value in exact), Fraction(0)))

    holds()


def rounded(exact: Fraction) -> float:
    return exact.numerator / exact.denominator


@pytest.mark.parametrize("dtype", FLOATS)
def test_parts_add_up_to_the_whole_to_the_last_bit(dtype: str) -> None:
    @settings(max_examples=40, deadline=None)
    @given(patterns_of(dtype), st.lists(st.integers(0, 60), max_size=4), st.randoms())
    def holds(patterns: np.ndarray, cuts: list[int], random: object) -> None:
        edges = [0, *sorted(min(cut, patterns.size) for cut in cuts), patterns.size]
        parts = [census_of(dtype, patterns[a:b]) for a, b in itertools.pairwise(edges)]
        random.shuffle(parts)  # type: ignore[attr-defined]
        whole = census_of(dtype, patterns)
        assert total([Census.empty(dtype), *parts]) == total([Census.empty(dtype), whole])
        nested = Census.empty(dtype)
        for part in parts:
            nested = nested + part
        assert nested == total([Census.empty(dtype), whole])

    holds()


@pytest.mark.parametrize("dtype", FLOATS)
def test_extremes_are_the_exact_extremes_of_the_finite_values(dtype: str) -> None:
    @settings(max_examples=40, deadline=None)
    @given(patterns_of(dtype))
    def holds(patterns: np.ndarray) -> None:
        values = widen(dtype, patterns)
        finite = values[np.isfinite(values)]
        census = census_of(dtype, patterns)
        assert census.minimum == (finite.min() if finite.size else None)
        assert census.maximum == (finite.max() if finite.size else None)

    holds()


@pytest.mark.parametrize("dtype", ["BF16", "F16"])
def test_all_65536_patterns_have_the_exact_decimal_first_digit(dtype: str) -> None:
    patterns = np.arange(1 << 16, dtype=np.uint16)
    found = points(census_of(dtype, patterns))
    assert found.counts.sum() == np.isfinite(widen(dtype, patterns)).sum()
    assert set(found.counts.tolist()) == {1}
    for value, digit in zip(found.low, found.digit, strict=True):
        assert digit == (first_digit(value) if value else 0)


def test_sums_of_squares_past_64_bits_carry_into_the_second_word() -> None:
    one = census_of("F32", np.full(3, 0x3F80FFFF, np.uint32))
    many = dataclasses.replace(one, counts=one.counts * 2**30, lo=one.lo * 2**30, lo2=one.lo2 * np.uint64(2**30))
    both = total([many] * 16)
    value = Fraction(float(np.uint32(0x3F80FFFF).view(np.float32)))
    assert both.lo2[0, 0] > 0
    assert sums([both]).square == rounded(16 * 3 * 2**30 * value**2)


def test_a_tensor_longer_than_a_chunk_is_counted_whole() -> None:
    patterns = np.random.default_rng(0).integers(0, 2**16, 3_000_001, dtype=np.uint16)
    census = census_of("BF16", patterns)
    keys, counts = np.unique(patterns, return_counts=True)
    assert np.array_equal(census.keys, keys)
    assert np.array_equal(census.counts, counts)


def test_an_odd_number_of_8_bit_values_is_counted_to_the_last() -> None:
    patterns = np.random.default_rng(0).integers(0, 256, (1 << 20) + 1, dtype=np.uint8)
    assert np.array_equal(census_of("F8_E4M3", patterns).counts, np.bincount(patterns, minlength=256))


def test_merging_nothing_but_empty_spans_gives_the_empty_census() -> None:
    tensor = array_tensor("F32", np.zeros((0, 4), np.uint32))
    census, digests = merged([count_span(tensor, 0, 0, WORKSPACE)])
    assert census == Census.empty("F32")
    assert digests == ()
