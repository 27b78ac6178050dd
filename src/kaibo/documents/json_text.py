"""JSON and JSON lines as Python values: strict, bounded, and every fault with its line and column.

Python's own parser is fast and says little: it takes NaN, keys that come twice, half characters and numbers of any
length, and a deep text is a RecursionError. Here it does the work on what is sound; what it may not judge is read
again by `strict_json.Cursor`, which knows the place of everything.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, NoReturn

from kaibo.documents.reading import JSON_LIMIT, Path, place, read_bytes, text_of
from kaibo.documents.strict_json import DIGITS, WHITE, Cursor
from kaibo.errors import FormatError
from kaibo.words import note

DEPTH = 128
"""How deep objects and lists may be nested."""

_BRACKET = re.compile(r'[^"\[\]{}]*+(?:"(?:[^"\\]++|\\.)*+"[^"\[\]{}]*+)*+([\[\]{}])', re.DOTALL)
_HALF_LIKELY = re.compile(r"\\u[dD][89a-fA-F]")
_HEX = "[0-9a-fA-F]{2}"
_ESCAPE = re.compile(rf"\\(?:u[dD][89abAB]{_HEX}\\u[dD][c-fC-F]{_HEX}|(?P<half>u[dD][89a-fA-F]{_HEX})|.)", re.DOTALL)


class _DoubtError(Exception):
    """The fast reader met something that the careful one must place or refuse."""


def read_json(path: Path, limit: int = JSON_LIMIT, advice: str | None = None) -> Any:
    """The value of a JSON file. Raises as `read_bytes` and `json_value` do."""
    return json_value(read_bytes(path, limit, advice), path)


def json_value(data: bytes | str, file: Path, notes: list[str] | None = None) -> Any:
    """The value of a JSON text.

    Raises FormatError with line and column for what is not JSON, is nested deeper than `DEPTH`, holds half a
    character, a key twice, NaN, or a number that no float holds. With `notes` NaN and infinity are read as None and
    of two equal keys the last one counts; both are noted.

    >>> json_value('{"a": [1, 2.5]}', "x.json")
    {'a': [1, 2.5]}
    """
    text = data if isinstance(data, str) else text_of(data, file)
    return _value(text, file, notes, lambda at: f"is not JSON: {place(text, at)}: ")


def json_lines(lines: Iterable[bytes], file: Path) -> Iterator[tuple[int, Any]]:
    r"""Number and value of each line that is not empty; only `\n` ends a line. Raises FormatError naming the line.

    >>> list(json_lines([b"1\n", b"\n", b'"\xc2\x85"'], "x.jsonl"))
    [(1, 1), (3, '\x85')]
    """
    offset = 0
    for number, line in enumerate(lines, 1):
        if line.strip():
            yield number, json_line(line, file, number, offset)
        offset += len(line)


def json_line(line: bytes | str, file: Path, number: int, offset: int = 0) -> Any:
    """The value of line `number`, which begins at byte `offset`; NaN and infinity are read as None."""
    text = line if isinstance(line, str) else text_of(line, file, offset)
    notes: list[str] = []
    found = _value(text, file, notes, lambda at: f"line {number} is not JSON: column {at + 1}: ")
    if TWICE in notes:  # which of two texts counts is nothing to guess
        _careful(text, file, lambda at: f"line {number} is not JSON: column {at + 1}: ")
    return found


MISSING, TWICE = note("json_missing"), note("json_twice")


def _value(text: str, file: Path, notes: list[str] | None, where: Callable[[int], str]) -> Any:
    odd: set[str] = set()

    def pairs(members: list[tuple[str, Any]]) -> dict[str, Any]:
        found = dict(members)
        if len(found) != len(members):
            _note(odd, TWICE, notes)
        return found

    def real(number: str) -> float | None:
        value = float(number)
        if math.isfinite(value):
            return value
        _note(odd, MISSING, notes)
        return None

    try:
        _check_depth(text)
        found = json.loads(text, object_pairs_hook=pairs, parse_float=real, parse_int=_whole, parse_constant=real)
        _check_halves(text)
    except json.JSONDecodeError as wrong:
        cut = wrong.pos >= len(text.rstrip()) or wrong.msg.startswith("Unterminated")
        what = "the text ends inside a value; it is cut" if cut else wrong.msg
        raise FormatError(f"{where(wrong.pos)}{what}", file=file) from wrong
    except (_DoubtError, RecursionError):
        _careful(text, file, where)
    if notes is not None:
        notes.extend(sorted(odd))
    return found


def _note(odd: set[str], what: str, notes: list[str] | None) -> None:
    if notes is None:
        raise _DoubtError
    odd.add(what)


def _whole(number: str) -> int:
    if len(number.lstrip("-")) > DIGITS:
        raise _DoubtError
    return int(number)


def _check_depth(text: str) -> None:
    if text.count("[") + text.count("{") <= DEPTH:
        return
    depth = 0
    for found in _BRACKET.finditer(text):
        depth += 1 if found[1] in "[{" else -1
        if depth > DEPTH:
            raise _DoubtError


def _check_halves(text: str) -> None:
    if _HALF_LIKELY.search(text) and any(found["half"] for found in _ESCAPE.finditer(text)):
        raise _DoubtError


def _careful(text: str, file: Path, where: Callable[[int], str]) -> NoReturn:
    """The error for a text that the fast reader doubted."""
    data = text.encode("utf-8", "surrogatepass")
    cursor = Cursor(data, str(file))
    try:
        cursor.value(DEPTH)
        cursor.finish(WHITE, "value")
    except FormatError as wrong:
        at = len(data[: wrong.offset].decode("utf-8", "replace"))
        raise FormatError(f"{where(at)}{wrong.message.removeprefix('value: ')}", file=file) from None
    raise FormatError("is not JSON that can be read", file=file)


def json_line_of(text: str, path: Sequence[str | int]) -> int | None:
    """The line on which the value under `path` (keys and places in lists) begins, in a text that was read."""
    cursor, at = Cursor(text.encode("utf-8", "surrogatepass"), ""), 0
    try:
        for step in path:
            at = _stepped(cursor, step)
    except (FormatError, StopIteration):
        return None
    return cursor.text.count(b"\n", 0, at) + 1


def _stepped(cursor: Cursor, step: str | int) -> int:
    """Goes to a member or an item; its place. Raises StopIteration or FormatError where there is none."""
    if isinstance(step, str):
        for key, at in cursor.members():
            if key == step:
                return at
            cursor.skip(depth=DEPTH)
    else:
        for place, at in enumerate(cursor.items()):
            if place == step:
                return at
            cursor.skip(depth=DEPTH)
    raise StopIteration
