"""Findings whose names a stranger chose to break a drawing or to run in it."""

import dataclasses
from collections.abc import Mapping

INJECTED = "datum.injected"
HOSTILE = f'n\n\u2028"\'\\\x1b]0;t\x07\0 " + {INJECTED} + " \\" + {INJECTED} + \\"\u202e\ud800\ufffe'

NAMES = frozenset(
    (
        "model", "models", "name", "base", "tuned", "a", "b", "benchmark", "benchmarks", "family", "families", "target",
        "predictor", "predictors", "chosen", "task", "token", "tensor", "label", "run", "x", "y", "series", "pair",
        "text", "of", "inside", "table", "tables", "shown", "role",
    )
)  # fmt: skip
"""Fields and provenance that hold what people or files named."""


def hostile(finding):
    """The finding with every name in it made hostile, the same one everywhere; a tour names nothing but numbers."""
    if finding.kind.name == "tour":
        return finding
    renamed = {text: f"{text}{HOSTILE}" for row in (*finding.rows, finding.provenance) for text in _named(row)}
    rows = tuple(_renamed(row, renamed) for row in finding.rows)
    return dataclasses.replace(finding, rows=rows, provenance=_renamed(finding.provenance, renamed))


def _fields(node):
    if dataclasses.is_dataclass(node):
        return {field.name: getattr(node, field.name) for field in dataclasses.fields(node)}
    return node if isinstance(node, Mapping) else {}


def _named(node, inside=False):
    if isinstance(node, str):
        if inside and node:
            yield node
    elif isinstance(node, list | tuple):
        for one in node:
            yield from _named(one, inside)
    else:
        for name, value in _fields(node).items():
            yield from _named(value, name in NAMES)


def _renamed(node, renamed):
    if isinstance(node, str):
        return renamed.get(node, node)
    if isinstance(node, tuple | list):
        return (
            type(node)(*(_renamed(one, renamed) for one in node))
            if hasattr(node, "_fields")
            else type(node)(_renamed(one, renamed) for one in node)
        )
    if isinstance(node, Mapping):
        return {_renamed(name, renamed): _renamed(value, renamed) for name, value in node.items()}
    if dataclasses.is_dataclass(node):
        own = {field.name for field in dataclasses.fields(node) if field.init}
        return dataclasses.replace(node, **{k: _renamed(v, renamed) for k, v in _fields(node).items() if k in own})
    return node
