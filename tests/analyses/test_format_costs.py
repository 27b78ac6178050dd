"""What a wrong format costs: a ratio of sums over chats, in pairs."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kaibo.chapters.generate.formats import FormattedAnswers, formats

LENGTHS = st.lists(st.integers(1, 40), min_size=2, max_size=12)


def answers(name: str, tokens: list[int], nats: list[float]) -> FormattedAnswers:
    return FormattedAnswers("m", name, name == "own", np.array(tokens), np.array(nats, float))


@given(LENGTHS, st.floats(-2, 5))
def test_a_format_that_costs_every_token_the_same_costs_just_that_without_error(
    lengths: list[int], each: float
) -> None:
    own = [0.7 * length for length in lengths]
    wrong = [one + each * length for one, length in zip(own, lengths, strict=True)]
    right, row = formats([answers("own", lengths, own), answers("plain", lengths, wrong)]).rows
    assert right.cost is None
    assert (row.cost, row.cost_error) == pytest.approx((each, 0.0), abs=1e-9)
    assert row.ppl == pytest.approx(right.ppl * math.exp(each))
    assert row.tokens == sum(lengths)


def test_the_standard_error_is_that_of_drawing_chats_again() -> None:
    random = np.random.default_rng(3)
    lengths = random.integers(4, 30, 400)
    own, more = random.gamma(2.0, 1.0, 400) * lengths, random.normal(0.5, 0.4, 400) * lengths
    _, row = formats([answers("own", list(lengths), list(own)), answers("none", list(lengths), list(own + more))]).rows
    drawn = random.integers(0, 400, (4000, 400))
    again = more[drawn].sum(axis=1) / lengths[drawn].sum(axis=1)
    assert row.cost_error == pytest.approx(again.std(), rel=0.06)
    assert row.cost_low < row.cost < row.cost_high
    assert row.worse == (more > 0).mean()


def test_without_a_right_format_there_is_no_cost_and_with_one_chat_no_error() -> None:
    (alone,) = formats([answers("plain", [3, 4], [1.0, 2.0])]).rows
    assert (alone.cost, alone.cost_low, alone.ppl_times) == (None, None, None)
    _, single = formats([answers("own", [4], [4.0]), answers("plain", [4], [6.0])]).rows
    assert (single.cost, single.cost_error, single.cost_low) == (0.5, None, None)
