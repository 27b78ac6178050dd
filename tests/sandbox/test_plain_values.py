"""Plain values cross whole, and nothing else can cross; when two of them are the same."""

import json
import math
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kaibo.sandbox.inside.oracles import agreed
from kaibo.sandbox.inside.plain import Handle, TooMuch, read, written
from kaibo.sandbox.inside.sameness import close, same

LEAVES = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False), st.text(), st.binary(), st.fractions()
)
KEYS = st.one_of(st.integers(), st.text(), st.tuples(st.integers(), st.text()))
VALUES = st.recursive(
    LEAVES,
    lambda inner: st.one_of(
        st.lists(inner), st.tuples(inner, inner), st.dictionaries(KEYS, inner), st.sets(KEYS), st.frozensets(KEYS)
    ),
    max_leaves=20,
)


@given(VALUES)
def test_a_plain_value_is_the_same_on_the_other_side(value: object) -> None:
    line = written(value)
    assert "\n" not in line
    assert line.isascii()
    back = read(line)
    assert type(back) is type(value)
    assert repr(back) == repr(value) or back == value
    assert same(back, value)


@given(VALUES, VALUES)
def test_what_is_the_same_is_equal_and_sameness_is_symmetric(one: object, other: object) -> None:
    assert same(one, other) == same(other, one)
    if same(one, other):
        assert one == other


@pytest.mark.parametrize(
    ("one", "other"),
    [(True, 1), (False, 0.0), ([True], [1]), ({1}, {True}), ({1: 2}, {True: 2}), ({(1,)}, {(True,)}), ((0,), (False,))],
)
def test_a_bool_is_never_a_number(one: object, other: object) -> None:
    assert one == other
    assert not same(one, other)
    assert not close(one, other, 1.0)


def test_a_subclass_crosses_as_the_value_that_it_holds() -> None:
    class Liar(int):
        def __eq__(self, other: object) -> bool:
            return True

        __hash__ = int.__hash__

    assert type(read(written(Liar(3)))) is int
    assert not same(read(written(Liar(3))), 4)


def test_an_object_stays_and_is_equal_to_nothing() -> None:
    back = read(written(object(), lambda _: 7))
    assert isinstance(back, Handle)
    assert back.number == 7
    assert not same(back, 7)


def test_what_holds_itself_or_does_not_end_is_too_much() -> None:
    loop: list[object] = []
    loop.append(loop)
    for value in (loop, (each for each in iter(int, 1))):
        with pytest.raises(TooMuch):
            written(value)


@pytest.mark.parametrize(
    "text",
    ['{"evil": [1]}', '{"int": 3, "x": 4}', "{}", '{"bytes": "zz"}', '{"fraction": [1, 0]}', "[", '{"set": [[1]]}'],
)
def test_reading_refuses_what_writing_never_writes(text: str) -> None:
    with pytest.raises((ValueError, TypeError, ZeroDivisionError)):
        read(text)


def test_special_numbers_cross() -> None:
    assert math.isnan(read(written(math.nan)))
    assert read(written(-math.inf)) == -math.inf
    assert math.copysign(1, read(written(-0.0))) == -1.0 or read(written(-0.0)) == 0
    assert read(written(10**5000)) == 10**5000
    assert read(written(Fraction(1, 3))) == Fraction(1, 3)


@pytest.mark.parametrize(
    ("entry", "oracle", "tolerance", "given_", "wanted", "got", "right"),
    [
        ("f", "", 0, [1], 0.3, 0.1 + 0.2, True),
        ("f", "", 0, [1], 1, 1 + 1e-9, False),
        ("f", "", 0, [1], [0.3, 1.0], [0.1 + 0.2, 1.0], True),
        ("f", "", 0, [1], [0.3], (0.1 + 0.2,), False),
        ("f", "", 0, [1], math.nan, math.nan, True),
        ("f", "", 0, [1], 1.0, math.nan, False),
        ("f", "", 1e-4, [1], 1.0, True, False),
        ("find_zero", "humaneval", 1e-4, [[-2, 1]], 2.0, 2.00001, True),
        ("find_zero", "humaneval", 1e-4, [[-2, 1]], 2.0, 2.1, False),
        ("find_zero", "", 1e-4, [[-2, 1]], 2.0, 2.1, False),
        ("similar_elements", "mbpp", 0, [1], (4, 5), [5, 4, 5], True),
        ("similar_elements", "mbpp", 0, [1], (4, 5), [5, 4, 6], False),
        ("check_str", "mbpp", 0, [1], True, "a match", True),
        ("check_str", "mbpp", 0, [1], True, None, False),
        ("sum_div", "mbpp", 0, [7], 1, False, False),
    ],
)
def test_evalplus_rules(
    entry: str, oracle: str, tolerance: float, given_: list, wanted: object, got: object, right: bool
) -> None:
    assert agreed(entry, oracle, tolerance, given_, wanted, got) is right


def test_a_line_is_json() -> None:
    assert json.loads(written({"a": (1, {2})})) == {"dict": [["a", {"tuple": [1, {"set": [2]}]}]]}
