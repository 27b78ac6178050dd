"""An interval never reaches where its statistic cannot be, and covers as often as it says."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import stdtrit

from kaibo.uncertainty.intervals import bounded, mean_interval, newcombe, ratio_interval, student, wilson, worth

values = st.floats(0, 1, allow_nan=False)


@given(st.floats(0, 1e6), st.floats(0, 1e9))
def test_what_is_never_negative_has_no_negative_end(mean: float, reach: float) -> None:
    low, high = bounded(np.array(mean), np.array(reach))
    assert 0 <= low <= mean <= high


@given(st.floats(-1, 1), st.floats(0, 1e9))
def test_what_lies_between_bounds_stays_between_them(mean: float, reach: float) -> None:
    low, high = bounded(np.array(mean), np.array(reach), -1.0, 1.0)
    assert -1 <= low <= mean + 1e-12
    assert mean - 1e-12 <= high <= 1


@given(values, values, st.integers(1, 10_000))
def test_a_difference_of_shares_lies_between_its_bounds(first: float, second: float, count: int) -> None:
    low, high = newcombe(first, second, count)
    assert -1 <= low <= first - second + 1e-12
    assert first - second - 1e-12 <= high <= 1
    back = newcombe(second, first, count)
    assert back == pytest.approx((-high, -low))


def test_a_small_error_gives_the_usual_interval() -> None:
    for least, most in ((0.0, math.inf), (0.0, 1.0), (-1.0, 1.0)):
        low, high = bounded(np.array(0.4), np.array(1e-4), least, most)
        assert (float(low), float(high)) == pytest.approx((0.4 - 1e-4, 0.4 + 1e-4), abs=1e-6)


def test_a_difference_of_shares_is_newcombes_own_example() -> None:
    """Table II of Newcombe 1998, method 10, for two groups of one size: 9/10 − 3/10."""
    assert [round(end, 4) for end in newcombe(0.9, 0.3, 10)] == [0.1705, 0.8090]


def test_a_few_surprising_tokens_give_no_perplexity_below_one() -> None:
    rng = np.random.default_rng(0)
    nats = rng.exponential(1.0, 7) * (rng.random(7) < 0.3)
    sizes = np.full((7, 2), 7.0)
    ends = ratio_interval(nats, sizes, 0)
    assert ends is not None
    assert 0 < ends[0] < nats.sum() / 49 < ends[1]
    differences = ratio_interval(nats - nats.mean(), sizes, 0, signed=True)
    assert differences is not None
    assert differences[0] < 0 < differences[1]


@pytest.mark.parametrize("blocks", [7, 30])
def test_the_interval_of_a_mean_of_nats_covers(blocks: int) -> None:
    """Exponential sums over blocks, whose mean is 1: between 90 and 98 % of 95 % intervals hold it."""
    rng = np.random.default_rng(1)
    draws = rng.exponential(1.0, (4000, blocks, 7)).mean(axis=2)
    reach = student(blocks - 1) * draws.std(axis=1, ddof=1) / math.sqrt(blocks)
    low, high = bounded(draws.mean(axis=1), reach)
    assert 0.90 < ((low <= 1) & (high >= 1)).mean() < 0.98


def test_the_interval_of_a_mean_of_shares_covers() -> None:
    rng = np.random.default_rng(2)
    for a, b in ((2.0, 2.0), (0.5, 4.0)):
        draws = rng.beta(a, b, (4000, 25))
        reach = student(24) * draws.std(axis=1, ddof=1) / 5
        low, high = bounded(draws.mean(axis=1), reach, 0.0, 1.0)
        assert 0.90 < ((low <= a / (a + b)) & (high >= a / (a + b))).mean() < 0.98


def test_newcombes_interval_covers_near_none_and_all() -> None:
    rng = np.random.default_rng(3)
    for one, other in ((0.02, 0.05), (0.95, 0.5), (1.0, 0.97)):
        counts = rng.binomial(30, [[one], [other]], (2, 3000)) / 30
        ends = [newcombe(float(a), float(b), 30) for a, b in counts.T]
        assert np.mean([low <= one - other <= high for low, high in ends]) > 0.92


def test_a_share_is_worth_what_its_error_says_and_no_more_than_was_counted() -> None:
    assert worth(0.5, math.sqrt(0.25 / 40), 1000) == pytest.approx(40)
    assert worth(0.5, 1e-9, 1000) == 1000
    assert worth(0.0, 0.0, 10) == 10
    assert wilson(0.0, worth(0.0, 0.0, 10))[1] > 0.2


def test_one_value_alone_has_no_interval_on_any_scale() -> None:
    found = mean_interval([0.5]).within(0.0, 1.0)
    assert math.isnan(found.low)
    assert math.isnan(found.high)


@given(st.integers(1, 400), st.floats(0.01, 0.9999))
def test_students_points_are_those_of_scipy(freedom: int, level: float) -> None:
    assert student(freedom, level) == pytest.approx(stdtrit(freedom, (1 + level) / 2), rel=1e-10)


def test_without_a_degree_of_freedom_there_is_no_point() -> None:
    assert math.isnan(student(0))
