"""Texts from files, folders and JSONL, exactly as they are: every byte is accounted for, nothing is repaired."""

from __future__ import annotations

import codecs
import hashlib
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import BinaryIO, Literal

from kaibo.documents.json_text import json_line
from kaibo.documents.reading import opened
from kaibo.errors import FormatError, MissingError, UsageError

Errors = Literal["strict", "replace", "ignore"]
"""What to do with bytes that are not UTF-8: refuse them, put U+FFFD in their place, or leave them out."""

SUFFIXES = (".txt", ".md", ".rst", ".text")
"""What a folder is searched for, beside `.jsonl`."""

FIELDS = ("text", "content")
"""Where a line of JSONL may have its text."""

TEXT_LIMIT = 64 << 20
"""Bytes of one text at most: finding its tokens takes up to 260 bytes of memory for each of them, 150 as a rule."""

LINE_LIMIT = 2 * TEXT_LIMIT
"""Bytes of a line of JSONL at most; escapes make it longer than its text."""


@dataclass(frozen=True)
class Document:
    """One text: its name, its characters, and the bytes before the first of them (a byte-order mark).

    `origin` says what was done to its tokens, where something was: they are no longer those of the characters.
    """

    name: str
    text: str = field(repr=False)
    skipped: int = 0
    origin: str = ""

    @property
    def hash(self) -> str:
        """32 hex digits of SHA-256 over the UTF-8 bytes: the same text has the same hash under any name.

        Where there is an `origin`, those of the text's hash and of what was done to it.
        """
        plain = hashlib.sha256(self.text.encode()).hexdigest()[:32]
        return hashlib.sha256(f"{plain}\0{self.origin}".encode()).hexdigest()[:32] if self.origin else plain


def read_texts(
    paths: str | os.PathLike[str] | Iterable[str | os.PathLike[str]], errors: Errors = "strict"
) -> list[Document]:
    """The documents of files and folders, in the order given, folders sorted by name.

    A `.jsonl` file holds a document a line (`text` or `content`), every other file is one document. Raises
    MissingError for what cannot be read or holds no text files, FormatError (with the offset or line) for bytes
    that are not UTF-8, for JSONL that is malformed or whose text holds half a surrogate pair, and for a text longer
    than `TEXT_LIMIT`, which is not read.
    """
    if errors not in ("strict", "replace", "ignore"):
        raise UsageError(f'"{errors}" is no way to treat bytes that are not UTF-8', next="strict, replace or ignore")
    several = [paths] if isinstance(paths, str | os.PathLike) else list(paths)
    found = [one for path in several for one in _read(os.fspath(path), errors)]
    if not found:
        raise MissingError("no texts were given", next="name a file, a folder or a .jsonl")
    return found


def _read(path: str, errors: Errors) -> Iterator[Document]:
    if not os.path.isdir(path):
        yield from _file(path, path, errors)
        return
    names = sorted(os.path.join(root, name) for root, _, files in os.walk(path) for name in files)
    texts = [name for name in names if name.lower().endswith((*SUFFIXES, ".jsonl"))]
    if not texts:
        raise MissingError(f"holds no texts ({', '.join((*SUFFIXES, '.jsonl'))})", file=path, next="name the files")
    for name in texts:
        yield from _file(name, os.path.relpath(name, path), errors)


def _file(path: str, name: str, errors: Errors) -> Iterator[Document]:
    try:
        with opened(path) as file:
            if path.lower().endswith(".jsonl"):
                yield from _lines(file, path, name, errors)
                return
            size = os.fstat(file.fileno()).st_size
            data = b"" if size > TEXT_LIMIT else file.read(TEXT_LIMIT + 1)
    except OSError as problem:
        raise MissingError(f"cannot be read: {problem.strerror}", file=path) from problem
    _check_length(max(size, len(data)), path)
    mark = len(codecs.BOM_UTF8) if data.startswith(codecs.BOM_UTF8) else 0
    yield Document(name, _decoded(data[mark:], path, mark, errors), mark)


def _check_length(size: int, path: str, where: str = "", most: int | None = None) -> None:
    limit = most or TEXT_LIMIT
    if size > limit:
        message = f"{where}is longer than {limit >> 20} MiB, the most that is read as one text"
        raise FormatError(message, file=path, next="split it: a file, or a line of .jsonl, is a text")


def _decoded(data: bytes, path: str, offset: int, errors: Errors) -> str:
    try:
        return data.decode("utf-8", errors)
    except UnicodeDecodeError as wrong:
        at = offset + wrong.start
        message = f"is not UTF-8: byte 0x{data[wrong.start]:02x}"
        raise FormatError(
            message, file=path, offset=at, next="--errors replace or ignore reads it all the same"
        ) from wrong


def _lines(file: BinaryIO, path: str, name: str, errors: Errors) -> Iterator[Document]:
    """A document a line; one line is in memory at a time."""
    offset = 0
    for number, whole in enumerate(iter(lambda: file.readline(LINE_LIMIT + 1), b""), 1):
        _check_length(len(whole), path, f"line {number} ", LINE_LIMIT)
        line = whole.removeprefix(codecs.BOM_UTF8) if number == 1 else whole
        if line.strip():
            text = _text_of(_decoded(line.rstrip(b"\n"), path, offset + len(whole) - len(line), errors), path, number)
            _check_length(len(text.encode()), path, f"the text of line {number} ")
            yield Document(f"{name}:{number}", text)
        offset += len(whole)


def _text_of(line: str, path: str, number: int) -> str:
    record = json_line(line, path, number)
    found = [record[name] for name in FIELDS if name in record] if isinstance(record, dict) else []
    if not found or not isinstance(found[0], str):
        raise FormatError(f'line {number} has no "text"', file=path, next='a line is {"text": "…"}')
    return str(found[0])
