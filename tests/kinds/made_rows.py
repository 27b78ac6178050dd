"""Rows of any kind, made from the types of their fields alone."""

from __future__ import annotations

import dataclasses
import types
import typing
from collections.abc import Mapping, Sequence
from typing import Any, Literal

from kaibo.vocabulary import Finding
from kaibo.vocabulary.kinds import Kind
from kaibo.words import Note, note

NAMES = ("model", "base", "other")
"""Texts of ordinary rows: the same everywhere, so that what one field names another one holds."""

HOSTILE = "n\n\"'\\\x1b]0;t\x07\0<script>alert(1)</script>{{7*7}}\u202e\u2028\ud800|&$=1+1"

DIGITS = 9

CLASSES = ("upward", "downward", "stagnated", "undecided", "moving")

CHOICES: Mapping[str, Sequence[str]] = {
    "trend": CLASSES[:4],
    "turn": ("", "low", "peak"),
    "against": ("parameters", "tokens", "flops"),
    "axis": ("parameters", "tokens", "flops"),
    "mode": ("uniform", "unigram", "shuffle"),
    "over": ("size", "flops"),
    "best": ("perplexity", "size"),
    "group": ("embedding", "attention", "mlp"),
    "unit": ("token", "word"),
    "scope": ("global", "tensor"),
    "apart_by": ("seed", "data", "both"),
    "format": ("own", "alpaca", "plain"),
    "flags": ("jump", "out-of-order", "same-step"),
    "variant": ("as-is", "rescaled-law"),
    "stop": ("positions", "base", "norm"),
}
"""Fields of text that take a few words of kaibo's own."""

OWN = {
    ("TrendRow", "against"): ("start", "tokens"),
    ("FollowedRow", "against"): ("step", "tokens"),
    ("Explained", "against"): ("perplexity", "flops", "size"),
    ("TunedRow", "against"): ("base", "parent"),
}
"""The same of one record alone."""


@dataclasses.dataclass(frozen=True)
class Filling:
    """What a row is filled with: `number` for every float, `names` for texts, and whether what may be absent is."""

    number: float = 0.25
    names: Sequence[str] = NAMES
    absent: bool = False


def made(kind: Kind[Any], count: int = 1, filling: Filling | None = None) -> Finding[Any]:
    """A finding of a kind with rows made from the types of its fields."""
    one = filling or Filling()
    notes = (note("terms.plain", text=one.names[0]),)
    rows = tuple(_record(kind.row, one, place) for place in range(count))
    return Finding(kind, rows, notes, {"kaibo": "0", "tuned": list(one.names)})


def _record(record: type[Any], filling: Filling, place: int) -> Any:
    hints = typing.get_type_hints(record)
    fields = [field for field in dataclasses.fields(record) if field.init]
    return record(**{field.name: _field(record, field.name, hints[field.name], filling, place) for field in fields})


def _field(record: type[Any], name: str, hint: Any, filling: Filling, place: int) -> Any:
    words = OWN.get((record.__name__, name), CHOICES.get(name, ()))
    if words and hint in (str, str | None):
        return words[place % len(words)]
    return tuple(words) if words and hint == tuple[str, ...] else _value(hint, name, filling, place)


def _value(hint: Any, name: str, filling: Filling, place: int) -> Any:
    origin, within = typing.get_origin(hint), typing.get_args(hint)
    if dataclasses.is_dataclass(hint):
        return _record(hint, filling, place)
    if origin is Literal:
        return within[place % len(within)]
    if origin in (types.UnionType, typing.Union):
        given = [one for one in within if one is not types.NoneType]
        return None if filling.absent and len(given) < len(within) else _value(given[0], name, filling, place)
    if origin is tuple and not (len(within) == 2 and within[1] is Ellipsis):
        return tuple(_value(one, name, filling, place) for one in within)
    if origin is tuple or origin in (list, Sequence):
        length = DIGITS if name.endswith(("shares", "counts")) else len(NAMES)
        return tuple(_value(within[0], name, filling, at) for at in range(length))
    if origin in (dict, Mapping) or (isinstance(origin, type) and issubclass(origin, Mapping)):
        return {} if name == "why" else _mapping(within, name, filling, place)
    return _plain(hint, filling, place)


def _mapping(within: tuple[Any, ...], name: str, filling: Filling, place: int) -> dict[Any, Any]:
    classes = name.startswith(("shares", "change")) and within[0] is str
    keys = CLASSES if classes else [_value(within[0], name, filling, at) for at in range(len(filling.names))]
    return {key: _value(within[1], name, filling, place) for key in keys}


def _plain(hint: Any, filling: Filling, place: int) -> Any:
    if hint is float:
        return filling.number
    if hint is int:
        return place + 1
    if hint is bool:
        return place % 2 == 0
    if hint is Note:
        return note("terms.plain", text=filling.names[place % len(filling.names)])
    return filling.names[place % len(filling.names)]
