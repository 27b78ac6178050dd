"""What a file really is, from its first bytes: so that an error can say more than "not a safetensors file".

Nothing is unpacked and nothing is unpickled; opcodes of a pickle are only read.
"""

from __future__ import annotations

import re
from typing import NoReturn

from kaibo.errors import FormatError, PolicyError
from kaibo.models.places import Place

START = 4096
"""Bytes from the beginning that are looked at."""

_TAIL = 1 << 16
NO_PICKLES = "convert it to safetensors; this version reads no pickles, not even with --allow-pickle"
"""What to do about a pickle."""

_FETCH = "fetch the weights themselves"
_MAGIC: tuple[tuple[bytes, str, str], ...] = (
    (b"GGUF", "a GGUF file", "this version reads safetensors; give the model's safetensors folder"),
    (b"\x93NUMPY", "a numpy .npy file", _FETCH),
    (b"%PDF-", "a PDF document", _FETCH),
    (b"\x89HDF\r\n\x1a\n", "an HDF5 file", "convert it to safetensors"),
    (b"\x1f\x8b", "a gzip archive", "unpack it first"),
    (b"\x28\xb5\x2f\xfd", "a zstd archive", "unpack it first"),
    (b"\xfd7zXZ\x00", "an xz archive", "unpack it first"),
    (b"BZh", "a bzip2 archive", "unpack it first"),
    (b"7z\xbc\xaf\x27\x1c", "a 7z archive", "unpack it first"),
    (b"Rar!\x1a\x07", "a RAR archive", "unpack it first"),
    (b"PAR1", "a Parquet file", _FETCH),
    (b"\x89PNG\r\n\x1a\n", "a PNG picture", _FETCH),
    (b"\xff\xd8\xff", "a JPEG picture", _FETCH),
    (b"\x7fELF", "a program", _FETCH),
    (b"SQLite format 3\x00", "an SQLite database", _FETCH),
    (b"{", "JSON text without the length in front", "it was not written by a safetensors writer"),
)
_LFS = re.compile(rb"\Aversion https://git-lfs|\Aversion https://hawser")
_HTML = re.compile(rb"\A(?:\xef\xbb\xbf)?\s*<(?:!doctype|html|head|body|script|\?xml|!--)", re.IGNORECASE)
_PICKLE_INSIDE = re.compile(rb"\.pkl|\.pickle|pickle\x00|constants\.pkl|/data\.pkl")


def refuse(place: Place, start: bytes, reason: str, offset: int | None = None) -> NoReturn:
    """Raises the error for a file that is no safetensors file, naming what it is where that can be told.

    PolicyError for pickles and archives of pickles, FormatError for everything else.
    """
    if start.startswith(b"PK\x03\x04") or start[257:262] == b"ustar":
        kind = "ZIP" if start.startswith(b"PK") else "TAR"
        _refuse_archive(place, start, kind)
    found = _named(start)
    if found is not None:
        raise FormatError(f"is {found[0]}, not a safetensors file", file=place.name, next=found[1])
    if _is_pickle(start):
        raise PolicyError("is a pickle, which runs code when it is opened", file=place.name, next=NO_PICKLES)
    if start and not start.strip(b"\x00"):
        message = f"begins with {len(start)} zero bytes, not a safetensors header"
        raise FormatError(message, file=place.name, offset=0, next="the download did not finish; fetch it again")
    raise FormatError(
        reason, file=place.name, offset=offset, next="the file is cut or was not written by a safetensors writer"
    )


def _refuse_archive(place: Place, start: bytes, kind: str) -> NoReturn:
    tail = place.read(max(0, place.size - _TAIL), min(place.size, _TAIL))
    if _PICKLE_INSIDE.search(start) or _PICKLE_INSIDE.search(tail):
        message = f"is a {kind} archive of pickles (torch.save), which run code when they are opened"
        raise PolicyError(message, file=place.name, next=NO_PICKLES)
    raise FormatError(f"is a {kind} archive, not a safetensors file", file=place.name, next="unpack it first")


def _named(start: bytes) -> tuple[str, str] | None:
    if _LFS.match(start):
        return "a git-LFS pointer", 'run "git lfs pull"'
    if _HTML.match(start):
        return "an HTML page", "the download was answered with a web page; fetch it again, logged in if need be"
    return next(((kind, what) for magic, kind, what in _MAGIC if start.startswith(magic)), None)


def _is_pickle(start: bytes) -> bool:
    """Known by its opcodes, which are read and never executed: a protocol and another one, or one that loads or calls.

    A header's length may look like a protocol (1,152 is 0x80 0x04), but then its JSON follows.
    """
    import pickletools

    if start[7:9] == b"\0{":
        return False
    telling = {"GLOBAL", "INST", "STACK_GLOBAL", "REDUCE", "BUILD", "OBJ", "NEWOBJ", "STOP", "EXT1", "EXT2", "EXT4"}
    begins_with_protocol = start[:1] == b"\x80"
    try:
        for count, (opcode, _, _) in enumerate(pickletools.genops(start)):
            if count and (begins_with_protocol or opcode.name in telling):
                return True
            if opcode.name in telling and opcode.name != "STOP":
                return True
    except (ValueError, OverflowError, IndexError):
        return False
    return False
