"""Bytes of a place come in; named, typed and checked tensors go out. One module a format.

A format is a name, the endings of its files, `claims(name, first bytes)` and `read(place, beside) → Contents`: entries
(name, type, shape, place of the bytes), and where the file itself has them config, tokenizer and canonical names.
`read` enforces every rule of the format, allocates nothing that an unchecked number asks for and executes nothing.
To add one, write its module and list it here: the law test of `tests/models/formats` runs over this list.
"""

from __future__ import annotations

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


def format_named(name: str) -> Format | None:
    """The format that a file's name promises; None for a name that promises none."""
    return next((one for one in FORMATS if name.lower().endswith(one.endings)), None)


def read(place: Place, name: str, beside: Beside = alone) -> Contents:
    """What a file holds, by the first format that claims it; `beside` opens files of its folder that it names.

    Raises what the format raises; FormatError or PolicyError naming what the file really is where none claims it.
    """
    start = place.read(0, min(place.size, START))
    return next((one for one in FORMATS if one.claims(name, start)), FORMATS[-1]).read(place, beside)
