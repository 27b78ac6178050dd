"""A table as a file holds it: named columns of numbers or texts, before anybody says what they mean."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kaibo.errors import FormatError
from kaibo.tables.files.cells import Cells, Scan, cells_of, is_missing, loses_digits, plain_text, scan
from kaibo.tables.files.headers import names_models
from kaibo.tables.files.notation import Written, notations
from kaibo.words import Note, note

MOSTLY = 0.5
"""A column is meant as numbers when more than this share of its filled cells are numbers."""


@dataclass(frozen=True, eq=False)
class Column:
    """One column: `numbers` (float64, NaN for missing) or `texts`, one of the two None.

    `percent` says that its cells carry percent signs, `mixed` that only some do. `originals` keeps, by row, what
    the missing cells said.
    """

    name: str
    numbers: NDArray[np.float64] | None = None
    texts: Sequence[str | None] | None = None
    percent: bool = False
    mixed: bool = False
    originals: Mapping[int, str] = field(default_factory=dict)

    @property
    def as_texts(self) -> list[str | None]:
        """The cells as text: numbers in their shortest form, None for missing."""
        if self.texts is not None:
            return list(self.texts)
        assert self.numbers is not None
        return [None if np.isnan(value) else f"{value:.17g}" for value in self.numbers.tolist()]


@dataclass(frozen=True, eq=False)
class Sheet:
    """A table as read: where from, its columns, the line of each row (None: counted from the header), notes."""

    source: str
    columns: tuple[Column, ...]
    rows: int
    notes: tuple[Note, ...] = ()

    def column(self, name: str) -> Column | None:
        """The column of that name, or None."""
        return next((column for column in self.columns if column.name == name), None)


@dataclass(frozen=True)
class Grid:
    """Text cells with the place each came from: what a reader of text formats hands over.

    `rows` hold one text (or None) a header entry; `lines` the line (or row number) of each row in the file.
    `typed` says that the file knows numbers itself, so that texts in one column say nothing about another;
    `delimiter` is what separates the cells, where something does.
    """

    path: Path
    header: tuple[str, ...]
    rows: Sequence[Sequence[str | None]]
    lines: Sequence[int]
    notes: tuple[Note, ...] = ()
    word: str = "line"
    typed: bool = False
    delimiter: str = ""


@dataclass(frozen=True)
class Hints:
    """What the user says about a table, where it cannot speak for itself.

    `encoding` of a text file; `units` by column name (`percent`, `fraction`, `points`); `missing` further texts that
    mean a missing cell; `dedupe` keeps the first of models or headers that occur twice; `model` names the column
    that names the models; `sheet` names the sheet of an Excel file; `decimal` is the sign before the decimals
    (`point` or `comma`) by column name, under "" that of all other columns.
    """

    encoding: str | None = None
    units: Mapping[str, str] = field(default_factory=dict)
    missing: frozenset[str] = frozenset()
    dedupe: bool = False
    model: str | None = None
    sheet: str | None = None
    decimal: Mapping[str, str] = field(default_factory=dict)


def sheet_of(grid: Grid, hints: Hints) -> Sheet:
    """A sheet of text cells with each column read as numbers or kept as text.

    Raises FormatError for a header that occurs twice and for text in a column of numbers, naming line, column
    and cell.
    """
    names, keep, notes = unique_headers(grid.header, grid.path, hints.dedupe)
    scans = [
        None if _is_name(name, hints) else scan([row[place] for row in grid.rows], hints.missing)
        for name, place in zip(names, keep, strict=True)
    ]
    written, told = notations(
        names, scans, Written(str(grid.path), grid.delimiter, grid.typed, hints.decimal, hints.units)
    )
    columns = []
    rewritten = 0
    for name, place, found, notation in zip(names, keep, scans, written, strict=True):
        cells = None if found is None else cells_of(found, notation)
        if found is None or cells is None or (cells.share <= MOSTLY and not cells.missing.all()):
            columns.append(Column(name, texts=_kept([row[place] for row in grid.rows])))
        else:
            columns.append(_numbers(name, found, cells, grid))
            rewritten += cells.rewritten
    if rewritten:
        notes = (*notes, note("table_rewritten", count=f"{rewritten:,}"))
    return Sheet(str(grid.path), tuple(columns), len(grid.rows), (*grid.notes, *notes, *told))


def _is_name(name: str, hints: Hints) -> bool:
    return name == hints.model or names_models(name)


def _kept(texts: Sequence[str | None]) -> list[str | None]:
    return [None if is_missing(text) else (text or "").strip() for text in texts]


def unique_headers(
    header: Sequence[str], path: Path, dedupe: bool
) -> tuple[tuple[str, ...], tuple[int, ...], tuple[Note, ...]]:
    """The headers (trimmed; `Unnamed: 0` and so on where there is none, as pandas names them), their places and notes.

    A header that occurs twice is refused.
    """
    names = [(name or "").lstrip("\ufeff").strip() for name in header]
    seen: dict[str, int] = {}
    twice: list[str] = []
    for place, name in enumerate(names):
        key = plain_text(name).casefold() or f"\0{place}"
        if key in seen:
            twice.append(f'"{name}" (columns {seen[key] + 1} and {place + 1})')
        seen.setdefault(key, place)
    if twice and not dedupe:
        raise FormatError(
            f"headers that occur twice: {', '.join(twice[:5])}", file=path, next="--dedupe keeps the first of each"
        )
    keep = tuple(sorted(seen.values()))
    notes = (note("table_headers_twice", names=", ".join(twice[:5])),) if twice else ()
    return tuple(names[place] or f"Unnamed: {place}" for place in keep), keep, notes


def _numbers(name: str, found: Scan, cells: Cells, grid: Grid) -> Column:
    """A column of numbers. Raises FormatError for a cell that is none, and for one that float64 would round."""
    if cells.bad:
        place = cells.bad[0]
        text = found.distinct[found.codes[place]] or ""
        more = f" (and {len(cells.bad) - 1:,} more)" if len(cells.bad) > 1 else ""
        code = found.codes[place]
        otherwise = not np.isnan(found.point[code]) or not np.isnan(found.comma[code])
        reason = "has its decimal sign where others of the column group thousands" if otherwise else "is no number"
        raise FormatError(
            f'{grid.word} {grid.lines[place]}, column "{name}": "{text}" {reason}{more}',
            file=grid.path,
            next=f"mend it, or --missing '{text}' if it means a missing cell",
        )
    lost = [code for code, text in enumerate(found.distinct) if len(text or "") > 15 and loses_digits(text or "")]
    if lost:
        place = int(np.flatnonzero(found.codes == lost[0])[0])
        raise FormatError(
            f'{grid.word} {grid.lines[place]}, column "{name}": the integer {found.distinct[lost[0]]} has digits that '
            "a 64-bit number does not keep",
            file=grid.path,
            next="leave the column out, or write fewer digits",
        )
    said = ~cells.missing
    originals = {int(row): found.distinct[found.codes[row]] or "" for row in np.flatnonzero(cells.missing)}
    percent = bool(cells.percent[said].any())
    return Column(name, cells.numbers, None, percent, percent and not bool(cells.percent[said].all()), originals)


def text_of(value: Any) -> str | None:
    """A value of a JSON or Excel cell as text, the shortest that reads back the same; None for nothing."""
    if value is None:
        return None
    if isinstance(value, bool):
        return str(int(value))
    if isinstance(value, float):
        return f"{value:.17g}" if float(f"{value:.15g}") != value else f"{value:.15g}"
    return str(value)
