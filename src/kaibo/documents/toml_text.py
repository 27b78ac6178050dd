"""TOML as Python values: every fault with its line and column, and the line on which each key stands."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from datetime import date, time
from typing import Any, NoReturn

from kaibo.documents.json_text import DEPTH
from kaibo.documents.reading import TOML_LIMIT, Path, place, read_text
from kaibo.documents.strict_json import DIGITS, too_many
from kaibo.errors import FormatError

_LONG_STRING = r'''"""(?:[^"\\]++|\\.|"(?!""))*+"{3,5}|'{3}(?:[^']++|'(?!''))*+'{3,5}'''
_STRING = rf"""{_LONG_STRING}|"(?:[^"\\\n]++|\\.)*+"|'[^'\n]*+(?:')"""
_SKIPPED = rf"{_STRING}|\#[^\n]*+"
_PART = rf"(?:[A-Za-z0-9_-]++|{_STRING})"
_DOTTED = rf"{_PART}(?:[ \t]*+\.[ \t]*+{_PART})*+"
_STATEMENT = re.compile(
    rf"^[ \t]*+(?:(?P<open>\[\[?+)[ \t]*+(?P<table>{_DOTTED})|(?P<key>{_DOTTED})[ \t]*+=)", re.MULTILINE | re.DOTALL
)
_PLACED = re.compile(r"(.*) \(at (?:line (\d+), column (\d+)|end of document)\)", re.DOTALL)
_LONG = re.compile(rf"(?:\b0[xob])?[0-9a-fA-F_]{{{DIGITS},}}")

Lines = dict[tuple[str | int, ...], int]
"""Where keys stand: the path of a value (keys, and places in lists from 0) to its line from 1."""


def read_toml(path: Path, advice: str | None = None) -> dict[str, Any]:
    """The table of a TOML file. Raises as `read_text` and `toml_value` do."""
    return toml_value(read_text(path, TOML_LIMIT, advice), path)


def toml_value(text: str, file: Path) -> dict[str, Any]:
    """The table of a TOML text; dates and times become text.

    Raises FormatError with line and column for what is not TOML, is nested deeper than `DEPTH`, or holds a number of
    more digits than any float.

    >>> toml_value("a.b = [1, 2024-01-01]", "x.toml")
    {'a': {'b': [1, '2024-01-01']}}
    """
    _check_depth(text, file)
    try:
        found = tomllib.loads(text)
    except tomllib.TOMLDecodeError as wrong:
        _broken(str(wrong), text, file)
    except (ValueError, OverflowError, RecursionError) as wrong:  # what int() and datetime say by themselves
        _unread(text, file, wrong)
    return dict(_plain(found, text, file, DEPTH))


def _broken(said: str, text: str, file: Path) -> NoReturn:
    found = _PLACED.fullmatch(said)
    line, column = (found[2], found[3]) if found else (None, None)
    where = f"line {line}, column {column}" if line else place(text, len(text))
    raise FormatError(f"is not TOML: {where}: {found[1] if found else said}", file=file)


def _unread(text: str, file: Path, wrong: Exception) -> NoReturn:
    for found in _LONG.finditer(_blanked(text)):
        raise FormatError(f"is not TOML: {place(text, found.start())}: {too_many(len(found[0]))}", file=file) from wrong
    raise FormatError(f"is not TOML that can be read: {wrong}", file=file) from wrong


def _check_depth(text: str, file: Path) -> None:
    """Refuses deep nesting, of brackets or of dotted keys, before the parser meets it."""
    if max(text.count("[") + text.count("{"), text.count(".")) <= DEPTH:
        return
    depth, blanked = 0, _blanked(text)
    for found in re.finditer(rf"[\[\]{{}}]|(?:[\w-]++[ \t]*+\.[ \t]*+){{{DEPTH}}}", blanked):
        depth += 1 if found[0] in "[{" else -1 if found[0] in "]}" else DEPTH
        if depth > DEPTH - 1:
            raise FormatError(f"is not TOML: {place(text, found.start())}: nested too deeply", file=file)


def _blanked(text: str, what: str = _SKIPPED) -> str:
    """The text with strings and comments as `_`, so that every place keeps its number."""
    return re.sub(what, lambda found: re.sub(r"[^\n]", "_", found[0]), text, flags=re.DOTALL)


def _plain(value: Any, text: str, file: Path, depth: int) -> Any:
    """The value with dates as text."""
    if depth < 0:
        raise FormatError("is not TOML that can be read: nested too deeply", file=file)
    if isinstance(value, dict):
        return {key: _plain(one, text, file, depth - 1) for key, one in value.items()}
    if isinstance(value, list):
        return [_plain(one, text, file, depth - 1) for one in value]
    if isinstance(value, int) and abs(value) >= 10**DIGITS:
        _unread(text, file, ValueError(too_many(len(hex(value)))))
    return value.isoformat() if isinstance(value, date | time) else value


def toml_lines(text: str) -> Lines:
    r"""The line of every table and key of a text that was read; keys of inline tables are not among them.

    >>> toml_lines("[a]\nb = 1\n[[d]]\nx = 1\n[[d]]\n")
    {('a',): 1, ('a', 'b'): 2, ('d', 0): 3, ('d',): 3, ('d', 0, 'x'): 4, ('d', 1): 5}
    """
    lines: Lines = {}
    above: tuple[str | int, ...] = ()
    counts: dict[tuple[str | int, ...], int] = {}
    line, before = 1, 0
    for found in _STATEMENT.finditer(_blanked(text, _LONG_STRING)):
        line, before = line + text.count("\n", before, found.start()), found.start()
        if found["open"]:
            above = _table(tuple(_parts(found["table"])), counts, new=found["open"] == "[[")
            path = above
        else:
            path = (*above, *_parts(found["key"]))
        for end in range(len(path), 0, -1):
            lines.setdefault(path[:end], line)
    return lines


def _table(keys: tuple[str, ...], counts: dict[tuple[str | int, ...], int], new: bool) -> tuple[str | int, ...]:
    """The path of a header: behind every list of tables stands the place of its last one."""
    path: tuple[str | int, ...] = ()
    for number, key in enumerate(keys, 1):
        path = (*path, key)
        if new and number == len(keys):
            counts[path] = counts.get(path, 0) + 1
        if path in counts:
            path = (*path, counts[path] - 1)
    return path


def _parts(dotted: str) -> Iterator[str]:
    for found in re.finditer(_PART, dotted, re.DOTALL):
        yield found[0].strip("\"'")
