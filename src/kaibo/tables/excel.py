"""Excel workbooks: the first visible sheet (or the one named), values only, entities and links off."""

from __future__ import annotations

import datetime
import io
import zipfile
from pathlib import Path
from typing import Any

from kaibo.errors import FormatError, UsageError, missing_extra
from kaibo.tables.sheets import Grid, Hints, Sheet, sheet_of, text_of

UNPACKED = 512 << 20
"""Bytes that the parts of a workbook may unpack to."""


def read_excel(data: bytes, path: Path, hints: Hints) -> Sheet:
    """The sheet of an .xlsx workbook; a note says which sheet was read and which were not.

    Raises FormatError for document type declarations (they can pull in files), for parts that unpack to more than
    `UNPACKED` bytes and for a date where a score should be; MissingError without the extra `tables`.
    """
    try:
        import openpyxl
    except ImportError as error:
        raise missing_extra("tables", "Excel files") from error
    _look_inside(data, path)
    try:
        book = openpyxl.load_workbook(io.BytesIO(data), read_only=True, data_only=True, keep_links=False)
    except Exception as error:
        raise FormatError(f"no workbook that can be read: {error}", file=path) from error
    visible = [name for name in book.sheetnames if book[name].sheet_state == "visible"]
    name = hints.sheet or (visible[0] if visible else "")
    if name not in book.sheetnames:
        raise UsageError(f'no sheet "{name}" in {path}', next=f"it has {', '.join(visible)}")
    grid = _grid(book[name].iter_rows(values_only=True), path, name)
    others = [other for other in book.sheetnames if other != name]
    book.close()
    notes = (f'read the sheet "{name}"' + (f"; not read: {', '.join(others)}" if others else ""),)
    return sheet_of(Grid(path, grid.header, grid.rows, grid.lines, notes, "row", typed=True), hints)


def _look_inside(data: bytes, path: Path) -> None:
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            if sum(part.file_size for part in archive.infolist()) > UNPACKED:
                raise FormatError(f"unpacks to more than {UNPACKED:,} bytes", file=path)
            for part in archive.namelist():
                if part.endswith((".xml", ".rels")):
                    with archive.open(part) as stream:
                        head = stream.read(4096).upper()
                    if b"<!DOCTYPE" in head or b"<!ENTITY" in head:
                        raise FormatError(f"{part} declares a document type, which no workbook needs", file=path)
    except (zipfile.BadZipFile, RuntimeError, NotImplementedError) as error:
        raise FormatError(f"no workbook: {error}", file=path) from error


def _grid(rows: Any, path: Path, name: str) -> Grid:
    header: tuple[str, ...] = ()
    kept: list[list[str | None]] = []
    lines: list[int] = []
    for number, row in enumerate(rows, 1):
        if not any(cell is not None and str(cell).strip() for cell in row):
            continue
        if not header:
            last = max(place for place, cell in enumerate(row) if cell is not None and str(cell).strip())
            header = tuple(str(cell) if cell is not None else "" for cell in row[: last + 1])
            continue
        kept.append([_cell(cell, header, place, number, path) for place, cell in enumerate(row[: len(header)])])
        kept[-1] += [None] * (len(header) - len(kept[-1]))
        lines.append(number)
    if not header:
        raise FormatError(f'the sheet "{name}" is empty', file=path, next="name another with --sheet")
    return Grid(path, header, kept, lines, word="row", typed=True)


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
