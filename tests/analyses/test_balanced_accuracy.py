from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kaibo.chapters.eval.accuracy import evaluation
from kaibo.chapters.eval.pairs import paired
from kaibo.chapters.eval.rows import EvalRow
from kaibo.vocabulary.evaluations import Answered, Sitting

WORDS = ("yes", "no", "maybe")


def sat(right: list[int], chosen: list[int], model: str = "m") -> Sitting:
    """A sitting at which these options were right, and those the likeliest."""
    answers = tuple(
        Answered(item, str(item), tuple(float(at != best) for at in range(3)), (1, 1, 1), WORDS, wanted)
        for item, (wanted, best) in enumerate(zip(right, chosen, strict=True))
    )
    return Sitting(model, model, "t", "en", "0", 0, ("acc", "balanced_acc"), None, answers)


def row(right: list[int], chosen: list[int]) -> EvalRow:
    return next(one for one in evaluation([sat(right, chosen)]) if one.metric == "balanced_acc")


@given(st.lists(st.tuples(st.integers(0, 2), st.integers(0, 2)), min_size=1, max_size=40))
def test_it_is_the_mean_of_the_shares_that_are_right_of_each_answer(pairs: list[tuple[int, int]]) -> None:
    right, chosen = (np.array(one) for one in zip(*pairs, strict=True))
    recalls = [float((chosen[right == kind] == kind).mean()) for kind in set(right.tolist())]
    found = row(right.tolist(), chosen.tolist())
    assert found.value == pytest.approx(float(np.mean(recalls)), abs=1e-12)
    assert found.chance == pytest.approx(1 / len(recalls))
    assert found.n == len(pairs)
    assert found.value_low is None or found.value_low <= found.value <= (found.value_high or 0)


def test_always_the_same_answer_is_worth_no_more_than_chance() -> None:
    found = evaluation([sat([0] * 90 + [1] * 10, [0] * 100)])
    assert [one.value for one in found] == [0.9, 0.5]


def test_with_as_many_of_each_it_is_the_accuracy_with_its_standard_error() -> None:
    plain, balanced = evaluation([sat([0, 1, 2] * 10, [0, 1, 1] * 10)])
    assert balanced.value == pytest.approx(plain.value)
    assert balanced.stderr == pytest.approx(plain.stderr)


def test_two_models_differ_by_the_difference_of_their_balanced_accuracies() -> None:
    right = [0] * 12 + [1] * 4
    a, b = sat(right, [0] * 16, "a"), sat(right, [0] * 6 + [1] * 10, "b")
    pair = next(one for one in paired([a, b]) if one.metric == "balanced_acc")
    assert pair.difference == pytest.approx(0.5 - 0.75)
    assert pair.mcnemar_p is None
