"""Templates of tasks, prompts and chats as text: what is provably harmless here, everything else in a bounded child.

A template without loops, calls, assignments and multiplication writes no more than its names hold, so it is rendered
in this process. Whatever else it does, it may: in a child with limits of time, memory and output, kept for the next.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from typing import Any, Literal

from jinja2 import nodes
from jinja2.exceptions import SecurityError

from kaibo.documents.child import Child, ExceededError
from kaibo.documents.reading import Path
from kaibo.documents.rendering import compiled, expression, task_environment
from kaibo.errors import PolicyError, UsageError, escaped

LENGTH = 1 << 20
SECONDS = 5
MEMORY = 500 << 20
CHARACTERS = 4_000_000
PARSED, NODES, ROOM = 1 << 16, 1000, 1 << 26
"""What a template may cost: its own length, time, memory of its process, and the length of what it writes; then how
long it may be, of how many parts, and how much it may write at most, to be rendered in this process."""

How = Literal["task", "value", "chat"]

_HARMLESS = (
    *(nodes.Template, nodes.Output, nodes.TemplateData, nodes.Name, nodes.Const, nodes.If, nodes.CondExpr, nodes.Test),
    *(
        nodes.Call,
        nodes.Getattr,
        nodes.Getitem,
        nodes.Slice,
        nodes.List,
        nodes.Tuple,
        nodes.Dict,
        nodes.Pair,
        nodes.Filter,
    ),
    *(nodes.Compare, nodes.Operand, nodes.And, nodes.Or, nodes.Not, nodes.Neg, nodes.Add, nodes.Sub, nodes.Concat),
)
_SHRINKING = ("int", "string", "trim", "first", "last", "length", "lower", "upper", "list", "unbracketed")
_GROWING = ("join", "replace")
_METHODS = ("strip", "lstrip", "rstrip", "split", "index", "capitalize", "lower", "upper", "startswith", "endswith")

_CHILD = Child("rendering.py", MEMORY)


class RefusedTemplateError(Exception):
    """A template does not fit a row, or is none; the text says why."""


def rendered(template: str, row: Mapping[str, Any], file: Path) -> str:
    """A task's template with the values of a row.

    Raises RefusedTemplateError for one that is broken or does not fit the row, PolicyError for one that reaches for
    Python or for more than a template may cost.
    """
    if "{" not in template:
        return template
    return str(_one("task", template, row, file))


def value_of(text: str, row: Mapping[str, Any], file: Path) -> Any:
    """The value of a task's expression for a row. Raises as `rendered` does."""
    return _one("value", text, row, file)


def _one(how: How, template: str, row: Mapping[str, Any], file: Path) -> Any:
    if _is_harmless(how, template, row):
        try:
            return expression(template)(**row) if how == "value" else compiled(template).render(row)
        except SecurityError as reaching:
            raise PolicyError(f"the template {escaped(reaching, 200)}, which no template may", file=file) from None
        except Exception as wrong:
            raise RefusedTemplateError(" ".join(str(wrong).split()) or type(wrong).__name__) from wrong
    return in_child(how, template, [row], file)[0]


def in_child(
    how: How, template: str, rows: Sequence[Mapping[str, Any]], file: Path, what: str = "the template", advice: str = ""
) -> list[Any]:
    """The values of a template for several rows, made in a bounded child.

    Raises PolicyError for a template that reaches for Python or costs too much, UsageError for what it says itself by
    `raise_exception`, RefusedTemplateError for one that is broken.
    """
    if len(template) > LENGTH:
        raise PolicyError(f"{what} is {len(template):,} characters long, the limit is {LENGTH:,}", file=file)
    bounds = {"seconds": SECONDS, "characters": CHARACTERS}
    try:
        answer = _CHILD.ask({"how": how, "template": template, "rows": list(rows), **bounds}, SECONDS)
    except ExceededError:
        message = f"{what} needs more than {SECONDS} s or {MEMORY >> 20} MiB"
        raise PolicyError(message, file=file, next=advice or "simplify it") from None
    if "refused" in answer:
        message = f"{what} {escaped(answer['refused'], 200)}, which no template may"
        raise PolicyError(message, file=file, next=advice or None)
    if "raised" in answer:
        raise UsageError(f"{what} says: {escaped(answer['raised'], 300)}", file=file)
    if "broken" in answer:
        raise RefusedTemplateError(escaped(answer["broken"], 300))
    values: list[Any] = answer["values"]
    return values


def _is_harmless(how: How, template: str, row: Mapping[str, Any]) -> bool:
    """Whether rendering cannot cost more than a template may, whatever it does with the row."""
    if len(template) > PARSED:
        return False
    names, growing = _read(how, template)
    if names is None:
        return False
    size = len(json.dumps(row, default=str))
    return bool((names + 1) * (size + len(template)) * (1 + size + len(template)) ** growing < ROOM)


@cache
def _read(how: How, template: str) -> tuple[int | None, int]:
    """How often a template names something, and how many of its filters may lengthen it; None if it can do more."""
    try:
        tree = task_environment().parse("{{ " + template + " }}" if how == "value" else template)
    except Exception:  # noqa: BLE001 - the child will say what is wrong with it
        return None, 0
    names = growing = 0
    for count, node in enumerate(_nodes(tree)):
        if count > NODES:
            return None, 0
        filtered = _filter(node) if isinstance(node, nodes.Filter) else "int"
        if not isinstance(node, _HARMLESS) or filtered not in (*_SHRINKING, *_GROWING):
            return None, 0
        if isinstance(node, nodes.Call) and not (isinstance(node.node, nodes.Getattr) and node.node.attr in _METHODS):
            return None, 0
        names += isinstance(node, nodes.Name)
        growing += filtered in _GROWING
    return names, growing


def _filter(node: nodes.Filter) -> str:
    """The filter's name; of `map('name')` the name of what is applied to each item."""
    first = node.args[0] if node.name == "map" and node.args else None
    return str(first.value) if isinstance(first, nodes.Const) else str(node.name)


def _nodes(tree: nodes.Node) -> Iterator[nodes.Node]:
    """All nodes, found without recursion."""
    waiting = [tree]
    while waiting:
        node = waiting.pop()
        yield node
        waiting.extend(node.iter_child_nodes())
