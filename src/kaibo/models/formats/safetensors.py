"""safetensors, read strictly: eight bytes of length, a JSON header, then the tensors' bytes without a hole.

Source: the format's own text, github.com/huggingface/safetensors, section "Format". Every rule of it is enforced
before a value is believed. Lengths are checked before anything is allocated, products are whole numbers of any size.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace

from kaibo.documents.strict_json import SPACES, Cursor, check_utf8
from kaibo.errors import FormatError, escaped
from kaibo.models.formats import sniff
from kaibo.models.formats.contents import Beside, Contents, Entry, Format, alone
from kaibo.models.places import Place
from kaibo.vocabulary import DTYPES, DType

HEADER_LIMIT = 100_000_000
"""The format's cap on the length of a header, in bytes."""

METADATA = "__metadata__"
FIELDS = ("dtype", "shape", "data_offsets")
_PREFIX = 8
_CUT = "the file is cut or was not written by a safetensors writer"

# One entry as the reference writer spells it; any other spelling is read field by field.
_S = rb"[ \t\n\r]*+"
_N = rb"(?:0|[1-9][0-9]{0,18})"
_USUAL = re.compile(
    (
        rb'~\{~"dtype"~:~"([A-Z0-9_]{1,16})"~,~"shape"~:~\[~((?:#(?:~,~#)*+)?+)~\]~,'
        rb'~"data_offsets"~:~\[~(#)~,~(#)~\]~\}'
    )
    .replace(b"~", _S)
    .replace(b"#", _N)
)


@dataclass(frozen=True, slots=True)
class Header:
    """What a file says of itself: its tensors in the order of the header, counted from `data`, and its metadata.

    `data` is the absolute offset of the first tensor's bytes, `sha256` the hash of everything before it.
    """

    entries: tuple[Entry, ...]
    metadata: Mapping[str, str]
    data: int
    sha256: str


def claims(name: str, start: bytes) -> bool:
    """Whether a file is of this format: by its name, or by a JSON header that follows eight bytes of length."""
    return name.endswith(".safetensors") or (start[6:9] == b"\0\0{" and int.from_bytes(start[:8], "little") > 1)


def read(place: Place, beside: Beside = alone) -> Contents:
    """The tensors of a safetensors file, under absolute offsets. Raises as `read_header` does."""
    header = read_header(place)
    entries = tuple(
        replace(entry, begin=header.data + entry.begin, end=header.data + entry.end) for entry in header.entries
    )
    return Contents(entries, header.sha256)


def read_header(place: Place) -> Header:
    """The header of a safetensors file, every rule of the format checked.

    Raises FormatError with the tensor and the absolute byte offset of the first fault; PolicyError for a pickle
    that bears the name of a safetensors file.
    """
    start = place.read(0, min(place.size, sniff.START))
    length = int.from_bytes(start[:_PREFIX], "little")
    reason = _length_fault(place.size, length)
    if reason is not None:
        sniff.refuse(place, start, reason, 0)
    if start[_PREFIX : _PREFIX + 1] != b"{":
        if start[_PREFIX] in b"\xff\xfe\xef":
            check_utf8(start[_PREFIX : _PREFIX + 4], place.name, _PREFIX)
        sniff.refuse(place, start, "the header does not begin with '{'", _PREFIX)
    text = place.read(_PREFIX, length)
    check_utf8(text, place.name, _PREFIX)
    entries, metadata = _parse(Cursor(text, place.name, _PREFIX), place.size)
    data = _PREFIX + length
    _check_layout(entries, data, place.size - data, place.name)
    digest = hashlib.sha256(start[:_PREFIX])
    digest.update(text)
    return Header(tuple(entries), metadata, data, digest.hexdigest())


def _length_fault(size: int, length: int) -> str | None:
    if size < _PREFIX:
        return f"is {size} bytes long, too short for the eight bytes of a header's length"
    if length > HEADER_LIMIT:
        return f"a header of {length} bytes is promised, the format allows {HEADER_LIMIT}"
    if length > size - _PREFIX:
        return f"a header of {length} bytes is promised, the file has {size - _PREFIX} after its length"
    if length < len("{}"):
        return f"a header of {length} bytes is promised, the shortest is 2"
    return None


def _parse(cursor: Cursor, size: int) -> tuple[list[Entry], Mapping[str, str]]:
    entries: list[Entry] = []
    metadata: dict[str, str] = {}
    for name, at in cursor.members("header"):
        if name == METADATA:
            where = "header: __metadata__"
            metadata = {key: cursor.string(f"{where}: values are strings") for key, _ in cursor.members(where)}
        else:
            entries.append(_entry(cursor, name, at, size))
    cursor.finish(SPACES, "header")
    return entries, metadata


def _entry(cursor: Cursor, name: str, at: int, size: int) -> Entry:
    usual = _USUAL.match(cursor.text, cursor.at)
    if usual:
        cursor.at = usual.end()
        kind, dimensions, first, last = usual.groups()
        shape = tuple(map(int, dimensions.split(b","))) if dimensions else ()
        dtype, begin, end = kind.decode("ascii"), int(first), int(last)
    else:
        try:
            dtype, shape, begin, end = _fields(cursor)
        except FormatError as problem:
            raise FormatError(problem.message, file=problem.file, tensor=name, offset=problem.offset) from None
    if dtype not in DTYPES:
        cursor.fail(f'dtype "{escaped(dtype)}" is not one of the format\'s', at, name)
    fault = _size_fault(DTYPES[dtype], shape, begin, end, size)
    if fault:
        cursor.fail(fault, at, name)
    return Entry(name, DTYPES[dtype], shape, begin, end)


def _fields(cursor: Cursor) -> tuple[str, tuple[int, ...], int, int]:
    dtype = ""
    shape: tuple[int, ...] = ()
    offsets: list[int] = []
    missing = set(FIELDS)
    for key, at in cursor.members("entry"):
        missing.discard(key)
        if key == "dtype":
            dtype = cursor.string("dtype")
        elif key == "shape":
            shape = tuple(cursor.integer("shape") for _ in cursor.items("shape"))
        elif key == "data_offsets":
            offsets = [cursor.integer("data_offsets") for _ in cursor.items("data_offsets")]
        else:
            cursor.fail(f'entry: the field "{escaped(key)}" is not one of {", ".join(FIELDS)}', at)
    if missing:
        cursor.fail(f"entry: lacks {', '.join(sorted(missing))}")
    if len(offsets) != 2:
        cursor.fail(f"data_offsets: expected two numbers, found {len(offsets)}")
    return dtype, shape, offsets[0], offsets[1]


def _size_fault(dtype: DType, shape: tuple[int, ...], begin: int, end: int, size: int) -> str | None:
    """Why shape, type and offsets do not belong together, or None."""
    if end < begin:
        return f"data_offsets end at {end}, before they begin at {begin}"
    values = _product(shape)
    if values is not None and values * dtype.bits == 8 * (end - begin):
        return None
    shown = ", ".join(map(str, shape[:8])) + (", …" if len(shape) > 8 else "")
    if values is None:
        return f"shape [{shown}] counts more values than 64 bits can"
    if values * dtype.bits % 8 and values <= 8 * size:
        return f"{values} values of {dtype.name} do not end on a byte"
    needs = f"{values * dtype.bits // 8}" if values <= 8 * size else f"more than {size}"
    return f"shape [{shown}] of {dtype.name} needs {needs} bytes, data_offsets span {end - begin}"


def _product(shape: tuple[int, ...]) -> int | None:
    """The number of values; None where it passes 64 bits on the way, as the reference counts: before a zero, too."""
    product = 1
    for dimension in shape:
        product *= dimension
        if product >= 1 << 64:
            return None
    return product


def _check_layout(entries: list[Entry], data: int, length: int, file: str) -> None:
    """The tensors cover the bytes after the header once each, in some order, without a hole."""
    expected = 0
    for entry in sorted(entries, key=lambda entry: (entry.begin, entry.end)):
        if entry.begin != expected:
            message = f"begins at {entry.begin}, expected {expected}"
            raise FormatError(message, file=file, tensor=entry.name, offset=data + entry.begin, next=_CUT)
        if entry.end > length:
            message = f"ends at {entry.end}, the file holds {length} bytes of tensors"
            raise FormatError(message, file=file, tensor=entry.name, offset=data + entry.begin, next=_CUT)
        expected = entry.end
    if expected != length:
        message = f"{length - expected} bytes follow the last tensor"
        raise FormatError(message, file=file, offset=data + expected, next="it was not written by a safetensors writer")


FORMAT = Format("safetensors", (".safetensors",), claims, read)
