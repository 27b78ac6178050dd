from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

import kaibo
from kaibo.vocabulary.claims import judge, verdict_on

NUMBERS = st.floats(-1e6, 1e6, allow_nan=False)


def claim(reported: float | bool | tuple[float, float], **given: float | str) -> kaibo.Claim:
    return kaibo.Claim("id", {"en": "text", "ja": "文"}, "source", reported, "outcome", **given)  # type: ignore[arg-type]


@given(NUMBERS, st.floats(0, 1e3), st.floats(0, 1e3))
def test_a_value_inside_our_interval_is_reproduced_and_one_far_outside_differs(
    value: float, below: float, above: float
) -> None:
    ours = kaibo.Outcome("outcome", value, value - below, value + above)
    assert verdict_on(claim(value), ours)[0] == "reproduced"
    assert verdict_on(claim(value + above + 1.0), ours)[0] == "differs"
    assert verdict_on(claim(value - below - 1.0), ours)[0] == "differs"


@given(NUMBERS, NUMBERS, st.floats(0, 1e3))
def test_without_an_interval_the_tolerance_decides(reported: float, value: float, slack: float) -> None:
    verdict = verdict_on(claim(reported, absolute=slack), kaibo.Outcome("outcome", value))[0]
    assert (verdict == "reproduced") == (value - slack <= reported <= value + slack)


@given(st.tuples(NUMBERS, NUMBERS).map(sorted), st.tuples(NUMBERS, NUMBERS).map(sorted))
def test_a_reported_interval_is_reproduced_where_the_two_overlap(theirs: list[float], ours: list[float]) -> None:
    found = kaibo.Outcome("outcome", ours[0], ours[0], ours[1])
    verdict = verdict_on(claim((theirs[0], theirs[1])), found)[0]
    assert (verdict == "reproduced") == (max(theirs[0], ours[0]) <= min(theirs[1], ours[1]))


@given(NUMBERS, NUMBERS)
def test_another_scale_reproduces_nothing_and_says_whether_the_direction_is_the_same(one: float, other: float) -> None:
    verdict, why = verdict_on(claim(one), kaibo.Outcome("outcome", other, scale="nursery"))
    assert verdict == "not measured"
    same = (one > 0) - (one < 0) == (other > 0) - (other < 0)
    assert ("shows the same direction" in why) == same


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
