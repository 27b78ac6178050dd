"""Scores along training: shapes, what size adds and its null, crossings; each beside numbers made another way."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kaibo.chapters.trajectories.along_training import trajectories
from kaibo.chapters.trajectories.nested import left_out, r_squares
from kaibo.chapters.trends.curves import breakthroughness, exponential_average, linearity
from kaibo.errors import UsageError
from kaibo.vocabulary.scores import ScoreTable

STEPS = 2.0 ** np.arange(1, 13)
SIZES = (1e6, 4e6, 16e6)


def table_of(values, *, stderr=0.01, columns=("task.acc", "text.ppl"), tokens=1e3):
    """Scores of three sizes over twelve steps, sizes first; `values` has a column a score."""
    size, step = (grid.ravel() for grid in np.meshgrid(SIZES, STEPS, indexing="ij"))
    names = tuple(f"m{int(one)}" for one in size)
    facts = {"parameters": size, "step": step, "tokens": step * tokens}
    errors = None if stderr is None else np.broadcast_to(np.asarray(stderr, float), values.shape).copy()
    units = tuple("points" if "ppl" in name else "fraction" for name in columns)
    rows = tuple(f"{name}@{int(at)}" for name, at in zip(names, step, strict=True))
    return ScoreTable("made", rows, columns, values, units, names, facts, {"model": names}, {}, errors)


def surprise():
    size, step = (grid.ravel() for grid in np.meshgrid(SIZES, STEPS, indexing="ij"))
    return 1 + 2 * (size / 1e5) ** -0.2 + 4 * step**-0.4


def made(of_size=0.0, noise=0.01, **more):
    """Accuracy that is a function of perplexity, and of size as much as is said."""
    size = np.repeat(np.log(SIZES), len(STEPS))
    random = np.random.default_rng(3)
    accuracy = 1.5 / surprise() + of_size * (size - size.mean()) + noise * random.normal(size=len(size))
    return table_of(np.column_stack([accuracy, np.exp(surprise())]), **more)


@given(st.lists(st.floats(-1, 1), min_size=3, max_size=9))
def test_shapes_are_bigbenchs_formula(values):
    y = np.array(values)
    steps = np.diff(y)
    most = np.sign(np.argmax(y) - np.argmin(y)) * (y.max() - y.min())
    if most == 0 or np.median(steps**2) < 1e-12:
        return
    assert linearity(y) == pytest.approx(most / np.sqrt(np.mean(steps**2)))
    assert breakthroughness(y) == pytest.approx(most / np.sqrt(np.median(steps**2)))


def test_an_even_climb_is_linear_and_a_jump_breaks_through():
    even, jump = np.arange(9) / 8, np.r_[0.01 * np.arange(8), 1.0]
    assert linearity(even) == breakthroughness(even) == pytest.approx(8)
    assert breakthroughness(jump) > 10 * linearity(jump)
    assert linearity(-even) == pytest.approx(-8)


def test_predictions_of_left_out_sizes_are_those_of_separate_fits():
    random = np.random.default_rng(0)
    design, folds = random.normal(size=(12, 3)), np.repeat([1.0, 2.0, 3.0], 4)
    y = random.normal(size=12)
    predicted = np.empty(12)
    for fold in (1.0, 2.0, 3.0):
        out = folds == fold
        predicted[out] = design[out] @ np.linalg.lstsq(design[~out], y[~out], rcond=None)[0]
    own = 1 - ((y - predicted) ** 2).sum() / ((y - y.mean()) ** 2).sum()
    assert r_squares(y[None], left_out(design, folds))[0] == pytest.approx(own)


def test_size_that_matters_gains_more_than_noise_and_size_that_does_not_gains_no_more():
    plain, sized = (trajectories(made(effect)).rows[0].size_adds for effect in (0.0, 0.08))
    assert plain.gain <= plain.gain_null
    assert plain.gain_p > 0.05
    assert sized.gain > sized.gain_null
    assert sized.gain_p < 0.05


def test_the_null_of_the_gain_is_a_level_where_runs_are_off_as_a_whole():
    """Runs are shifted by their standard errors and nothing else: at most about one in twenty is called."""
    calls = 0
    for seed in range(40):
        off = np.repeat(np.random.default_rng(seed).normal(size=3), len(STEPS)) * 0.02
        values = np.column_stack([1.5 / surprise() + off, np.exp(surprise())])
        calls += trajectories(table_of(values, stderr=0.02)).rows[0].size_adds.gain_p < 0.05
    assert calls <= 6


def test_without_standard_errors_there_is_no_null_and_it_is_said():
    row = trajectories(made(stderr=None)).rows[0]
    assert row.size_adds.gain_null is None
    assert {one.linearity_null for one in row.shapes} == {None}
    assert all(one.why for one in row.shapes)
    assert all(point.low is None for point in row.points)


def test_a_perplexity_is_fitted_and_bounded_on_the_scale_of_nats():
    values = np.exp(surprise())[:, None]
    row = trajectories(table_of(values, stderr=0.1 * values, columns=("text.ppl",))).rows[0]
    point = row.points[0]
    assert (point.low * point.high) == pytest.approx(point.value**2)
    assert point.high / point.value == pytest.approx(np.exp(0.1959964))


def test_options_are_asked_beside_accuracy_and_hold_perplexity_as_what_they_depend_on():
    values = np.column_stack([np.exp(surprise()), 0.8 * np.exp(surprise()), np.exp(surprise())])
    columns = ("task.ppl_wrong", "task.ppl_right", "text.ppl")
    rows = trajectories(table_of(values, columns=columns, stderr=0.05 * values)).rows
    assert [row.benchmark for row in rows] == list(columns)
    assert rows[0].best == rows[1].best == "perplexity"
    assert rows[0].r2_perplexity == pytest.approx(1, abs=1e-6)


def test_where_tokens_are_unknown_nothing_is_said_of_flops():
    row = trajectories(made(tokens=np.nan)).rows[0]
    assert {one.against for one in row.explained} == {"perplexity", "step", "size"}
    assert row.crossings == ()
    assert {one.over for one in row.shapes} == {"size"}


def test_the_smaller_model_leads_at_the_same_compute_where_more_steps_help_it():
    size, step = (grid.ravel() for grid in np.meshgrid(SIZES, STEPS, indexing="ij"))
    values = (0.2 + 0.05 * np.log(step) + 0.004 * np.log(size))[:, None]
    crossings = trajectories(table_of(values, columns=("task.acc",))).rows[0].crossings
    assert [(one.small, one.large) for one in crossings] == [("m1000000", "m4000000"), ("m4000000", "m16000000")]
    assert all(one.still_leads and one.lead_errors > 2 for one in crossings)


def test_smoothing_is_the_exponential_average_of_each_run_by_itself():
    row = trajectories(made(), smooth=0.6).rows[0]
    for name in {point.model for point in row.points}:
        own = [point for point in row.points if point.model == name]
        even = exponential_average(np.array([point.value for point in own]), 0.6)
        assert [point.smoothed for point in own] == pytest.approx(even.tolist())
    rough = next(one for one in trajectories(made(noise=0.05)).rows[0].shapes if one.run == "m1000000")
    smooth = next(one for one in trajectories(made(noise=0.05), smooth=0.8).rows[0].shapes if one.run == "m1000000")
    assert abs(smooth.linearity) > abs(rough.linearity)
    with pytest.raises(UsageError, match="--smooth"):
        trajectories(made(), smooth=1.0)


def test_flat_scores_stay_below_the_null_of_their_shapes():
    random = np.random.default_rng(5)
    below = 0
    for _ in range(40):
        values = (0.25 + 0.03 * random.normal(size=len(SIZES) * len(STEPS)))[:, None]
        shapes = trajectories(table_of(values, stderr=0.03, columns=("task.acc",))).rows[0].shapes
        below += sum(abs(one.linearity) <= one.linearity_null for one in shapes if one.run == "m1000000")
    assert below >= 33


def test_a_lead_of_less_than_two_standard_errors_is_none():
    size, step = (grid.ravel() for grid in np.meshgrid(SIZES, STEPS, indexing="ij"))
    values = (0.2 + 0.05 * np.log(step) + 0.004 * np.log(size))[:, None]
    for stderr, there in ((0.001, True), (0.1, False)):
        crossings = trajectories(table_of(values, columns=("task.acc",), stderr=stderr)).rows[0].crossings
        assert [one.still_leads for one in crossings] == [there, there]
        assert all((one.lead_errors >= 2) == there for one in crossings)
