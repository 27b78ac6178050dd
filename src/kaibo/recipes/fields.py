"""Typed settings out of a stranger's table: every value is checked, and an unknown name is answered with the nearest.

Settings are frozen dataclasses whose fields carry their own description, so that the page of the fields, the check
and the default are one text.
"""

from __future__ import annotations

import dataclasses
import difflib
import json
import types
import typing
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal, TypeVar, Union, get_args, get_origin

from kaibo.errors import UsageError, escaped

T = TypeVar("T")


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
    hints = _hints(kind)
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


def read(kind: type[T], values: Mapping[str, Any], file: str, where: str = "") -> T:
    """A settings object from a table.

    Raises UsageError that names the file, the field and what would be right: an unknown name (with the nearest), a
    value of another type, a number out of its bounds, a choice that is none.
    """
    hints = _hints(kind)
    fields = {field.name: field for field in dataclasses.fields(typing.cast("Any", kind))}
    read_values: dict[str, Any] = {}
    for name, value in values.items():
        if name not in fields:
            raise unknown(f"{where}{name}", [f"{where}{known}" for known in fields], file)
        read_values[name] = _value(hints[name], value, f"{where}{name}", file)
        _bounded(fields[name], read_values[name], f"{where}{name}", file)
    missing = [name for name, field in fields.items() if _needed(field) and name not in read_values]
    if missing:
        raise UsageError(f"has no {where}{missing[0]}", file=file, next=fields[missing[0]].metadata.get("help"))
    return kind(**read_values)


def unknown(name: str, known: list[str], file: str) -> UsageError:
    """The error for a name that is none of those known, with the nearest of them."""
    near = difflib.get_close_matches(name, known, 1, 0.0)
    return UsageError(
        f'no setting is called "{escaped(name)}"', file=file, next=f"did you mean {near[0]}?" if near else None
    )


def _needed(field: dataclasses.Field[Any]) -> bool:
    return field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING


def _hints(kind: type[Any]) -> dict[str, Any]:
    return typing.get_type_hints(kind)


def _value(hint: Any, value: Any, name: str, file: str) -> Any:
    if dataclasses.is_dataclass(hint):
        if not isinstance(value, Mapping):
            raise _wrong(name, "a table", value, file)
        return read(typing.cast("type[Any]", hint), value, file, f"{name}.")
    origin = get_origin(hint)
    if origin is Literal:
        if value not in get_args(hint):
            raise UsageError(
                f"{name} is {_shown(value)}", file=file, next=f"choose {', '.join(map(str, get_args(hint)))}"
            )
        return value
    if origin in (Union, types.UnionType):
        return _either(hint, value, name, file)
    if origin is tuple:
        items = [value] if isinstance(value, str) else value
        if not isinstance(items, list | tuple):
            raise _wrong(name, "a list", value, file)
        return tuple(_value(get_args(hint)[0], item, name, file) for item in items)
    return _plain(hint, value, name, file)


def _either(hint: Any, value: Any, name: str, file: str) -> Any:
    """The first of several types that the value fits."""
    for choice in get_args(hint):
        if choice is type(None):
            if value is None:
                return None
            continue
        try:
            return _value(choice, value, name, file)
        except UsageError:
            continue
    raise _wrong(name, _named(hint), value, file)


CHECKS: Mapping[Any, Callable[[Any], bool]] = {
    str: lambda value: isinstance(value, str),
    bool: lambda value: isinstance(value, bool),
    int: lambda value: isinstance(value, int) and not isinstance(value, bool),
    float: lambda value: isinstance(value, int | float) and not isinstance(value, bool),
}


def _plain(hint: Any, value: Any, name: str, file: str) -> Any:
    if not CHECKS[hint](value):
        raise _wrong(name, _named(hint), value, file)
    return float(value) if hint is float else value


def _bounded(field: dataclasses.Field[Any], value: Any, name: str, file: str) -> None:
    least, most = field.metadata.get("least"), field.metadata.get("most")
    if not isinstance(value, int | float) or isinstance(value, bool):
        return
    if (least is not None and not value >= least) or (most is not None and not value <= most):
        bounds = f"at least {least:g}" if most is None else f"from {least:g} to {most:g}"
        raise UsageError(f"{name} is {value!r}", file=file, next=f"give a number {bounds}")


def _wrong(name: str, wanted: str, value: Any, file: str) -> UsageError:
    return UsageError(f"{name} is {_shown(value)}, and must be {wanted}", file=file)


def _shown(value: Any) -> str:
    return escaped(repr(value), 60)


WORDS = {str: "text", bool: "true or false", int: "a whole number", float: "a number"}


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
