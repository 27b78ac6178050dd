"""JSON from strangers, read strictly and forwards only: no recursion, nothing kept that was not asked for.

Python's `json` accepts UTF-16, NaN, duplicate keys and lone surrogates, and builds whole trees before a rule can be
checked. A weight file's header may be 100 MB, so here the reader says what it expects next, and the first byte that
is something else ends the reading with its exact place.
"""

from __future__ import annotations

import codecs
import json
import math
import re
from collections.abc import Iterator
from typing import Any, NoReturn

from kaibo.errors import FormatError, escaped

DEPTH_LIMIT = 64
"""Nesting that a skipped value may have."""

DIGITS = 300
"""Digits that a whole number may have, so that a float always holds it."""

WHITE = re.compile(rb"[ \t\n\r]*+")
"""What may stand between the parts of a JSON text."""

SPACES = re.compile(rb" *+")
"""What may pad the header of a safetensors file."""

_PLAIN = re.compile(rb'"([^"\\\x00-\x1f]*+)"')
_ESCAPED = re.compile(rb'"(?:[^"\\\x00-\x1f]++|\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4}))*+"')
_INTEGER = re.compile(rb"(?:0|[1-9][0-9]{0,19})(?![0-9.eE+\-])")
_SCALAR = re.compile(rb"-?(?:0|[1-9][0-9]*+)(?:\.[0-9]++)?+(?:[eE][+-]?+[0-9]++)?+|true|false|null")
_WORD = re.compile(rb"[^\s,:\[\]{}\"]{1,40}")
_CHUNK = 1 << 20
_WIDEST = 1 << 64
_WORDS: dict[str, bool | None] = {"true": True, "false": False, "null": None}

TOO_LARGE = "a number that is larger than a float holds"


def too_many(digits: int) -> str:
    """What is said of a whole number that is too long."""
    return f"a whole number of {digits:,} digits, and {DIGITS} are read at most"


class Cursor:
    """A place in a JSON text, and what may be read from there.

    `file` names the text in errors, `base` is the text's own byte offset in that file. Every method skips white
    space, reads one thing and raises FormatError where the text holds something else.

    >>> cursor = Cursor(b'{"a": 1, "b": 2}', "x.json")
    >>> [(key, cursor.integer()) for key, at in cursor.members()]
    [('a', 1), ('b', 2)]
    """

    def __init__(self, text: bytes, file: str, base: int = 0) -> None:
        self.text = text
        self.file = file
        self.base = base
        self.at = 0

    def fail(self, message: str, at: int | None = None, tensor: str | None = None) -> NoReturn:
        """Ends the reading with an error at byte `at` of the text (default: here)."""
        offset = self.base + (self.at if at is None else at)
        raise FormatError(message, file=self.file, tensor=tensor, offset=offset)

    def space(self) -> int:
        """Skips white space; the place after it."""
        found = WHITE.match(self.text, self.at)
        self.at = found.end() if found else self.at
        return self.at

    def seen(self) -> str:
        """What stands here, for a message."""
        here = self.text[self.at : self.at + 1]
        word = _WORD.match(self.text, self.at)
        if not here:
            return "the end of the text"
        if here == b'"':
            return "a string"
        if here == b"/":
            return "a comment"
        if here in b"{[":
            return "an object" if here == b"{" else "a list"
        return repr((word.group() if word else here).decode("utf-8", "backslashreplace"))

    def take(self, mark: bytes, where: str) -> None:
        """One punctuation mark."""
        at = self.space()
        if self.text[at : at + 1] != mark:
            self.fail(f"{where}: expected {mark.decode()!r}, found {self.seen()}")
        self.at = at + 1

    def more(self, close: bytes, where: str) -> bool:
        """After a member or an item: whether another one follows."""
        at = self.space()
        mark = self.text[at : at + 1]
        if mark not in (b",", close) or not mark:
            self.fail(f"{where}: expected ',' or {close.decode()!r}, found {self.seen()}")
        self.at = at + 1
        return mark == b","

    def string(self, where: str) -> str:
        """A string, its escapes read. Lone surrogates are refused: no text holds them."""
        at = self.space()
        plain = _PLAIN.match(self.text, at)
        if plain:
            self.at = plain.end()
            return str(plain.group(1), "utf-8")
        closes = self.text.find(b'"', at + 1) > 0  # cheap to know, before a long way through an open string
        found = _ESCAPED.match(self.text, at) if closes else None
        if not found:
            if self.text[at : at + 1] == b'"':
                self.fail(f"{where}: a string that does not end, or holds a bare control character or a bad escape")
            self.fail(f"{where}: expected a string, found {self.seen()}")
        self.at = found.end()
        value: str = json.loads(found.group())
        try:
            value.encode("utf-8")
        except UnicodeEncodeError:
            self.fail(f"{where}: a string with half a surrogate pair", at)
        return value

    def integer(self, where: str = "number") -> int:
        """A whole number from 0 to 2⁶⁴ − 1 in its one plain spelling."""
        at = self.space()
        found = _INTEGER.match(self.text, at)
        value = int(found.group()) if found else _WIDEST
        if not found or value >= _WIDEST:
            self.fail(f"{where}: expected a whole number from 0 to 2^64 - 1, found {self.seen()}")
        self.at = found.end()
        return value

    def members(self, where: str = "object") -> Iterator[tuple[str, int]]:
        """Each key of an object and its place; the caller reads the value before asking for the next key.

        A key that comes twice, however it is spelled, is refused.
        """
        self.take(b"{", where)
        if self.text[self.space() : self.at + 1] == b"}":
            self.at += 1
            return
        keys = set()
        while True:
            at = self.space()
            key = self.string(f"{where}: key")
            if key in keys:
                self.fail(f'{where}: the key "{escaped(key)}" comes twice', at)
            keys.add(key)
            self.take(b":", where)
            yield key, at
            if not self.more(b"}", where):
                return

    def items(self, where: str = "list") -> Iterator[int]:
        """The place of each item of a list; the caller reads the item before asking for the next."""
        self.take(b"[", where)
        if self.text[self.space() : self.at + 1] == b"]":
            self.at += 1
            return
        while True:
            yield self.space()
            if not self.more(b"]", where):
                return

    def skip(self, where: str = "value", depth: int = DEPTH_LIMIT) -> None:
        """Any value, checked and thrown away."""
        at = self.space()
        mark = self.text[at : at + 1]
        if mark in (b"{", b"[") and depth == 0:
            self.fail(f"{where}: nested deeper than {DEPTH_LIMIT}")
        if mark == b"{":
            for _ in self.members(where):
                self.skip(where, depth - 1)
        elif mark == b"[":
            for _ in self.items(where):
                self.skip(where, depth - 1)
        elif mark == b'"':
            self.string(where)
        else:
            found = _SCALAR.match(self.text, at)
            if not found:
                self.fail(f"{where}: expected a value, found {self.seen()}")
            self.at = found.end()

    def value(self, depth: int, where: str = "value") -> Any:
        """Any value, as Python has it. Refused are numbers that no float holds, and nesting deeper than `depth`."""
        at = self.space()
        mark = self.text[at : at + 1]
        if mark in (b"{", b"[") and depth == 0:
            self.fail(f"{where}: nested too deeply")
        if mark == b"{":
            return {key: self.value(depth - 1, where) for key, _ in self.members(where)}
        if mark == b"[":
            return [self.value(depth - 1, where) for _ in self.items(where)]
        return self.string(where) if mark == b'"' else self._scalar(where)

    def _scalar(self, where: str) -> Any:
        found = _SCALAR.match(self.text, self.at)
        if not found:
            self.fail(f"{where}: expected a value, found {self.seen()}")
        text = found.group().decode("ascii")
        number: bool | int | float | None
        if text in _WORDS:
            number = _WORDS[text]
        elif text.lstrip("-").isdigit():
            digits = len(text.lstrip("-"))
            number = int(text) if digits <= DIGITS else self.fail(f"{where}: {too_many(digits)}")
        else:
            number = float(text)
            if math.isinf(number):
                self.fail(f"{where}: {TOO_LARGE}")
        self.at = found.end()
        return number

    def finish(self, padding: re.Pattern[bytes], where: str) -> None:
        """Nothing but `padding` (`SPACES` or `WHITE`) follows."""
        rest = padding.match(self.text, self.at)
        self.at = rest.end() if rest else self.at
        if self.at != len(self.text):
            self.fail(f"{where}: {self.seen()} after the end of the object")


def check_utf8(text: bytes, file: str, base: int = 0) -> None:
    """Raises FormatError unless the text is UTF-8 without a byte order mark; needs 1 MiB whatever its length."""
    if text[:4] in (b"\xff\xfe\x00\x00", b"\x00\x00\xfe\xff") or text[:2] in (b"\xff\xfe", b"\xfe\xff"):
        raise FormatError("is UTF-16 or UTF-32 text, not UTF-8", file=file, offset=base)
    if text[:3] == b"\xef\xbb\xbf":
        raise FormatError("begins with a byte order mark", file=file, offset=base, next="save it as plain UTF-8")
    decoder = codecs.getincrementaldecoder("utf-8")()
    for start in range(0, max(len(text), 1), _CHUNK):
        pending = len(decoder.getstate()[0])
        try:
            decoder.decode(text[start : start + _CHUNK], final=start + _CHUNK >= len(text))
        except UnicodeDecodeError as problem:
            offset = base + start - pending + problem.start
            raise FormatError(f"is not UTF-8: {problem.reason}", file=file, offset=offset) from None
