"""Intervals of a mean and of a share, beside those of scipy and statsmodels, and how often they hold the truth."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kaibo.uncertainty.intervals import mean_interval, wilson


def test_the_interval_of_a_mean_is_scipys() -> None:
    from scipy.stats import ttest_1samp

    values = [1.0, 2.5, 4.0, 8.0]
    found, theirs = mean_interval(values), ttest_1samp(values, 0).confidence_interval(0.95)
    assert (found.low, found.high) == pytest.approx((theirs.low, theirs.high))
    assert math.isnan(mean_interval([1.0]).low)


@settings(deadline=None)  # the first call imports statsmodels
@given(st.integers(1, 60).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_the_interval_of_a_share_is_that_of_statsmodels_and_holds_the_share(counts: tuple[int, int]) -> None:
    proportion = pytest.importorskip("statsmodels.stats.proportion")
    low, high = wilson(counts[0] / counts[1], counts[1])
    assert (low, high) == pytest.approx(proportion.proportion_confint(*counts, method="wilson"), abs=1e-12)
    assert low <= counts[0] / counts[1] <= high


def test_intervals_hold_their_level() -> None:
    random = np.random.default_rng(0)
    means = [mean_interval(random.normal(2, 3, 8)) for _ in range(1000)]
    assert 925 <= sum(found.low <= 2.0 <= found.high for found in means) <= 975
    shares = [wilson(int(hits) / 20, 20) for hits in random.binomial(20, 0.3, 1000)]
    assert 920 <= sum(low <= 0.3 <= high for low, high in shares) <= 985
