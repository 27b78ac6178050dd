"""Typed fields out of a stranger's document: pydantic checks every value, an unknown name is answered with the nearest.

A document's form is a frozen dataclass whose fields carry their own description, so that the page of the fields, the
check and the default are one text. pydantic is imported when the first document is checked.
"""

from __future__ import annotations

import dataclasses
import difflib
import json
import types
import typing
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, Literal, TypeVar, Union, get_args, get_origin

from kaibo.documents.reading import Path
from kaibo.errors import FormatError, KaiboError, UsageError, escaped

T = TypeVar("T")
Place = tuple[str | int, ...]
"""Where a value stands in a document: keys, and places in lists from 0."""

UNKNOWN = "unexpected_keyword_argument"
CONFIG = {"extra": "forbid", "strict": True, "allow_inf_nan": False}


def setting(default: Any, description: str, *, least: float | None = None, most: float | None = None) -> Any:
    """A field with its default, what it means, and the bounds of a number."""
    told = {"help": description, "least": least, "most": most}
    if dataclasses.is_dataclass(default):
        return dataclasses.field(default_factory=lambda: default, metadata=told)
    if default is dataclasses.MISSING:
        return dataclasses.field(metadata=told)
    return dataclasses.field(default=default, metadata=told)


@dataclass(frozen=True)
class Described:
    """One field as the documentation lists it: its dotted name, its type in words, its default, what it means."""

    name: str
    kind: str
    default: str
    description: str


def described(kind: type[Any], prefix: str = "") -> Iterator[Described]:
    """Every field of a settings class, those of its sections under their dotted names."""
    hints = typing.get_type_hints(kind)
    for field in dataclasses.fields(kind):
        name, hint = prefix + field.name, hints[field.name]
        if dataclasses.is_dataclass(hint):
            yield from described(typing.cast("type[Any]", hint), f"{name}.")
        else:
            default = "" if field.default is dataclasses.MISSING else _written(field.default)
            yield Described(name, _named(hint), default, field.metadata.get("help", ""))


def names_of(kind: type[Any]) -> tuple[str, ...]:
    """The dotted names of every field."""
    return tuple(one.name for one in described(kind))


def read(
    kind: type[T],
    values: Mapping[str, Any],
    file: Path,
    *,
    line_of: Callable[[Place], int | None] = lambda place: None,
    wrong: type[KaiboError] = FormatError,
    advice: str | None = None,
) -> T:
    """The values of a document as an object of `kind`; a lone text stands for a list of one.

    Raises UsageError for a name that no field has, with the nearest; `wrong` for a value of another type, out of its
    bounds or missing. Both name the file, the line that `line_of` knows, the field, what must hold and what was given.
    """
    from pydantic import ValidationError

    try:
        found: T = _adapter(typing.cast("Any", kind)).validate_json(json.dumps(_listed(kind, values), default=str))
    except ValidationError as refused:
        faults = refused.errors(include_url=False)
        fault = next((one for one in faults if one["type"] == UNKNOWN), faults[0])
        place = _place(fault, values)
        line = _line(line_of, place)
        if fault["type"] == UNKNOWN:
            raise unknown(_dotted(place), _beside(kind, place), file, line, advice) from None
        said, choices = _said([one for one in faults if _place(one, values) == place], place, values)
        raise wrong(line + said, file=file, next=advice or choices) from None
    for place, said, bounds in _out_of_bounds(found, ()):
        raise wrong(_line(line_of, place) + said, file=file, next=advice or bounds)
    return found


@cache
def _adapter(kind: Any) -> Any:
    from pydantic import TypeAdapter

    _configure(kind)
    return TypeAdapter(kind)


def _configure(kind: Any) -> None:
    """Tells pydantic how strict to be, for a dataclass and those in it."""
    kind.__pydantic_config__ = CONFIG
    for hint in typing.get_type_hints(kind).values():
        for inner in _tables(hint):
            _configure(inner)


def _tables(hint: Any) -> Iterator[Any]:
    """The dataclasses that a type is made of."""
    if dataclasses.is_dataclass(hint):
        yield hint
    for inner in get_args(hint):
        yield from _tables(inner)


def _listed(hint: Any, value: Any) -> Any:
    """The value with a lone text as a list where a list is wanted."""
    origin, inner = get_origin(hint), get_args(hint)
    if isinstance(value, Mapping):
        hints = typing.get_type_hints(hint) if dataclasses.is_dataclass(hint) else {}
        other = inner[1] if origin is Mapping else None
        return {name: _listed(hints.get(name, other), one) for name, one in value.items()}
    if origin is tuple and isinstance(value, list | tuple):
        return [_listed(inner[0], one) for one in value]
    return [value] if origin is tuple and isinstance(value, str) else value


def _place(fault: Mapping[str, Any], values: Any) -> Place:
    """Where a fault is, without the names that pydantic gives to the members of a union."""
    place: Place = ()
    for step in fault["loc"]:
        inside = isinstance(values, list) if isinstance(step, int) else isinstance(values, Mapping) and step in values
        if inside or fault["type"] == "missing":
            place = (*place, step)
            values = values[step] if inside else None
    return place


def _beside(kind: Any, place: Place) -> list[str]:
    """The names that may stand where `place` does."""
    for step in map(str, place[:-1]):
        kind = next(_tables(typing.get_type_hints(kind).get(step)), kind)
    return [_dotted((*place[:-1], field.name)) for field in dataclasses.fields(kind)]


def _dotted(place: Place) -> str:
    return "".join(f"[{step + 1}]" if isinstance(step, int) else f".{step}" for step in place).removeprefix(".")


def _line(line_of: Callable[[Place], int | None], place: Place) -> str:
    line = next((line for end in range(len(place), 0, -1) if (line := line_of(place[:end]))), None)
    return "" if line is None else f"line {line}: "


def _said(faults: Sequence[Mapping[str, Any]], place: Place, values: Any) -> tuple[str, str | None]:
    """What pydantic refused, in our words, and what may be chosen."""
    name = _dotted(place) or "the document"
    if faults[0]["type"] == "missing":
        return f"has no {name}", None
    for step in place:
        values = values[step]
    if faults[0]["type"] == "literal_error":
        choices = faults[0]["ctx"]["expected"].replace("'", "").replace(" or ", ", ")
        return f"{name} is {_shown(values)}", f"choose {choices}"
    wanted = " or ".join(dict.fromkeys(WANTED.get(one["type"], one["msg"]) for one in faults))
    return f"{name} is {_shown(values)}, and must be {wanted}", None


def unknown(name: str, known: Sequence[str], file: Path, line: str = "", advice: str | None = None) -> UsageError:
    """The error for a name that is none of those known, with the nearest of them."""
    near = difflib.get_close_matches(name, known, 1, 0.0)
    meant = f"did you mean {near[0]}?" if near else None
    told = "; ".join(one for one in (meant, advice) if one)
    return UsageError(f'{line}no field is called "{escaped(name)}"', file=file, next=told or None)


def _out_of_bounds(found: Any, above: Place) -> Iterator[tuple[Place, str, str]]:
    """The fields whose number is outside the bounds that `setting` gave them."""
    for field in dataclasses.fields(found):
        value, place = getattr(found, field.name), (*above, field.name)
        if dataclasses.is_dataclass(value):
            yield from _out_of_bounds(value, place)
        least, most = field.metadata.get("least"), field.metadata.get("most")
        if isinstance(value, bool) or not isinstance(value, int | float):
            continue
        if (least is not None and value < least) or (most is not None and value > most):
            bounds = f"at least {least:g}" if most is None else f"from {least:g} to {most:g}"
            yield place, f"{_dotted(place)} is {value!r}", f"give a number {bounds}"


def _shown(value: Any) -> str:
    return escaped(repr(value), 60)


WORDS = {str: "text", bool: "true or false", int: "a whole number", float: "a number"}
WANTED = {
    "string_type": "text",
    "bool_type": "true or false",
    "int_type": "a whole number",
    "float_type": "a number",
    "finite_number": "a finite number",
    "tuple_type": "a list",
    "dataclass_type": "a table",
    "dict_type": "a table",
}
"""pydantic's names of what is wrong, and what we say is wanted."""


def _named(hint: Any) -> str:
    origin = get_origin(hint)
    if origin is Literal:
        return " | ".join(f'"{choice}"' if isinstance(choice, str) else str(choice) for choice in get_args(hint))
    if origin in (Union, types.UnionType):
        return " or ".join(_named(choice) for choice in get_args(hint) if choice is not type(None))
    if origin is tuple:
        return f"a list of {_named(get_args(hint)[0])}"
    return WORDS.get(hint, "a table")


def _written(default: Any) -> str:
    if default is None:
        return "–"
    if isinstance(default, bool):
        return "true" if default else "false"
    if isinstance(default, str):
        return f'"{default}"'
    return json.dumps(list(default)) if isinstance(default, tuple) else f"{default:g}"
