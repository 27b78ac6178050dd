"""Whether a sample's output agrees with the reference's, input by input: EvalPlus's rule and its special oracles.

Exact, or where floats are expected (or the problem has a tolerance) within 1e-7 relative and that tolerance; for
twelve problems that have several right answers, the rule that EvalPlus names for each (evalplus/eval, Apache-2.0).
"""

import math
from collections.abc import Callable, Sequence
from typing import Any

from kaibo.sandbox.inside.plain import Handle
from kaibo.sandbox.inside.sameness import close, same

SETS = (
    *("similar_elements", "find_char_long", "common_in_nested_lists", "extract_singly", "larg_nnum"),
    *("intersection_array", "find_dissimilar", "Diff"),
)
FOUND = ("check_str", "text_match_three", "text_starta_endb")


def agreed(entry: str, oracle: str, tolerance: float, given: Sequence[Any], wanted: Any, got: Any) -> bool:
    """Whether `got` is right for these arguments. `oracle` names the benchmark whose special rules apply, or is ""."""
    if isinstance(got, Handle):
        return oracle == "mbpp" and entry in FOUND and wanted is True
    if oracle == "humaneval" and entry == "find_zero":
        return _near_zero(given[0], got, tolerance)
    if same(got, wanted, nan=True):
        return True
    if oracle == "mbpp" and (rule := _rule(entry)) is not None:
        return rule(given, wanted, got, tolerance)
    tolerance = 1e-6 if tolerance == 0 and _floats(wanted) else tolerance
    return tolerance != 0 and type(got) is type(wanted) and close(got, wanted, tolerance)


Rule = Callable[[Sequence[Any], Any, Any, float], bool]


def _rule(entry: str) -> Rule | None:
    if entry in SETS:
        return lambda _given, wanted, got, _tolerance: same(set(got), set(wanted))
    if entry in FOUND:
        return lambda _given, wanted, got, _tolerance: not isinstance(got, bool) and wanted is (got is not None)
    return RULES.get(entry)


def _floats(value: Any) -> bool:
    if isinstance(value, list | tuple) and value:
        return all(isinstance(each, float) for each in value)
    return isinstance(value, float)


def _near_zero(coefficients: Sequence[float], got: Any, tolerance: float) -> bool:
    if isinstance(got, bool) or not isinstance(got, int | float):
        return False
    value = sum(each * math.pow(got, place) for place, each in enumerate(coefficients))
    return abs(value) <= tolerance


def _surface(base: float, height: float) -> int:
    slant = math.sqrt((base / 2) ** 2 + height**2)
    return round(base**2 + 2 * base * slant)


def _digit_distance(one: int, other: int) -> int:
    first, second = str(one), str(other)
    length = max(len(first), len(second))
    return sum(abs(int(a) - int(b)) for a, b in zip(first.zfill(length), second.zfill(length), strict=True))


def _number(got: Any) -> bool:
    return isinstance(got, int | float) and not isinstance(got, bool)


RULES: dict[str, Rule] = {
    "are_equivalent": lambda _given, _wanted, got, _tolerance: isinstance(got, bool),
    "sum_div": lambda _given, _wanted, got, _tolerance: _number(got) and got == 0,
    "surface_Area": lambda given, _wanted, got, tolerance: _number(got) and abs(got - _surface(*given)) <= tolerance,
    "digit_distance_nums": lambda given, _wanted, got, _tolerance: same(got, _digit_distance(*given)),
}
