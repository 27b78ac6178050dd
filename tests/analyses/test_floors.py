from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kaibo.chapters.corrupt.floors import entropies_without, entropy, orderings

COUNTS = st.lists(st.integers(1, 50), min_size=2, max_size=12).map(np.array)


@given(COUNTS, st.integers(0, 2**32 - 1))
def test_no_predictor_expects_less_than_the_entropy_and_the_one_that_knows_expects_it(
    counts: np.ndarray, seed: int
) -> None:
    truth = counts / counts.sum()
    other = np.random.default_rng(seed).dirichlet(np.ones(len(counts)))
    assert -(truth * np.log(truth)).sum() == pytest.approx(entropy(counts))
    assert -(truth * np.log(other)).sum() >= entropy(counts) - 1e-9


@given(st.integers(1, 10**6))
def test_a_uniform_draw_costs_the_logarithm_of_the_vocabulary(size: int) -> None:
    assert entropy(np.array([1] * min(size, 1000))) == pytest.approx(math.log(min(size, 1000)))


@given(COUNTS, st.data())
def test_a_draw_that_spares_one_unit_has_the_entropy_of_the_others(counts: np.ndarray, data: st.DataObject) -> None:
    at = data.draw(st.integers(0, len(counts) - 1))
    others = np.delete(counts, at)
    assert entropies_without(counts, counts[[at]])[0] == pytest.approx(entropy(others), abs=1e-9)


@given(st.integers(2, 10**5))
def test_a_uniform_draw_that_differs_costs_the_logarithm_of_one_less(size: int) -> None:
    assert entropies_without(np.ones(size, np.int64), np.array([1]))[0] == pytest.approx(math.log(size - 1), abs=1e-9)


@given(st.lists(st.integers(0, 4), min_size=1, max_size=9))
def test_whoever_knows_what_is_left_pays_the_number_of_orders_and_no_order_is_cheaper(codes: list[int]) -> None:
    """The best predictor of a shuffle: each unit by its share of those that are left."""
    left = np.bincount(codes).astype(float)
    paid = 0.0
    for code in codes:
        paid -= math.log(left[code] / left.sum())
        left[code] -= 1
    assert paid == pytest.approx(orderings(np.array(codes)), abs=1e-9)


def test_orders_of_few_units_are_counted_as_they_are_listed() -> None:
    from itertools import permutations

    codes = [1, 1, 2, 3, 3]
    assert math.exp(orderings(np.array(codes))) == pytest.approx(len(set(permutations(codes))))
    assert orderings(np.array([], np.int64)) == 0
