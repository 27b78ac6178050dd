"""The rules of the audit: what they find, and how often they cry wolf."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kaibo.chapters.series.rules import between, exponents, gaps, jumps, out_of_order, scaling


def rates(kind: str, count: int) -> np.ndarray:
    """Mean learning rate between checkpoints of a schedule, per step."""
    time = np.linspace(0, 1, 50 * count)
    warm = np.minimum(1, time / 0.05)
    decay = {"constant": 1.0, "cosine": 0.5 * (1 + np.cos(np.pi * time)), "plateau": np.minimum(1, (1 - time) / 0.2)}
    return (
        np.asarray((warm * decay[kind] + 1e-9).reshape(count, 50).mean(axis=1))
        if kind != "constant"
        else np.ones(count)
    )


@pytest.mark.parametrize("kind", ["constant", "cosine", "plateau"])
@pytest.mark.parametrize("count", [7, 20, 50])
def test_clean_runs_have_jumps_in_a_few_of_a_hundred_at_most(kind: str, count: int) -> None:
    random = np.random.default_rng(count)
    clean = np.log(rates(kind, count))
    false = sum(bool(jumps(list(clean + 0.15 * random.normal(size=count)))[0]) for _ in range(150))
    assert false <= 9


@pytest.mark.parametrize("kind", ["constant", "cosine"])
def test_a_fourfold_distance_is_found_where_it_is(kind: str) -> None:
    random = np.random.default_rng(0)
    found = 0
    for _ in range(100):
        logs = np.log(rates(kind, 20)) + 0.05 * random.normal(size=20)
        place = int(random.integers(2, 17))
        logs[place] += math.log(4) * random.choice([-1, 1])
        found += [jump.at for jump in jumps(list(logs))[0]] == [place]
    assert found >= 90


@given(st.lists(st.floats(-3, 3), min_size=7, max_size=7), st.floats(-50, 50))
def test_jumps_do_not_depend_on_the_unit_of_length(logs: list[float], shift: float) -> None:
    before, after = (
        [jump.at for jump in jumps([value + more for value in np.round(logs, 1)])[0]] for more in (0.0, round(shift))
    )
    assert before == after


def test_too_few_distances_and_unknown_ones_are_not_judged() -> None:
    assert jumps([0.0, 9.0, 0.0, 0.0, 0.0]) == ([], 0.0)
    found, _ = jumps([0.0, None, 0.1, 0.0, 3.0, 0.1, None, 0.0, 0.0])
    assert [jump.at for jump in found] == [4]


@pytest.mark.parametrize(
    ("steps", "missing"),
    [
        (range(0, 1000, 100), []),
        ([0, 100, 200, 400, 500, 600], [300]),
        ([0, 100, 200, 300, 600], [400, 500]),
        ([0, 100, 300, 400, 600, 700, 800], [200, 500]),
        ([1, 2, 4, 16, 32, 64], [8]),
        ([0, 1, 2, 4, 8, 16, 32, 64, 128, 256, 512, *range(1000, 9000, 1000)], []),
        ([0, 1, 2, 4, 8, 16, 32, 64, 256, 512, *range(1000, 5000, 1000), 6000, 7000], [128, 5000]),
        ([100, 200, 300, 345], []),
        ([100, 200, 300, 750, 850, 950], [400, 500, 600, 700]),
        ([100, 200, 300, 345, 600, 700, 800], [400, 500]),
        ([9000, 18000, 27000, 65000, 74000, 83000], [36000, 45000, 54000, 63000]),
        ([98, 196, 295, 393, 491, 590], []),
        ([1, 2, 4, 8, 44, 88, 176], [16, 32]),
        ([5, 9, 100], []),
        ([7], []),
    ],
)
def test_missing_steps_are_those_that_the_spacing_of_the_others_expects(steps: object, missing: list[int]) -> None:
    assert [step for gap in gaps(list(steps)) for step in gap.missing] == missing  # type: ignore[call-overload]


@pytest.mark.parametrize("offset", [0, 1, 37, 50, 99])
@pytest.mark.parametrize("left_out", [1, 2, 20])
def test_a_gap_is_found_wherever_the_run_was_taken_up_again(offset: int, left_out: int) -> None:
    before = [100 * k for k in range(1, 7)]
    again = before[-1] + 100 * (left_out + 1) + offset
    (gap,) = gaps([*before, *range(again, again + 600, 100)])
    assert (gap.after, gap.before) == (600, again)
    assert len(gap.missing) == left_out + (offset > 0)
    assert gap.times == pytest.approx(left_out + 1 + offset / 100)


def test_a_gap_of_any_size_takes_no_memory() -> None:
    (gap,) = gaps([1, 2, 3, 10**17, 10**17 + 1])
    assert len(gap.missing) == 10**17 - 4


def walk(seed: int, count: int, drift: float) -> np.ndarray:
    random = np.random.default_rng(seed)
    return np.cumsum(random.normal(size=(count, 400)) + drift * random.normal(size=400), axis=0)


def distances(points: np.ndarray) -> dict[tuple[int, int], float]:
    return {
        (i, j): float(np.linalg.norm(points[j] - points[i]))
        for i in range(len(points))
        for j in range(i + 1, min(i + 3, len(points)))
    }


@pytest.mark.parametrize("drift", [0.0, 0.5, 3.0])
@pytest.mark.parametrize("at", [None, 0, 3, 8])
def test_two_checkpoints_that_changed_places_are_found_and_no_others(drift: float, at: int | None) -> None:
    points = walk(1, 10, drift)
    if at is not None:
        points[[at, at + 1]] = points[[at + 1, at]]
    assert out_of_order(10, distances(points)) == ([] if at is None else [at])


def test_checkpoints_that_shake_around_a_minimum_are_in_no_order_and_not_called_wrong() -> None:
    wrong = [out_of_order(12, distances(np.random.default_rng(seed).normal(size=(12, 400)))) for seed in range(30)]
    assert wrong == [[]] * 30


@pytest.mark.parametrize(("drift", "exponent"), [(0.0, 0.5), (50.0, 1.0)])
def test_the_exponent_tells_a_random_walk_from_a_straight_line(drift: float, exponent: float) -> None:
    steps = np.array([0, 1, 2, 4, 8, 16, 24, 32])
    points = walk(0, 33, drift)[steps]
    assert scaling(exponents(list(steps), distances(points))) == pytest.approx(exponent, abs=0.05)
    assert scaling(exponents([0, 1], {})) == 0.5


@given(st.floats(0.05, 0.99), st.integers(1, 1000), st.integers(1, 1000))
def test_an_exponent_is_found_again_from_the_distances_that_follow_it(power: float, first: int, second: int) -> None:
    lengths = {(0, 1): first**power, (1, 2): second**power, (0, 2): (first + second) ** power}
    _, found, _ = exponents([0, first, first + second], lengths)
    assert found == pytest.approx(power, abs=1e-6)
    assert between([None, found, None]) == pytest.approx([power, power], abs=1e-6)
