"""Plain values as text and back: what may cross between a sample, the desk that judges it, and kaibo.

Only values are carried, never objects: an instance of a subclass of int, str, list or dict is carried as the int, str,
list or dict that it holds, so a method that lies (`__eq__` that says yes to everything) stays behind. What is not plain
becomes a `Handle`, which is equal to nothing. Reading builds values of built-in types and can build nothing else.

>>> read(written((1, [True, 2.5], {"a": {3}})))
(1, [True, 2.5], {'a': {3}})
"""

import collections
import itertools
import json
import sys
from collections.abc import Callable
from typing import Any

DEEPEST = 64
"""How many containers may lie in one another."""
MOST = 1_000_000
"""How many values one message may hold."""

SEQUENCES: dict[str, Any] = {"tuple": tuple, "set": set, "frozenset": frozenset, "deque": collections.deque}
EMPTY: tuple[Any, ...] = (iter([]), iter(()), iter({}), iter(set()), iter(""), iter(range(0)), iter({}.items()))
ITERATORS: tuple[Any, ...] = (
    *map(type, EMPTY),
    *(map, filter, zip, enumerate, reversed, type(_ for _ in ()), type({}.keys()), type({}.values()), type({}.items())),
    *(itertools.chain, itertools.islice, itertools.permutations, itertools.combinations, itertools.product),
    *(itertools.accumulate, itertools.takewhile, itertools.starmap),
)


class TooMuch(Exception):  # noqa: N818 - a bound that was met, told from the errors of a sample
    """A value that is too large or too deep to be carried."""


class Handle:
    """An object that stays where it was made; here is only its number and the name of its type."""

    __slots__ = ("kind", "number")

    def __init__(self, number: int, kind: str) -> None:
        self.number = number
        self.kind = kind

    def __repr__(self) -> str:
        return f"<{self.kind} object>"


def written(value: Any, keep: Callable[[Any], int] | None = None) -> str:
    """One line of text for a value. `keep` takes an object that is not plain and gives its number."""
    return json.dumps(_Writer(keep).plain(value, 0), separators=(",", ":"))


def read(text: str, handle: Callable[[int, str], Any] = Handle) -> Any:
    """The value that a line of text spells. `handle` makes the stand-in of an object that stayed behind."""
    return built(json.loads(text), handle)


class _Writer:
    def __init__(self, keep: Callable[[Any], int] | None) -> None:
        self.keep = keep
        self.left = MOST

    def plain(self, value: Any, depth: int) -> Any:
        self.left -= 1
        if depth > DEEPEST or self.left < 0:
            raise TooMuch
        kind = type(value)
        if value is None or kind is bool:
            return value
        if isinstance(value, int):
            whole = int.__add__(value, 0)
            return whole if -(2**63) <= whole < 2**63 else {"int": hex(whole)}
        if isinstance(value, float):
            return float.__add__(value, 0.0)
        if isinstance(value, str):
            return str.__str__(value) if kind is str else "".join(str.__iter__(value))
        return self._container(value, depth + 1)

    def _container(self, value: Any, depth: int) -> Any:
        for name, kind in SEQUENCES.items():
            if isinstance(value, kind):
                return {name: self._all(kind.__iter__(value), depth)}
        if isinstance(value, list):
            return self._all(list.__iter__(value), depth)
        if isinstance(value, dict):
            return {"dict": [[self.plain(key, depth), self.plain(held, depth)] for key, held in dict.items(value)]}
        if isinstance(value, bytes | bytearray):
            return {type(value).__name__ if type(value) in (bytes, bytearray) else "bytes": bytes.hex(bytes(value))}
        if type(value) is complex:
            return {"complex": [value.real, value.imag]}
        if type(value) is range:
            return {"range": [self.plain(each, depth) for each in (value.start, value.stop, value.step)]}
        if "fractions" in sys.modules and type(value) is sys.modules["fractions"].Fraction:
            return {"fraction": [self.plain(value.numerator, depth), self.plain(value.denominator, depth)]}
        if type(value) in ITERATORS:
            return {"iterator": self._all(value, depth)}
        if isinstance(value, Handle):
            return {"handle": [value.number, value.kind]}
        if self.keep is None:
            raise TooMuch
        return {"handle": [self.keep(value), str(type(value).__name__)[:80]]}

    def _all(self, values: Any, depth: int) -> list[Any]:
        return [self.plain(each, depth) for each in values]


def _dictionary(pairs: list[list[Any]], handle: Callable[[int, str], Any]) -> dict[Any, Any]:
    return {built(key, handle): built(held, handle) for key, held in pairs}


def _fraction(numerator: int, denominator: int) -> Any:
    import fractions  # with decimal and re behind it: fetched by the few who give one back

    return fractions.Fraction(numerator, denominator)


BUILDERS: dict[str, Callable[[list[Any]], Any]] = {
    "tuple": tuple,
    "set": set,
    "frozenset": frozenset,
    "deque": collections.deque,
    "iterator": iter,
    "range": lambda found: range(*found),
    "complex": lambda found: complex(*found),
    "fraction": lambda found: _fraction(*found),
}


def built(found: Any, handle: Callable[[int, str], Any] = Handle) -> Any:
    """The value that parsed JSON stands for. Raises ValueError on anything that `written` does not write."""
    if isinstance(found, list):
        return [built(each, handle) for each in found]
    if not isinstance(found, dict):
        return found
    ((name, inner),) = found.items()
    match name:
        case "int":
            return int(inner, 16)
        case "bytes":
            return bytes.fromhex(inner)
        case "bytearray":
            return bytearray.fromhex(inner)
        case "dict":
            return _dictionary(inner, handle)
        case "handle":
            return handle(*inner)
    if name not in BUILDERS:
        raise ValueError(name)
    return BUILDERS[name]([built(each, handle) for each in inner])
