from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

import kaibo
from kaibo.uncertainty.correlation import association
from kaibo.vocabulary.claims import judge, verdict_on

NUMBERS = st.floats(-1e6, 1e6, allow_nan=False)


def claim(reported: float | bool | tuple[float, float], **given: float | str) -> kaibo.Claim:
    return kaibo.Claim("id", {"en": "text", "ja": "文"}, "source", reported, "outcome", **given)  # type: ignore[arg-type]


@given(NUMBERS, NUMBERS, st.floats(0, 1e3))
def test_on_the_sources_own_data_the_tolerance_decides(reported: float, value: float, slack: float) -> None:
    apart = abs(value - reported)
    assume(value == reported or not math.isclose(apart, slack, rel_tol=1e-6, abs_tol=1e-2))  # rounding decides there
    vague = kaibo.Outcome("outcome", value, value - 1e4, value + 1e4)  # an interval rewards nothing here
    verdict = verdict_on(claim(reported, absolute=slack), vague)[0]
    assert (verdict == "reproduced") == (apart <= slack)


@given(st.floats(0.1, 1e3), st.floats(0, 1), st.floats(0, 1))
def test_on_other_data_the_interval_must_hold_the_number_and_not_its_opposite(
    value: float, below: float, above: float
) -> None:
    low, high = value * (1 - 0.9 * below), value * (1 + above)
    ours = kaibo.Outcome("outcome", value, low, high, own=False)
    assert verdict_on(claim(value), ours)[0] == "reproduced"
    assert verdict_on(claim(high * 1.01 + 0.1), ours)[0] == "differs"
    assert verdict_on(claim(low * 0.99 - 0.1), ours)[0] == "differs"
    vague = kaibo.Outcome("outcome", value, -value, high, own=False)
    assert verdict_on(claim(value), vague)[0] == "cannot tell"
    assert verdict_on(claim(value, alternative=low), ours)[0] == "cannot tell"


def test_a_vague_interval_no_longer_reproduces() -> None:
    """r = 0.6 [-0.90, 0.98] once reproduced a reported -0.17, which lies in it."""
    ours = kaibo.Outcome("outcome", 0.6, -0.90, 0.98, own=False)
    verdict, why = verdict_on(claim(-0.17), ours)
    assert verdict == "cannot tell"
    assert why == "our interval also holds 0, which would say the opposite"


@example([-59605.0, 0.0], 2.0**-24)  # rounding was taken relative to the farther end
@given(st.tuples(NUMBERS, NUMBERS).map(sorted), NUMBERS)
def test_a_reported_interval_is_reproduced_where_our_value_lies_in_it(theirs: list[float], ours: float) -> None:
    verdict = verdict_on(claim((theirs[0], theirs[1])), kaibo.Outcome("outcome", ours))[0]
    near = any(math.isclose(ours, end, rel_tol=1e-9, abs_tol=1e-9) for end in theirs)
    assert near or (verdict == "reproduced") == (theirs[0] <= ours <= theirs[1])


@given(NUMBERS, NUMBERS)
def test_another_scale_reproduces_nothing_and_says_whether_the_direction_is_the_same(one: float, other: float) -> None:
    verdict, why = verdict_on(claim(one), kaibo.Outcome("outcome", other, scale="nursery"))
    same = (one > 0) - (one < 0) == (other > 0) - (other < 0)
    assert verdict == ("direction seen at another scale" if same else "direction not seen at another scale")
    assert ("shows the same direction" in why) == same
    both = kaibo.Outcome("outcome", other, other - 2e6, other + 2e6, scale="nursery")
    assert verdict_on(claim(one), both)[0] == "cannot tell"


def test_what_was_measured_and_holds_both_cannot_tell() -> None:
    (undecided,) = judge([claim(True)], {"outcome": kaibo.Outcome("outcome", None, n=12, why="two runs only")})
    assert (undecided.verdict, undecided.why) == ("cannot tell", {"verdict": "two runs only"})


def correlation(rng: np.random.Generator, n: int, r: float) -> kaibo.Outcome:
    """What n new models say of a correlation that is r."""
    x = rng.normal(size=n)
    y = r * x + math.sqrt(1 - r * r) * rng.normal(size=n)
    found = association(x, y)
    return kaibo.Outcome("outcome", found.r, found.low, found.high, n=n, own=False)


def rates(n: int, r: float, reported: float) -> dict[str, float]:
    """How often each verdict is given over 200 worlds."""
    rng = np.random.default_rng(n)
    verdicts = [verdict_on(claim(reported), correlation(rng, n, r))[0] for _ in range(200)]
    return {verdict: verdicts.count(verdict) / 200 for verdict in set(verdicts)}


@pytest.mark.slow
def test_a_number_is_reproduced_in_worlds_where_it_is_true_and_differs_where_it_is_not() -> None:
    """At 5 models nothing can be told; at 60 a true 0.6 is found, and a false one refused."""
    few = rates(5, -0.17, -0.17)
    assert few.get("cannot tell", 0) > 0.85
    assert few.get("reproduced", 0) < 0.1
    true = rates(60, 0.6, 0.6)
    assert true["reproduced"] > 0.9
    false = rates(60, -0.6, 0.6)
    assert false["differs"] > 0.99
    nothing = rates(60, 0.0, 0.6)
    assert nothing.get("reproduced", 0) < 0.05


def test_what_was_not_computed_is_not_measured_and_says_why() -> None:
    (absent,) = judge([claim(1.0)], {})
    (failed,) = judge([claim(True)], {"outcome": kaibo.Outcome("outcome", None, why="no model was given")})
    assert (absent.verdict, failed.verdict) == ("not measured", "not measured")
    assert failed.why["verdict"] == "no model was given"


def test_a_statement_is_judged_as_a_statement() -> None:
    assert verdict_on(claim(True), kaibo.Outcome("outcome", True))[0] == "reproduced"
    assert verdict_on(claim(True), kaibo.Outcome("outcome", False))[0] == "differs"
    (said,) = judge([claim(True)], {"outcome": kaibo.Outcome("outcome", True)}, "ja")
    assert said.claim == "文"
