"""What stands beside a mean holds what it promises on simulated data."""

import numpy as np
import pytest

from kaibo.uncertainty.intervals import block_mean, mean_interval
from kaibo.uncertainty.resampling import clustered_interval, expanded, family_weights, interval, row_weights


def covered(trials, truth, one):
    """In how many of the trials an interval holds the truth."""
    held = [low <= truth <= high for low, high in (one(trial) for trial in range(trials))]
    return float(np.mean(held))


def test_draws_hold_as_many_rows_as_there_are():
    rng = np.random.default_rng(0)
    assert (row_weights(7, 50, rng).sum(axis=1) == 7).all()
    families = ["a", "a", "b", "c"]
    drawn = family_weights(families, 50, rng)
    assert (drawn[:, 0] == drawn[:, 1]).all()
    assert (drawn[:, [0, 2, 3]].sum(axis=1) == 3).all()


@pytest.mark.parametrize("count", [8, 20])
def test_expanded_percentiles_cover_a_mean_of_few_rows_and_plain_ones_do_not(count):
    truth = 3.0

    def drawn(trial, level):
        rng = np.random.default_rng(trial)
        values = rng.normal(truth, 1, count)
        low, high = interval(row_weights(count, 400, rng) @ values / count, level)
        return float(low), float(high)

    wide = covered(800, truth, lambda trial: drawn(trial, expanded(count)))
    plain = covered(800, truth, lambda trial: drawn(trial, 0.95))
    assert wide > 0.925
    assert plain < wide


def test_whole_clusters_are_drawn_where_answers_within_them_agree():
    def one(trial, clustered):
        rng = np.random.default_rng(trial)
        passages = np.repeat(np.arange(40), 8)
        values = np.repeat(rng.normal(0, 1, 40), 8) + rng.normal(0, 0.3, 320)
        low, high = clustered_interval(values, passages if clustered else np.arange(320), trial, 400)
        return low, high

    assert covered(300, 0.0, lambda trial: one(trial, True)) > 0.91
    assert covered(300, 0.0, lambda trial: one(trial, False)) < 0.7


def test_one_cluster_says_nothing_about_spread():
    assert clustered_interval(np.ones(4), np.zeros(4, np.intp), 0) == (None, None)


@pytest.mark.parametrize("rho", [0.0, 0.5])
def test_blocks_of_neighbours_keep_the_level_under_mild_autocorrelation(rho):
    def p(trial):
        rng = np.random.default_rng(trial)
        noise = rng.normal(0, 1, 900)
        for at in range(1, 900):
            noise[at] += rho * noise[at - 1]
        return block_mean(noise)[3]

    assert np.mean([p(trial) < 0.05 for trial in range(600)]) < 0.085


def test_students_interval_covers_the_mean_of_three():
    def one(trial):
        found = mean_interval(np.random.default_rng(trial).normal(1.0, 2.0, 3))
        return found.low, found.high

    assert covered(2000, 1.0, one) == pytest.approx(0.95, abs=0.02)
