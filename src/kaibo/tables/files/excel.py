"""Excel workbooks: the first visible sheet (or the one named), values only, entities and links off."""

from __future__ import annotations

import datetime
import io
import re
import zipfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from kaibo.errors import FormatError, KaiboError, UsageError, escaped, missing_extra
from kaibo.tables.files.sheets import Grid, Hints, Sheet, sheet_of, text_of

UNPACKED = 64 << 20
"""Bytes that the parts of a workbook may unpack to: about a million cells, half a minute of reading."""

MOST_PARTS = 10_000
MOST_CELLS = 4_000_000
"""Cells that are looked at, empty ones included: a single cell in the last column makes a row of 16,384."""

MOST_ROWS = 1 << 20
"""Rows that a sheet has in Excel."""

_DECLARED = re.compile(rb"""<\?xml[^>]{0,200}encoding\s{0,9}=\s{0,9}["']([A-Za-z0-9._-]{1,40})["']""")
_ENCODINGS = (b"utf-8", b"utf-16", b"utf-16le", b"utf-16be", b"us-ascii", b"ascii", b"iso-8859-1")


def read_excel(data: bytes, path: Path, hints: Hints) -> Sheet:
    """The sheet of an .xlsx workbook; a note says which sheet was read and which were not.

    Raises FormatError for whatever is no workbook, for document type declarations (they can pull in files), for
    parts that unpack to more than `UNPACKED` bytes and for a date where a score should be; MissingError without the
    extra `tables`.
    """
    try:
        import openpyxl
    except ImportError as error:
        raise missing_extra("tables", "Excel files") from error
    _look_inside(data, path)
    try:
        book = openpyxl.load_workbook(io.BytesIO(data), read_only=True, data_only=True, keep_links=False)
        sheets = {sheet.title: sheet for sheet in book.worksheets}
        visible = [name for name, sheet in sheets.items() if sheet.sheet_state == "visible"]
        name = hints.sheet or next(iter(visible or sheets), "")
        if name not in sheets:
            shown = ", ".join(escaped(other, 60) for other in visible) or "none"
            raise UsageError(f'no sheet "{escaped(name, 60)}" in {path}', next=f"it has {shown}")
        sheets[name].reset_dimensions()  # what the file says of its size is not believed
        grid = _grid(sheets[name].iter_rows(values_only=True), path, name)
        book.close()
    except KaiboError:
        raise
    except Exception as error:  # the library passes on whatever its parsers and Python's dates raise
        said = escaped((str(error).splitlines() or [""])[0], 200)
        raise FormatError(f"no workbook that can be read ({type(error).__name__}: {said})", file=path) from error
    others = [escaped(other, 60) for other in book.sheetnames if other != name]
    notes = (f'read the sheet "{escaped(name, 60)}"' + (f"; not read: {', '.join(others)}" if others else ""),)
    return sheet_of(Grid(path, grid.header, grid.rows, grid.lines, notes, "row", typed=True), hints)


def _look_inside(data: bytes, path: Path) -> None:
    """Refuses, before anything is parsed, archives that unpack to too much and parts that are more than plain XML."""
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            parts = archive.infolist()
            if len(parts) > MOST_PARTS:
                raise FormatError(f"{len(parts):,} parts; a workbook has up to {MOST_PARTS:,}", file=path)
            size = sum(part.file_size for part in parts)
            if size > UNPACKED:
                raise FormatError(
                    f"unpacks to {size:,} bytes; up to {UNPACKED:,} are read", file=path, next="save the sheet as CSV"
                )
            for part in parts:
                if part.filename.lower().endswith((".xml", ".rels", ".vml")):
                    _plain_xml(archive.read(part), part.filename, path)
    except KaiboError:
        raise
    except Exception as error:  # BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError …
        said = escaped((str(error).splitlines() or [""])[0], 200)
        raise FormatError(f"no workbook ({type(error).__name__}: {said})", file=path) from error


def _plain_xml(text: bytes, part: str, path: Path) -> None:
    bare = text.replace(b"\0", b"") if b"\0" in text[:4] else text  # UTF-16
    if b"<!DOCTYPE" in bare or b"<!ENTITY" in bare:
        raise FormatError(f"{part} declares a document type, which no workbook needs", file=path)
    declared = _DECLARED.search(bare[:1000])
    if declared is not None and declared[1].lower() not in _ENCODINGS:
        raise FormatError(f"{part} is in the encoding {declared[1].decode()}", file=path, next="save the sheet as CSV")


def _grid(rows: Iterable[Any], path: Path, name: str) -> Grid:
    header: tuple[str, ...] = ()
    kept: list[list[str | None]] = []
    lines: list[int] = []
    for number, row in _filled(rows, path):
        if not header:
            last = max(place for place, cell in enumerate(row) if cell is not None and str(cell).strip())
            header = tuple(str(cell) if cell is not None else "" for cell in row[: last + 1])
            continue
        kept.append([_cell(cell, header, place, number, path) for place, cell in enumerate(row[: len(header)])])
        kept[-1] += [None] * (len(header) - len(kept[-1]))
        lines.append(number)
    if not header:
        raise FormatError(f'the sheet "{escaped(name, 60)}" is empty', file=path, next="name another with --sheet")
    return Grid(path, header, kept, lines, word="row", typed=True)


def _filled(rows: Iterable[Any], path: Path) -> Iterator[tuple[int, tuple[Any, ...]]]:
    """The rows in which something stands, with their numbers."""
    cells = 0
    for number, row in enumerate(rows, 1):
        cells += len(row)
        if cells > MOST_CELLS or number > MOST_ROWS:
            raise FormatError(
                f"more than {MOST_CELLS:,} cells or {MOST_ROWS:,} rows", file=path, next="save the sheet as CSV"
            )
        if row.count(None) < len(row) and any(cell is not None and str(cell).strip() for cell in row):
            yield number, row


def _cell(value: object, header: tuple[str, ...], place: int, row: int, path: Path) -> str | None:
    if isinstance(value, datetime.date | datetime.time | datetime.timedelta):
        if "date" in header[place].casefold() or "日" in header[place]:
            return str(value)
        raise FormatError(
            f'row {row}, column "{header[place]}": Excel holds the date {value} where a score was typed',
            file=path,
            next="format the column as text and type it again (3-May was 3-5 or 3.5)",
        )
    return text_of(value)
