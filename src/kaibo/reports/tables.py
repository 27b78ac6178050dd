"""Findings as tables: every column at full precision as CSV, or the columns that people read."""

from __future__ import annotations

import dataclasses
import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from kaibo.reports.cells import cell
from kaibo.reports.columns import columns_read
from kaibo.vocabulary import Finding
from kaibo.vocabulary.kinds import Kind
from kaibo.words import known, word

FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")
NEGATIVE = re.compile(r"-\d[\d,]*(\.\d+)?([eE][+-]?\d+)?\Z")


@dataclass(frozen=True)
class Table:
    """Columns by their names in JSON, rows of plain values, and which columns hold words of which section."""

    columns: tuple[str, ...]
    rows: tuple[tuple[Any, ...], ...]
    terms: Mapping[str, str] = field(default_factory=dict)

    def __len__(self) -> int:
        """How many rows there are."""
        return len(self.rows)


def full(finding: Finding[Any]) -> Table:
    """Every column, nested values opened: nine `shares` become `shares_1` … `shares_9`."""
    rows = [dict(_opened("", _fields(row))) for row in finding.rows]
    columns = tuple(dict.fromkeys(name for row in rows for name in row))
    return Table(columns, tuple(tuple(row.get(name) for name in columns) for row in rows))


def read(finding: Finding[Any]) -> Table:
    """The columns that people read; those that say the same in every row (one model, one level) are left out."""
    if not finding.rows:
        return Table((), ())
    columns = columns_read(finding)
    return Table(
        columns, tuple(tuple(getattr(row, name) for name in columns) for row in finding.rows), finding.kind.terms
    )


def title_of(kind: Kind[Any], language: str = "en") -> str:
    """What stands above a finding of a kind: its own title, else that of its first figure, else that it is a table."""
    keys = (f"page.{kind}", kind.label, *(drawing.title for drawing in kind.figures.values()), "page.table")
    return word(next(key for key in keys if known(key)), language)


def _fields(record: Any) -> dict[str, Any]:
    return {field.name: getattr(record, field.name) for field in dataclasses.fields(record)}


def _opened(name: str, value: Any) -> Iterator[tuple[str, Any]]:
    """(column, value) pairs; what is empty has none, a reason is one text; what only a figure draws is left out."""
    if name.rpartition("_")[2] in DRAWN and isinstance(value, tuple):
        return
    if name == "why":
        yield name, "; ".join(f"{key}: {reason}" for key, reason in value.items()) or None
    elif dataclasses.is_dataclass(value):
        yield from _opened(name, _fields(value))
    elif isinstance(value, Mapping):
        for key, item in value.items():
            yield from _opened(f"{name}_{key}" if name else str(key), item)
    elif isinstance(value, tuple | list):
        yield from _opened_list(name, value)
    else:
        yield name, value


DRAWN = ("points", "curve")
"""Columns of many points, which are a table of their own: JSON and the figure have them."""


def _opened_list(name: str, values: tuple[Any, ...] | list[Any]) -> Iterator[tuple[str, Any]]:
    if all(isinstance(value, str) for value in values):
        yield name, "; ".join(values) or None
        return
    for place, value in enumerate(values, start=1):
        if dataclasses.is_dataclass(value):  # a quantile is known by its share, other records by their place
            fields = _fields(value)
            label = fields.pop("share", place)
            yield from _opened(f"{name}_{label}", fields)
        else:
            yield from _opened(f"{name}_{place}", value)


def csv_cell(value: Any) -> str:
    """A value as a CSV cell: numbers to the last bit, nothing for what is missing, and no text a spreadsheet runs.

    >>> csv_cell(-0.1), csv_cell("=1+1"), csv_cell("-1.5"), csv_cell("-x"), csv_cell(float("nan"))
    ('-0.1', "'=1+1", '-1.5', "'-x", '')
    """
    if value is None or (isinstance(value, float) and not math.isfinite(value)):
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return repr(value)
    text = str(value).encode("utf-8", "backslashreplace").decode("utf-8")
    return f"'{text}" if text.startswith(FORMULA) and not NEGATIVE.match(text) else text


def to_csv(finding: Finding[Any]) -> str:
    """Every column of a finding as CSV with the names of JSON, full precision, lines ended by a line feed."""
    table = full(finding)
    return "".join(",".join(map(_quoted, map(csv_cell, line))) + "\n" for line in (table.columns, *table.rows))


def _quoted(text: str) -> str:
    """By our own hand: the standard writer leaves a lone carriage return bare where lines end in a line feed."""
    return '"' + text.replace('"', '""') + '"' if any(mark in text for mark in ',"\r\n') else text


def numeric(table: Table, place: int) -> bool:
    """Whether all that is known of a column is numbers."""
    values = [row[place] for row in table.rows if row[place] is not None]
    return bool(values) and all(isinstance(value, int | float) and not isinstance(value, bool) for value in values)


def spoken(table: Table, row: tuple[Any, ...], language: str) -> list[str]:
    """The cells of one row as people read them."""
    return [cell(name, value, language, table.terms.get(name)) for name, value in zip(table.columns, row, strict=True)]
