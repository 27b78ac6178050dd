"""A table as a file holds it: named columns of numbers or texts, before anybody says what they mean."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kaibo.errors import FormatError
from kaibo.tables.cells import is_missing, plain_text, read_cells
from kaibo.tables.headers import names_models

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
    notes: tuple[str, ...] = ()

    def column(self, name: str) -> Column | None:
        """The column of that name, or None."""
        return next((column for column in self.columns if column.name == name), None)


@dataclass(frozen=True)
class Grid:
    """Text cells with the place each came from: what a reader of text formats hands over.

    `rows` hold one text (or None) a header entry; `lines` the line (or row number) of each row in the file.
    """

    path: Path
    header: tuple[str, ...]
    rows: Sequence[Sequence[str | None]]
    lines: Sequence[int]
    notes: tuple[str, ...] = ()
    word: str = "line"


@dataclass(frozen=True)
class Hints:
    """What the user says about a table, where it cannot speak for itself.

    `encoding` of a text file; `units` by column name (`percent`, `fraction`, `points`); `missing` further texts that
    mean a missing cell; `dedupe` keeps the first of models or headers that occur twice; `model` names the column
    that names the models; `sheet` names the sheet of an Excel file.
    """

    encoding: str | None = None
    units: Mapping[str, str] = field(default_factory=dict)
    missing: frozenset[str] = frozenset()
    dedupe: bool = False
    model: str | None = None
    sheet: str | None = None


def sheet_of(grid: Grid, hints: Hints) -> Sheet:
    """A sheet of text cells with each column read as numbers or kept as text.

    Raises FormatError for a header that occurs twice and for text in a column of numbers, naming line, column
    and cell.
    """
    names, keep, notes = unique_headers(grid.header, grid.path, hints.dedupe)
    columns = []
    rewritten = 0
    for name, place in zip(names, keep, strict=True):
        texts = [row[place] for row in grid.rows]
        column, changed = _typed(name, texts, grid, hints)
        columns.append(column)
        rewritten += changed
    if rewritten:
        notes = (*notes, f"{rewritten:,} cells with full-width digits or other signs were read as plain numbers")
    return Sheet(str(grid.path), tuple(columns), len(grid.rows), (*grid.notes, *notes))


def unique_headers(
    header: Sequence[str], path: Path, dedupe: bool
) -> tuple[tuple[str, ...], tuple[int, ...], tuple[str, ...]]:
    """The headers (NFC of what is written, trimmed), their places and notes; a header that occurs twice is refused."""
    names = [(name or "").strip().lstrip("\ufeff") for name in header]
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
    notes = (f"left out later columns with the same header: {', '.join(twice[:5])}",) if twice else ()
    return tuple(names[place] or f"column {place + 1}" for place in keep), keep, notes


def _typed(name: str, texts: list[str | None], grid: Grid, hints: Hints) -> tuple[Column, int]:
    cells = read_cells(texts, hints.missing)
    is_text = cells.share <= MOSTLY and not cells.missing.all()
    if name == hints.model or is_text or names_models(name):
        kept = [None if is_missing(text) else (text or "").strip() for text in texts]
        return Column(name, texts=kept), 0
    if cells.bad:
        place = cells.bad[0]
        more = f" (and {len(cells.bad) - 1:,} more)" if len(cells.bad) > 1 else ""
        raise FormatError(
            f'{grid.word} {grid.lines[place]}, column "{name}": "{texts[place]}" is no number{more}',
            file=grid.path,
            next=f"mend it, or --missing '{texts[place]}' if it means a missing cell",
        )
    said = ~cells.missing
    originals = {int(row): texts[row] or "" for row in np.flatnonzero(cells.missing)}
    percent = bool(cells.percent[said].any())
    column = Column(name, cells.numbers, None, percent, percent and not bool(cells.percent[said].all()), originals)
    return column, cells.rewritten


def text_of(value: Any) -> str | None:
    """A value of a JSON or Excel cell as text, the shortest that reads back the same; None for nothing."""
    if value is None:
        return None
    if isinstance(value, bool):
        return str(int(value))
    if isinstance(value, float):
        return f"{value:.17g}" if float(f"{value:.15g}") != value else f"{value:.15g}"
    return str(value)
