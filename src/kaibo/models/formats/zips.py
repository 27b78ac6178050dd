"""The members of a ZIP archive as ranges of bytes: names, offsets and sizes, every one of them checked.

Source: PKWARE's APPNOTE.TXT, 4.3 and 4.5 (ZIP64). Nothing is unpacked. What torch.save writes is stored as it is, one
member after the other, so that a member is a range of the file.
"""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import NoReturn

from kaibo.errors import FormatError, escaped
from kaibo.models.places import Place

MAGIC = b"PK\x03\x04"
DIRECTORY_LIMIT, MOST = 1 << 26, 1 << 17
"""Bytes of the list of members that are read at most, and members."""

STORED = 0
_CUT = "the file is cut or was not written by torch.save; fetch it again"
_END, _END64, _LOCATOR, _LISTED = b"PK\x05\x06", b"PK\x06\x06", b"PK\x06\x07", b"PK\x01\x02"
_FULL16, _FULL32 = 0xFFFF, 0xFFFFFFFF
_LOCAL = 30


@dataclass(frozen=True)
class Member:
    """One file of an archive; `offset` is where its own header begins, `limit` where the next thing does."""

    place: Place
    name: str
    offset: int
    size: int
    packed: int
    method: int
    limit: int

    @cached_property
    def begin(self) -> int:
        """The absolute offset of its bytes. Raises FormatError where header and list of members disagree."""
        start = self.place.read(self.offset, _LOCAL)
        length, extra = (int.from_bytes(start[at : at + 2], "little") for at in (26, 28))
        name = self.place.read(self.offset + _LOCAL, min(length, self.place.size - self.offset - _LOCAL))
        begin = self.offset + _LOCAL + length + extra
        if start[:4] != MAGIC or name.decode("utf-8", "surrogateescape") != self.name:
            _fail(self.place, f'the header of "{escaped(self.name)}" names another member', self.offset)
        if begin + self.packed > self.limit:
            _fail(self.place, f'"{escaped(self.name)}" reaches into what follows it', self.offset)
        return begin

    def read(self, limit: int) -> bytes:
        """All of its bytes, where it is stored as it is and not longer than `limit`."""
        self.check_stored()
        if self.size > limit:
            _fail(self.place, f'"{escaped(self.name)}" is {self.size} bytes long, the limit is {limit}', self.offset)
        return self.place.read(self.begin, self.size)

    def check_stored(self) -> None:
        """Raises FormatError for a member that is compressed, whose bytes are not those of the file."""
        if self.method != STORED or self.size != self.packed:
            message = f'"{escaped(self.name)}" is compressed, which torch.save never does'
            raise FormatError(
                message, file=self.place.name, offset=self.offset, next="unpack the archive and save it with torch.save"
            )


@dataclass(frozen=True)
class Archive:
    """The members of an archive by name, and the SHA-256 of the list of them."""

    members: Mapping[str, Member]
    digest: str


def open_archive(place: Place) -> Archive:
    """The members of a ZIP archive. Raises FormatError with the place of the first fault."""
    begin, size, count = _directory(place)
    if size > DIRECTORY_LIMIT or count > min(size // 46, MOST):
        _fail(place, f"{count} members in {size} bytes are promised", begin)
    listed = place.read(begin, size)
    found: list[tuple[str, int, int, int, int]] = []
    at = 0
    for _ in range(count):
        at = _member(place, begin, listed, at, found)
    if at != size:
        _fail(place, f"{size - at} bytes follow the last member of the list", begin + at)
    return Archive(_checked(place, found, begin), hashlib.sha256(listed).hexdigest())


def _fail(place: Place, message: str, offset: int) -> NoReturn:
    raise FormatError(f"ZIP: {message}", file=place.name, offset=offset, next=_CUT)


def _directory(place: Place) -> tuple[int, int, int]:
    """Where the list of members begins, its bytes, and how many it lists."""
    tail = place.read(max(0, place.size - 22 - _FULL16), min(place.size, 22 + _FULL16))
    at = tail.rfind(_END)
    while at >= 0 and (at + 22 > len(tail) or at + 22 + int.from_bytes(tail[at + 20 : at + 22], "little") != len(tail)):
        at = tail.rfind(_END, 0, at)
    if at < 0:
        _fail(place, "the list of members at its end is missing", place.size)
    end = place.size - len(tail) + at
    disk, first, here, count, size, begin = struct.unpack_from("<HHHHII", tail, at + 4)
    stop = end
    if end >= 20 and (locator := place.read(end - 20, 20))[:4] == _LOCATOR:
        stop = int.from_bytes(locator[8:16], "little")
        if stop + 56 > end - 20 or (record := place.read(stop, 56))[:4] != _END64:
            _fail(place, "the ZIP64 end of the list of members is missing", end - 20)
        disk, first, here, count, size, begin = struct.unpack_from("<IIQQQQ", record, 16)
    if disk or first or here != count:
        _fail(place, "is one part of an archive in several files", end)
    if begin + size != stop:
        _fail(place, f"the list of members ends at {begin + size}, expected {stop}", end)
    return begin, size, count


def _member(place: Place, base: int, listed: bytes, at: int, found: list[tuple[str, int, int, int, int]]) -> int:
    """Reads one line of the list; the offset of the next one."""
    if listed[at : at + 4] != _LISTED or at + 46 > len(listed):
        _fail(place, "the list of members is cut", base + at)
    flags, method = struct.unpack_from("<HH", listed, at + 8)
    packed, size, length, extra, comment = struct.unpack_from("<IIHHH", listed, at + 20)
    (offset,) = struct.unpack_from("<I", listed, at + 42)
    stop: int = at + 46 + length + extra + comment
    if stop > len(listed):
        _fail(place, "the list of members is cut", base + at)
    name = listed[at + 46 : at + 46 + length].decode("utf-8", "surrogateescape")
    if flags & 0x2041:
        _fail(place, f'"{escaped(name)}" is encrypted', base + at)
    wide = _wide(listed[at + 46 + length : at + 46 + length + extra])
    values = []
    for value in (size, packed, offset):
        if value == _FULL32:
            if len(wide) < 8:
                _fail(place, f'"{escaped(name)}" lacks its sizes in 64 bits', base + at)
            value, wide = int.from_bytes(wide[:8], "little"), wide[8:]
        values.append(value)
    found.append((name, values[2], values[0], values[1], method))
    return stop


def _wide(extra: bytes) -> bytes:
    """The field of sizes and offsets in 64 bits; empty where there is none."""
    at = 0
    while at + 4 <= len(extra):
        kind, size = struct.unpack_from("<HH", extra, at)
        if kind == 1:
            return extra[at + 4 : at + 4 + size]
        at += 4 + size
    return b""


def _checked(place: Place, found: list[tuple[str, int, int, int, int]], end: int) -> dict[str, Member]:
    """The members, each before the next one and before the list; no name twice."""
    ordered = sorted(found, key=lambda one: one[1])
    members: dict[str, Member] = {}
    for (name, offset, size, packed, method), following in pairwise([*ordered, ("", end, 0, 0, 0)]):
        limit = following[1]
        if name in members:
            _fail(place, f'"{escaped(name)}" stands twice in the archive', offset)
        if offset + _LOCAL + len(name.encode("utf-8", "surrogateescape")) + packed > limit:
            _fail(place, f'"{escaped(name)}" of {packed} bytes reaches into what follows it', offset)
        members[name] = Member(place, name, offset, size, packed, method, limit)
    return members
