"""The conditions of the anatomy files: when a tensor is there, and in which layers.

Words between spaces must all hold, of words between `|` one; `!` before a word turns it round.

    tied  q_rank  language_model      a flag that is set, a dimension that is not zero, what the model is for
    sparse  dense                     whether the layer's feed-forward part is a choice of experts, by [sparse]
    layer_types=full_attention,moe    what the list has for the layer (`!=`: has not); the list is in [lists]
    layer<first  layer>=layers-2      numbers of layers, counted from 0
    (layer+1)%every=0  (layer-at)%every=0    each so many, the second: where layer % every is `at`
    (layer+1-at)%every=0              those before `at`, then each so many
    layer~mlp_only_layers             the config lists the layer
    hidden<>projection                two numbers that differ
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Protocol


class Known(Protocol):
    """What conditions ask: numbers, flags, the entries of a list, and the layers that a list names."""

    def truth(self, name: str, layer: int | None) -> bool:
        """Whether a flag is set or a dimension is not zero."""

    def size(self, name: str) -> int:
        """A dimension, 0 where it is not known."""

    def entry(self, name: str, layer: int, layers: int) -> str | None:
        """What a list with an entry a layer has for this one."""

    def members(self, name: str) -> frozenset[int]:
        """The layers that a list names."""

    def text(self, name: str) -> str:
        """A text of the config."""


@dataclass(frozen=True)
class Word:
    """One word: how it is judged, what it names, and whether it depends on the layer."""

    test: Callable[[Known, int, int], bool]
    names: frozenset[str]
    by_layer: bool


def holds(condition: tuple[str, ...], known: Known, layer: int, layers: int) -> bool:
    """Whether every word holds in a layer (any number outside the layers)."""
    return all(any(word.test(known, layer, layers) for word in one) for one in _read(condition))


def by_layer(condition: tuple[str, ...]) -> bool:
    """Whether a condition depends on the layer."""
    return any(word.by_layer for one in _read(condition) for word in one)


def names_in(condition: tuple[str, ...]) -> frozenset[str]:
    """What a condition speaks of.

    >>> sorted(names_in(("!tied", "layer>=first")))
    ['first', 'tied']
    """
    return frozenset(name for one in _read(condition) for word in one for name in word.names)


@cache
def _read(condition: tuple[str, ...]) -> tuple[tuple[Word, ...], ...]:
    return tuple(tuple(_word(word) for word in one.split("|")) for one in condition)


_STEP = re.compile(r"\(layer([+-])([a-z0-9_.]+)\)%([a-z0-9_.]+)(!?)=0")
_AFTER = re.compile(r"\(layer\+1-([a-z0-9_.]+)\)%([a-z0-9_.]+)(!?)=0")
_BOUND = re.compile(r"layer(<|>=)(layers-)?([a-z0-9_.]+)")
_MEMBER = re.compile(r"(!?)layer~([A-Za-z0-9_.]+)")
_APART = re.compile(r"([A-Za-z0-9_.]+)<>([A-Za-z0-9_.]+)")
_ENTRY = re.compile(r"([A-Za-z0-9_.]+)(!?)=(.*)")


def _word(text: str) -> Word:
    for pattern, make in _KINDS:
        if match := pattern.fullmatch(text):
            return make(*match.groups())
    negated, name = text.startswith("!"), text.removeprefix("!")
    return Word(
        lambda known, layer, layers: known.truth(name, layer) is not negated,
        frozenset({name}),
        name in ("sparse", "dense"),
    )


def _apart(one: str, other: str) -> Word:
    return Word(lambda known, layer, layers: known.size(one) != known.size(other), frozenset({one, other}), False)


def _step(sign: str, shift: str, step: str, negated: str) -> Word:
    def test(known: Known, layer: int, layers: int) -> bool:
        offset, every = _number(known, shift), _number(known, step)
        at = layer % every == offset if sign == "-" and every > 0 else every > 0 and (layer + offset) % every == 0
        return at is not bool(negated)

    return Word(test, _names(shift, step), True)


def _after(begin: str, step: str, negated: str) -> Word:
    def test(known: Known, layer: int, layers: int) -> bool:
        every = _number(known, step)
        return (every > 0 and max(layer + 1 - _number(known, begin), 0) % every == 0) is not bool(negated)

    return Word(test, _names(begin, step), True)


def _bound(sign: str, from_end: str | None, bound: str) -> Word:
    def test(known: Known, layer: int, layers: int) -> bool:
        limit = _number(known, bound)
        return (layer < (layers - limit if from_end else limit)) is (sign == "<")

    return Word(test, _names(bound), True)


def _member(negated: str, name: str) -> Word:
    return Word(lambda known, layer, layers: (layer in known.members(name)) is not bool(negated), frozenset(), True)


def _entry(name: str, negated: str, values: str) -> Word:
    wanted = frozenset(values.split(","))

    def test(known: Known, layer: int, layers: int) -> bool:
        held = known.entry(name, layer, layers)
        return ((known.text(name) if held is None else held) in wanted) is not bool(negated)

    return Word(test, frozenset(), True)


def _number(known: Known, text: str) -> int:
    return int(text) if text.isdigit() else known.size(text)


def _names(*texts: str) -> frozenset[str]:
    return frozenset(text for text in texts if not text.isdigit())


_KINDS = (
    (_STEP, _step),
    (_AFTER, _after),
    (_BOUND, _bound),
    (_MEMBER, _member),
    (_APART, _apart),
    (_ENTRY, _entry),
)
