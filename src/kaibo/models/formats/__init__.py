"""Bytes of a place come in; named, typed and checked tensors go out. One module a format.

A format is a name, the endings of its files, `claims(name, first bytes)` and `read(place, beside) → Contents`: entries
(name, type, shape, place of the bytes), and where the file itself has them config, tokenizer and canonical names.
`read` enforces every rule of the format, allocates nothing that an unchecked number asks for and executes nothing.
To add one, write its module and list it here: the law test of `tests/models/formats` runs over this list.
"""

from __future__ import annotations

import math
import re

from kaibo.errors import FormatError
from kaibo.models.formats import adapter, gguf, onnx, safetensors, torch_distributed, torch_zip
from kaibo.models.formats.contents import Beside, Contents, Entry, Format, StoredTensor, alone, stored
from kaibo.models.formats.sniff import START
from kaibo.models.places import Place

__all__ = ["FORMATS", "Contents", "Entry", "Format", "StoredTensor", "format_named", "read", "stored"]

FORMATS: tuple[Format, ...] = (
    adapter.FORMAT,
    gguf.FORMAT,
    torch_zip.FORMAT,
    torch_distributed.FORMAT,
    onnx.FORMAT,
    safetensors.FORMAT,
)
"""Every format, in the order in which they are asked; the last one says what an unknown file really is."""

_HALVES = re.compile("[\ud800-\udfff]")
ROOM = 1 << 24
"""Bytes that tensors may hold beyond four times their files (indices that repeat a value)."""


def format_named(name: str) -> Format | None:
    """The format that a file's name promises; None for a name that promises none."""
    return next((one for one in FORMATS if name.lower().endswith(one.endings)), None)


def read(place: Place, name: str, beside: Beside = alone) -> Contents:
    """What a file holds, by the first format that claims it; `beside` opens files of its folder that it names.

    Raises what the format raises; FormatError or PolicyError naming what the file really is where none claims it.
    """
    start = place.read(0, min(place.size, START))
    found = next((one for one in FORMATS if one.claims(name, start)), FORMATS[-1]).read(place, beside)
    _check(found, place)
    return found


def _check(found: Contents, place: Place) -> None:
    """Names are texts, and tensors do not repeat each other's bytes without end."""
    files = {id(one): one.size for entry in found.entries for one in (piece.place for piece in entry.pieces)}
    most = 4 * (sum(files.values()) + place.size) + ROOM
    held = 0
    for entry in found.entries:
        held += math.prod(entry.shape) * entry.dtype.bits // 8
        if held > most:
            message = (
                f"the tensors up to it hold {held} bytes, more than four times their files: they repeat each other"
            )
            raise FormatError(message, file=place.name, tensor=entry.name, next="do not trust this file")
        if _HALVES.search(entry.name):
            raise FormatError("its name is no text", file=place.name, tensor=entry.name, next="rename it")
