"""Strings that a drawing can hold: what strangers named is spelled out before a chart is handed on.

A name can be in the data of a chart, in a scale's domain or in a title. Control characters end a drawing (they are
no XML, and U+2028 is no part of a Vega expression); they are spelled as `\\x1b`. Vega-Lite puts titles of axes and
legends between quotes into the expressions of tooltips and descriptions, so these lose what would end the quotes.
"""

from __future__ import annotations

import unicodedata
from typing import Any

LONGEST = 2_000
"""Characters of the longest string that is drawn."""

_UNDRAWN = frozenset({"Cc", "Cf", "Cs", "Cn", "Co", "Zl", "Zp"})
_OWN = frozenset({"description"})
"""Keys whose strings are the project's own sentences."""

_QUOTED = str.maketrans({'"': "”", "\\": "∖"})


def drawable(text: str) -> str:
    """A text with control characters, bidirectional marks and lone surrogates spelled out, cut at `LONGEST`.

    >>> drawable("a\\nb\\x1b\\u2028"), drawable("全角　空白")
    ('a\\\\nb\\\\x1b\\\\u2028', '全角　空白')
    """
    text = text if len(text) <= LONGEST else f"{text[: LONGEST - 1]}…"
    return "".join(
        character.encode("unicode_escape").decode("ascii") if unicodedata.category(character) in _UNDRAWN else character
        for character in text
    )


def with_drawable_strings(chart: Any) -> Any:
    """The chart with every string in it made drawable, in place; Vega-Lite's own words are left as they are."""
    _walk(chart, "")
    return chart


def _walk(node: Any, key: str) -> Any:
    from altair.utils.schemapi import SchemaBase

    if isinstance(node, str):
        return node if key in _OWN else _title(drawable(node)) if key == "title" else drawable(node)
    if isinstance(node, dict):
        within = key == "values"  # a row of data: its fields are no titles
        return {drawable(str(name)): _walk(value, "values" if within else str(name)) for name, value in node.items()}
    if isinstance(node, list | tuple):
        return [_walk(one, key) for one in node]
    if isinstance(node, SchemaBase):
        for name, value in list(node._kwds.items()):
            node._kwds[name] = _walk(value, name)
        object.__setattr__(node, "_args", tuple(_walk(value, key) for value in node._args))
    return node


def _title(text: str) -> str:
    return text.translate(_QUOTED)
