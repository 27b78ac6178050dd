"""Bytes to text: which encoding a file is in, decided by strict decoding and never by replacing characters."""

from __future__ import annotations

import codecs
import gzip
import re
import zlib
from pathlib import Path

from kaibo.documents import reading as documents
from kaibo.errors import FormatError, UsageError
from kaibo.tables.files.encodings import codec_of, japanese_encoding

LARGEST = 2 << 30
"""Bytes of the largest table that is read: a table of scores is not larger, and it is held in memory."""

NAMES = "utf-8, utf-16, shift_jis, euc_jp, cp1252"
"""Encodings to name in messages; each is one that `--encoding` takes."""

_BOMS = ((codecs.BOM_UTF8, "utf-8-sig"), (codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16"))
_SHOWN = {"utf-8-sig": "UTF-8 with a byte order mark", "utf-16": "UTF-16", "utf-16-le": "UTF-16", "utf-16-be": "UTF-16"}
_SHOWN |= {
    "cp932": "Shift_JIS",
    "euc_jp": "EUC-JP",
    "euc_jis_2004": "EUC-JP",
    "iso2022_jp_2": "ISO-2022-JP",
    "cp1252": "CP1252",
}


def read_bytes(path: Path) -> bytes:
    """The bytes of a table, unpacked where it is gzip.

    Raises MissingError where the file cannot be read, FormatError where it is (or unpacks to) more than `LARGEST`.
    """
    data = documents.read_bytes(path, LARGEST)
    return _unpacked(data, path) if data[:2] == b"\x1f\x8b" else data


def _unpacked(data: bytes, path: Path) -> bytes:
    # A table of scores packs 3 to 20 times; what unpacks a thousandfold is an attack, so the cap follows the size.
    cap = min(LARGEST, max(64 << 20, 100 * len(data)))
    unpacker = zlib.decompressobj(wbits=gzip.zlib.MAX_WBITS | 16)  # type: ignore[attr-defined]
    try:
        unpacked = unpacker.decompress(data, cap + 1)
    except zlib.error as error:
        raise FormatError(f"broken gzip: {error}", file=path) from error
    if len(unpacked) > cap:
        raise FormatError(f"unpacks to more than {cap:,} bytes", file=path, next="unpack it yourself if you trust it")
    if not unpacker.eof:
        raise FormatError("the gzip stream ends too early", file=path, next="fetch it again")
    return unpacked


def decode(data: bytes, path: Path, encoding: str | None = None) -> tuple[str, tuple[str, ...]]:
    """The text of a table and notes about its encoding.

    Tried in order: a byte order mark, UTF-16 without one, strict UTF-8, then Shift_JIS (as Windows writes it) and
    EUC-JP by how much of what they give is plausible Japanese, then CP1252. A file that mixes encodings is an error
    with line and byte.
    """
    if encoding is not None:
        return _strict(data, path, encoding), ()
    guess = _encoding(data, path)
    if guess == "utf-8":
        return data.decode(), ()
    return _strict(data, path, guess), (f"read as {_SHOWN[guess]}",)


def _strict(data: bytes, path: Path, encoding: str) -> str:
    try:
        return data.decode(codec_of(encoding))
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        raise FormatError(
            f"line {line}: byte 0x{data[error.start]:02x} is not {_SHOWN.get(encoding, encoding)}",
            file=path,
            offset=error.start,
            next=f"say what it is with --encoding ({NAMES})",
        ) from error
    except (LookupError, ValueError) as error:
        raise UsageError(f'no encoding "{encoding}" is known', next=NAMES) from error


def _encoding(data: bytes, path: Path) -> str:
    for mark, name in _BOMS:
        if data.startswith(mark):
            return name
    head = data[:4096]
    if len(head) >= 4 and head.count(0) * 4 >= len(head):  # ASCII in UTF-16 has a zero in every second byte
        return "utf-16-le" if head[1::2].count(0) > head[0::2].count(0) else "utf-16-be"
    if b"\x1b$" in data and data.isascii():  # ISO-2022-JP, as old mail programs save it
        return "iso2022_jp_2"
    try:
        data.decode()
    except UnicodeDecodeError as error:
        return _legacy(data, path, error)
    return "utf-8"


def _legacy(data: bytes, path: Path, error: UnicodeDecodeError) -> str:
    line = data[: error.start].count(b"\n") + 1
    place = f"line {line}: byte 0x{data[error.start]:02x}"
    if error.reason == "unexpected end of data" and error.end == len(data):
        raise FormatError(
            f"line {line}: the file ends inside a character; it is cut",
            file=path,
            offset=error.start,
            next="fetch it again",
        )
    if re.search(rb"[\xe3-\xe9][\x80-\xbf]{2}[\xe3-\xef][\x80-\xbf]{2}", data[: error.start]):
        raise FormatError(
            f"{place} is not UTF-8, though the lines before it are",
            file=path,
            offset=error.start,
            next="the file mixes encodings; write it again in one",
        )
    japanese = japanese_encoding(data)
    if japanese is not None:
        return japanese
    try:
        data.decode("cp1252")
    except UnicodeDecodeError as western:
        line = data[: western.start].count(b"\n") + 1
        raise FormatError(
            f"line {line}: byte 0x{data[western.start]:02x} fits neither UTF-8, Shift_JIS, EUC-JP nor CP1252",
            file=path,
            offset=western.start,
            next=f"say what it is with --encoding ({NAMES})",
        ) from western
    return "cp1252"
