"""When two plain values are the same: as Python's `==`, but that a bool is never a number, at any depth.

>>> same([1, 2.0], [1.0, 2]), same(True, 1), same([0], [False]), same((1,), [1])
(True, False, False, False)
"""

import math
from collections import Counter
from typing import Any

NUMBERS = (int, float, complex)


def same(one: Any, other: Any, *, nan: bool = False) -> bool:
    """Whether two plain values are equal. With `nan` two NaNs are the same value; else NaN is equal to nothing."""
    if isinstance(one, bool) or isinstance(other, bool):
        return isinstance(one, bool) and isinstance(other, bool) and one is other
    if isinstance(one, float) and isinstance(other, float) and one != one:
        return nan and other != other
    if isinstance(one, list | tuple) and isinstance(other, list | tuple):
        alike = isinstance(one, list) == isinstance(other, list) and len(one) == len(other)
        return alike and all(same(a, b, nan=nan) for a, b in zip(one, other, strict=True))
    if isinstance(one, dict) and isinstance(other, dict):
        return _keyed(one) == _keyed(other) and all(same(held, other[key], nan=nan) for key, held in one.items())
    if isinstance(one, set | frozenset) and isinstance(other, set | frozenset):
        return _keyed(one) == _keyed(other)
    return bool(one == other)


def _keyed(values: Any) -> Counter[Any]:
    """The members of a set, or the keys of a dict, each told from a bool that equals it."""
    return Counter(_told(each) for each in values)


def _told(value: Any) -> Any:
    if isinstance(value, tuple | frozenset):
        return (type(value), tuple(map(_told, value)) if isinstance(value, tuple) else frozenset(map(_told, value)))
    return (isinstance(value, bool), value)


def close(one: Any, other: Any, tolerance: float) -> bool:
    """Whether two values differ by no more than a tolerance wherever they hold floats, and are the same elsewhere.

    As EvalPlus compares: |one − other| ≤ tolerance + 1e-7·|other|, containers of one type and length.
    """
    if isinstance(one, list | tuple) and isinstance(other, list | tuple):
        alike = type(one) is type(other) and len(one) == len(other)
        return alike and all(close(a, b, tolerance) for a, b in zip(one, other, strict=True))
    if isinstance(one, dict) and isinstance(other, dict):
        return _keyed(one) == _keyed(other) and all(close(held, other[key], tolerance) for key, held in one.items())
    if _number(one) and _number(other) and (isinstance(one, float) or isinstance(other, float)):
        try:
            if math.isfinite(one) and math.isfinite(other):
                return bool(abs(one - other) <= tolerance + 1e-7 * abs(other))
        except OverflowError:  # an int beyond the floats
            return False
    return same(one, other, nan=True)


def _number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
