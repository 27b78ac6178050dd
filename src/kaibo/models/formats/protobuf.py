"""Messages of protobuf as fields over ranges of a place: numbers, and where texts, bytes and inner messages lie.

Source: protobuf.dev, "Encoding". Nothing is read that is not asked for: a field of two gigabytes is two offsets.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple, NoReturn

from kaibo.errors import FormatError
from kaibo.models.places import Place

FIELDS = 1 << 22
"""Fields of a file that are looked at, at most."""

_WINDOW = 1 << 16
_CUT = "the file is cut or was not written by protobuf"


class Field(NamedTuple):
    """One field of a message: a number (`value`), or (`value` is None) bytes from `begin` to `end` of the place."""

    number: int
    value: int | None
    begin: int
    end: int


@dataclass
class Messages:
    """A place read as protobuf, through a window."""

    place: Place
    _window: bytes = b""
    _at: int = 0
    _seen: int = 0

    def fail(self, message: str, at: int) -> NoReturn:
        """Raises FormatError with the offset."""
        raise FormatError(f"protobuf: {message}", file=self.place.name, offset=at, next=_CUT)

    def fields(self, begin: int, end: int) -> Iterator[Field]:
        """The fields of the message from `begin` to `end`."""
        at = begin
        while at < end:
            self._seen += 1
            if self._seen > FIELDS:
                self.fail(f"more than {FIELDS} fields", at)
            key, at = self._number(at, end)
            number, wire = key >> 3, key & 7
            if number == 0 or wire not in (0, 1, 2, 5):
                self.fail(f"{key} is not the beginning of a field", at)
            value, first = None, at
            if wire == 0:
                value, at = self._number(at, end)
            elif wire == 2:
                length, first = self._number(at, end)
                at = first + length
            else:
                at += 8 if wire == 1 else 4
            if at > end:
                self.fail(f"a field ends at {at}, its message at {end}", first)
            yield Field(number, value, first, at)

    def numbers(self, field: Field) -> Iterator[int]:
        """The numbers of a repeated field that is packed into one."""
        at = field.begin
        while at < field.end:
            value, at = self._number(at, field.end)
            yield value

    def read(self, field: Field, limit: int, what: str) -> bytes:
        """The bytes of a field, where they are not more than `limit`."""
        size = field.end - field.begin
        if size > limit:
            self.fail(f"{what} is {size} bytes long, the limit is {limit}", field.begin)
        return self._bytes(field.begin, size)

    def _number(self, at: int, end: int) -> tuple[int, int]:
        found = 0
        data = self._bytes(at, min(10, end - at))
        for place, byte in enumerate(data):
            found |= (byte & 0x7F) << (7 * place)
            if byte < 0x80:
                return found & ((1 << 64) - 1), at + place + 1
        return self.fail("a number is cut or has more than ten bytes", at)

    def _bytes(self, at: int, size: int) -> bytes:
        if not self._at <= at or at + size > self._at + len(self._window):
            self._at = at
            self._window = self.place.read(at, min(max(size, _WINDOW), self.place.size - at))
        return self._window[at - self._at : at - self._at + size]
