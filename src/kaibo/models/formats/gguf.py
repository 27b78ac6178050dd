"""GGUF, read strictly: a header of metadata and tensor infos, then the tensors' bytes, aligned.

Source: the format's own text (ggml, docs/gguf.md), versions 2 and 3, both byte orders. Every count and length is
bounded by the file before anything is allocated for it. What the metadata mean is said by `gguf_meaning`.
"""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, NoReturn

import numpy as np

from kaibo.errors import FormatError, escaped
from kaibo.models.formats.contents import Beside, Contents, Entry, Format, alone
from kaibo.models.formats.gguf_meaning import meaning
from kaibo.models.places import Place
from kaibo.vocabulary import DTYPES, DType

MAGIC = b"GGUF"
HEADER_LIMIT = 1 << 28
"""Bytes of metadata and tensor infos that are read at most."""

LONGEST_NAME, MOST_AXES, DEEPEST = 65_535, 4, 4
_WINDOW = 1 << 20
_CUT = "the file is cut or was not written by a GGUF writer"

PLAIN: Mapping[int, str] = {0: "F32", 1: "F16", 24: "I8", 25: "I16", 26: "I32", 27: "I64", 28: "F64", 30: "BF16"}
"""Type codes whose values are stored as they are."""

BLOCKS: Mapping[int, tuple[str, int, int]] = {
    2: ("Q4_0", 32, 18),
    3: ("Q4_1", 32, 20),
    6: ("Q5_0", 32, 22),
    7: ("Q5_1", 32, 24),
    8: ("Q8_0", 32, 34),
    9: ("Q8_1", 32, 40),
    10: ("Q2_K", 256, 84),
    11: ("Q3_K", 256, 110),
    12: ("Q4_K", 256, 144),
    13: ("Q5_K", 256, 176),
    14: ("Q6_K", 256, 210),
    15: ("Q8_K", 256, 292),
    16: ("IQ2_XXS", 256, 66),
    17: ("IQ2_XS", 256, 74),
    18: ("IQ3_XXS", 256, 98),
    19: ("IQ1_S", 256, 50),
    20: ("IQ4_NL", 32, 18),
    21: ("IQ3_S", 256, 110),
    22: ("IQ2_S", 256, 82),
    23: ("IQ4_XS", 256, 136),
    29: ("IQ1_M", 256, 56),
    34: ("TQ1_0", 256, 54),
    35: ("TQ2_0", 256, 66),
    39: ("MXFP4", 32, 17),
    40: ("NVFP4", 64, 36),
    41: ("Q1_0", 128, 18),
}
"""Type codes of packed blocks: name, values of a block, bytes of a block."""

_NUMBERS = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 10: "Q", 11: "q", 12: "d"}
_BOOL, _STRING, _ARRAY = 7, 8, 9


@dataclass
class _Reader:
    """The header of a file, read forwards through a window; no length is believed that passes the end."""

    place: Place
    order: str = "<"
    at: int = 0
    _window: bytes = b""
    _begin: int = 0

    def fail(self, message: str, at: int | None = None, tensor: str | None = None) -> NoReturn:
        offset = self.at if at is None else at
        raise FormatError(message, file=self.place.name, tensor=tensor, offset=offset, next=_CUT)

    def take(self, size: int) -> bytes:
        if size > self.place.size - self.at or self.at + size > HEADER_LIMIT:
            left = min(self.place.size, HEADER_LIMIT) - self.at
            self.fail(f"{size} bytes of header are promised, {max(left, 0)} are left")
        if self.at + size > self._begin + len(self._window):
            self._begin = self.at
            self._window = self.place.read(self.at, min(max(size, _WINDOW), self.place.size - self.at))
        first = self.at - self._begin
        self.at += size
        return self._window[first : first + size]

    def number(self, kind: str) -> Any:
        found = struct.unpack(self.order + kind, self.take(struct.calcsize(kind)))[0]
        return float(str(np.float32(found))) if kind == "f" else found  # 1e-06, not 9.999999974752427e-07

    def count(self, least: int, what: str) -> int:
        """How many things follow, each of at least so many bytes."""
        at = self.at
        found: int = self.number("Q")
        if found > (self.place.size - self.at) // least:
            self.fail(f"{found} {what} are promised, the file has {self.place.size - self.at} bytes left", at)
        return found

    def text(self, what: str, longest: int = HEADER_LIMIT) -> str:
        at = self.at
        length = self.count(1, f"bytes of {what}")
        if length > longest:
            self.fail(f"{what} is {length} bytes long, at most {longest} are read", at)
        return self.take(length).decode("utf-8", "surrogateescape")


def claims(name: str, start: bytes) -> bool:
    """Whether a file is of this format: by its name or its first four bytes."""
    return start.startswith(MAGIC) or name.lower().endswith(".gguf")


def read(place: Place, beside: Beside = alone) -> Contents:
    """The tensors and the metadata of a GGUF file, every rule of the format checked."""
    reader, tensors, metadata = _begun(place)
    infos = list(_infos(reader, tensors))
    alignment = metadata.get("general.alignment", 32)
    if type(alignment) is not int or alignment <= 0 or alignment & (alignment - 1):
        reader.fail(f"general.alignment is {escaped(alignment, 40)}, expected a power of two", 4)
    data = -(-reader.at // alignment) * alignment
    entries = tuple(_entry(reader, info, data, alignment) for info in infos)
    _check_layout(reader, entries, data, alignment)
    digest = hashlib.sha256(place.read(0, reader.at)).hexdigest()
    said = meaning(metadata, {entry.name: entry.shape for entry in entries})
    return Contents(entries, digest, metadata=metadata, **said)


def metadata_of(place: Place) -> dict[str, Any]:
    """The metadata of a GGUF file alone. Raises FormatError as `read` does."""
    return _begun(place)[2]


def _begun(place: Place) -> tuple[_Reader, int, dict[str, Any]]:
    """A reader behind the metadata, how many tensors follow, and the metadata."""
    reader = _Reader(place)
    if place.size < 24 or reader.take(4) != MAGIC:
        reader.fail(f'does not begin with "GGUF" and a header; it is {place.size} bytes long', 0)
    _version(reader)
    tensors = reader.count(24, "tensors")
    return reader, tensors, dict(_metadata(reader, reader.count(12, "keys of metadata")))


def _version(reader: _Reader) -> None:
    version = reader.number("I")
    if version & 0xFFFF == 0:  # written big end first
        reader.order = ">"
        version = struct.unpack(">I", struct.pack("<I", version))[0]
    if version not in (2, 3):
        raise FormatError(
            f"is GGUF version {version}; versions 2 and 3 are read",
            file=reader.place.name,
            offset=4,
            next="convert it again with a current llama.cpp",
        )


def _metadata(reader: _Reader, count: int) -> Iterator[tuple[str, Any]]:
    seen: set[str] = set()
    for _ in range(count):
        at = reader.at
        key = reader.text("a key of metadata", LONGEST_NAME)
        if key in seen:
            reader.fail(f'the key "{escaped(key)}" stands twice in the metadata', at)
        seen.add(key)
        yield key, _value(reader, reader.number("I"), 0)


def _value(reader: _Reader, kind: int, depth: int) -> Any:
    if kind in _NUMBERS:
        return reader.number(_NUMBERS[kind])
    if kind == _BOOL:
        found = reader.number("B")
        if found > 1:
            reader.fail(f"a truth value is {found}, expected 0 or 1", reader.at - 1)
        return bool(found)
    if kind == _STRING:
        return reader.text("a text of metadata")
    if kind != _ARRAY:
        reader.fail(f"{kind} is no type of metadata", reader.at - 4)
    if depth >= DEEPEST:
        reader.fail(f"arrays of metadata are nested more than {DEEPEST} deep")
    inner = reader.number("I")
    if inner in _NUMBERS:
        width = struct.calcsize(_NUMBERS[inner])
        length = reader.count(width, "values of an array")
        return list(struct.unpack(f"{reader.order}{length}{_NUMBERS[inner]}", reader.take(length * width)))
    length = reader.count({_BOOL: 1, _STRING: 8}.get(inner, 12), "values of an array")
    return [_value(reader, inner, depth + 1) for _ in range(length)]


@dataclass(frozen=True)
class _Info:
    name: str
    axes: tuple[int, ...]
    kind: int
    offset: int
    at: int


def _infos(reader: _Reader, count: int) -> Iterator[_Info]:
    seen: set[str] = set()
    for _ in range(count):
        at = reader.at
        name = reader.text("a tensor's name", LONGEST_NAME)
        if name in seen:
            reader.fail("stands twice in the header", at, name)
        seen.add(name)
        axes = reader.number("I")
        if axes > MOST_AXES:
            reader.fail(f"has {axes} dimensions, the format allows {MOST_AXES}", at, name)
        shape = tuple(reader.number("Q") for _ in range(axes))[::-1]
        yield _Info(name, shape, reader.number("I"), reader.number("Q"), at)


def _entry(reader: _Reader, info: _Info, data: int, alignment: int) -> Entry:
    """An info as an entry, its bytes inside the file."""
    dtype, shape = _stored(reader, info)
    size, limit = 1, reader.place.size * 8
    for axis in shape:
        size *= axis
        if size > limit:
            break
    size = size * dtype.bits // 8
    begin = data + info.offset
    if info.offset % alignment:
        reader.fail(f"begins at {info.offset}, which is no multiple of {alignment}", info.at, info.name)
    if begin + size > reader.place.size:
        reader.fail(f"ends at {begin + size}, the file at {reader.place.size}", info.at, info.name)
    return Entry(info.name, dtype, shape, begin, begin + size, reader.order == ">")


def _stored(reader: _Reader, info: _Info) -> tuple[DType, tuple[int, ...]]:
    """The type of a tensor and its shape as stored: blocks count their bytes along the last axis."""
    if info.kind in PLAIN:
        return DTYPES[PLAIN[info.kind]], info.axes
    if info.kind not in BLOCKS:
        reader.fail(f"is of type {info.kind}, which is not one of the format's", info.at, info.name)
    name, values, width = BLOCKS[info.kind]
    if not info.axes or info.axes[-1] % values:
        shown = ", ".join(map(str, info.axes))
        reader.fail(f"[{shown}] of {name} does not divide into blocks of {values}", info.at, info.name)
    return DType(name, 8, "packed"), (*info.axes[:-1], info.axes[-1] // values * width)


def _check_layout(reader: _Reader, entries: tuple[Entry, ...], data: int, alignment: int) -> None:
    """The tensors follow each other with nothing between them but what fills up to the alignment."""
    expected = data
    for entry in sorted(entries, key=lambda entry: (entry.begin, entry.end)):
        if entry.begin != expected:
            what = "overlaps the tensor before it" if entry.begin < expected else "leaves a hole before it"
            reader.fail(f"begins at {entry.begin}, expected {expected}; it {what}", entry.begin, entry.name)
        expected = -(-entry.end // alignment) * alignment
    last = max((entry.end for entry in entries), default=data)
    if reader.place.size > max(expected, last):
        reader.fail(f"{reader.place.size - expected} bytes follow the last tensor", expected)


def joined(files: Mapping[str, Contents]) -> dict[str, Contents]:
    """The files of a split model, in order: what the first one says holds for the tensors of all.

    Raises FormatError where the files do not say that they belong together.
    """
    series = list(files.items())
    first = series[0][1]
    count = first.metadata.get("split.count", len(series))
    for number, (name, one) in enumerate(series):
        said = one.metadata.get("split.no", number), one.metadata.get("split.count", count)
        if said != (number, len(series)):
            message = (
                f"says that it is part {said[0]} of {said[1]}, counted from 0; it stands as {number} of {len(series)}"
            )
            raise FormatError(message, file=name, next="fetch the parts of one model again")
    promised, held = first.metadata.get("split.tensors.count"), sum(len(one.entries) for _, one in series)
    if type(promised) is int and promised != held:
        message = f"the parts hold {held} tensors, the first one promises {promised}"
        raise FormatError(message, file=series[0][0], next="fetch the parts of one model again")
    shapes = {entry.name: entry.shape for _, one in series for entry in one.entries}
    whole = replace(first, **meaning(first.metadata, shapes))
    return {name: whole if one is first else Contents(one.entries, one.digest) for name, one in series}


FORMAT = Format("gguf", (".gguf",), claims, read)

assert not set(PLAIN) & set(BLOCKS), "a type code is either plain or packed"


def sizes(dtype: str) -> tuple[int, int] | None:
    """Values and bytes of a block of a packed type; None for any other.

    >>> sizes("Q4_K"), sizes("BF16"), sizes("Q8_0")
    ((256, 144), None, (32, 34))
    """
    return next(((values, width) for name, values, width in BLOCKS.values() if name == dtype), None)
