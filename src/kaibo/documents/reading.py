"""Opens small files safely: regular files only, never more bytes than the kind allows, UTF-8 or the place it is not."""

from __future__ import annotations

import codecs
import os
import stat
from typing import BinaryIO, NoReturn

from kaibo.errors import FormatError, MissingError, UsageError

TOML_LIMIT = 1 << 20
YAML_LIMIT = 1 << 18
JSON_LIMIT = 1 << 24
TEXT_LIMIT = 64 << 20
DATA_LIMIT = 2 << 30
"""Bytes that are read at most: of a task, recipe or manifest; of a merge configuration; of a JSON document; of one
text; of a file of rows."""

MARK = codecs.BOM_UTF8

_KINDS = (
    (stat.S_ISDIR, "a folder"),
    (stat.S_ISFIFO, "a named pipe"),
    (stat.S_ISCHR, "a device"),
    (stat.S_ISBLK, "a device"),
    (stat.S_ISSOCK, "a socket"),
)
_WIDE = (codecs.BOM_UTF32_LE, codecs.BOM_UTF32_BE, codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)

Path = str | os.PathLike[str]


def opened(path: Path, advice: str | None = None) -> BinaryIO:
    """The regular file `path`, open for reading.

    A folder, a pipe, a device or a socket is refused without waiting for it. Raises MissingError with `advice` where
    the file is absent, is of another kind or may not be read, UsageError where `path` cannot be a path.
    """
    try:
        _check_regular(os.stat(path), path, advice)
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as problem:
        _unreadable(problem, path, advice)
    except ValueError as problem:  # a NUL in the path
        raise UsageError("is not a path", file=path) from problem
    file = os.fdopen(descriptor, "rb")
    try:  # again: another file may have taken its place between the two calls
        _check_regular(os.fstat(descriptor), path, advice)
    except MissingError:
        file.close()
        raise
    return file


def _check_regular(status: os.stat_result, path: Path, advice: str | None) -> None:
    if not stat.S_ISREG(status.st_mode):
        kind = next((kind for is_kind, kind in _KINDS if is_kind(status.st_mode)), "not a file")
        raise MissingError(f"is {kind}, and a regular file is needed", file=path, next=advice)


def _unreadable(problem: OSError, path: Path, advice: str | None) -> NoReturn:
    absent = isinstance(problem, FileNotFoundError | NotADirectoryError)
    message = "no such file" if absent else f"cannot be read: {problem.strerror or problem}"
    raise MissingError(message, file=path, next=advice) from problem


def read_bytes(path: Path, limit: int, advice: str | None = None) -> bytes:
    """All bytes of a regular file of at most `limit` bytes. Raises as `opened` does, FormatError for a longer file."""
    with opened(path, advice) as file:
        size = os.fstat(file.fileno()).st_size
        try:
            data = file.read(limit + 1) if size <= limit else b""
        except OSError as problem:
            _unreadable(problem, path, advice)
    if max(size, len(data)) > limit:
        raise FormatError(f"is longer than {shown_size(limit)}, the most that is read", file=path)
    return data


def read_text(path: Path, limit: int = TEXT_LIMIT, advice: str | None = None) -> str:
    """The text of a regular UTF-8 file, a byte order mark left out. Raises as `read_bytes` and `text_of` do."""
    return text_of(read_bytes(path, limit, advice), path)


def text_of(data: bytes, file: Path, base: int = 0, advice: str | None = None) -> str:
    """Bytes as text, a byte order mark left out.

    Raises FormatError for what is not UTF-8, with the byte's offset in the file (`base` is that of `data`).
    """
    skipped = len(MARK) if data.startswith(MARK) else 0
    if data.startswith(_WIDE):
        raise FormatError("is UTF-16 or UTF-32, not UTF-8", file=file, offset=base, next="save it as UTF-8")
    try:
        return str(memoryview(data)[skipped:], "utf-8")
    except UnicodeDecodeError as wrong:
        at = skipped + wrong.start
        line = data.count(b"\n", 0, at) + 1
        message = f"is not UTF-8: byte 0x{data[at]:02x} in line {line}"
        raise FormatError(message, file=file, offset=base + at, next=advice) from wrong


def shown_size(limit: int) -> str:
    """A limit in words, such as `16 MiB`."""
    units = ((1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB"))
    return next((f"{limit // unit} {name}" for unit, name in units if limit >= unit), f"{limit} bytes")


def place(text: str, at: int) -> str:
    """Line and column of a character, both from 1.

    >>> place("a\\nbc", 3)
    'line 2, column 2'
    """
    begin = text.rfind("\n", 0, at) + 1
    line = text.count("\n", 0, at) + 1
    return f"line {line}, column {at - begin + 1}"
