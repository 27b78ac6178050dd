"""CSV and TSV: large files through Arrow at its speed, everything else cell by cell with exact line numbers."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, overload

import numpy as np

from kaibo.errors import FormatError
from kaibo.tables.cells import MISSING
from kaibo.tables.headers import names_models
from kaibo.tables.sheets import Column, Grid, Hints, Sheet, sheet_of, unique_headers
from kaibo.tables.text import decode

LARGE = 4 << 20
"""From this many bytes on the fast way is tried first; anything it stumbles over is read again the exact way."""

LONGEST_CELL = 1 << 20
"""Characters of the longest cell that is read; a longer one is an unclosed quote or no table of scores."""


def read_delimited(data: bytes, path: Path, hints: Hints) -> Sheet:
    """A CSV or TSV file. One million rows of ten columns take about as long as pandas.read_csv takes, or less.

    Raises FormatError with the line for ragged rows, unclosed quotes, NUL bytes and cells that are no numbers.
    """
    if len(data) >= LARGE and hints.encoding in (None, "utf-8"):
        fast = _through_arrow(data, path, hints)
        if fast is not None:
            return fast
    text, notes = decode(data, path, hints.encoding)
    return sheet_of(_grid(text, path, notes), hints)


def _delimiter(header: str, path: Path) -> str:
    if path.name.lower().endswith((".tsv", ".tsv.gz", ".tab")):
        return "\t"
    outside = "".join(header.split('"')[::2])  # a comma inside quotes separates nothing
    return max(",\t;", key=outside.count)


def _grid(text: str, path: Path, notes: tuple[str, ...]) -> Grid:
    nul = text.find("\0")
    if nul >= 0:
        raise FormatError(f"line {text.count(chr(10), 0, nul) + 1}: a NUL byte; this is no text table", file=path)
    first = next((line for line in io.StringIO(text, newline=None) if line.strip()), "")
    csv.field_size_limit(LONGEST_CELL)
    delimiter = _delimiter(first, path)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    header: list[str] = []
    rows: list[list[str]] = []
    lines: list[int] = []
    begin = 1
    try:
        for row in reader:
            if any(cell.strip() for cell in row):
                if not header:
                    header = row
                else:
                    rows.append(_whole(row, header, begin, path))
                    lines.append(begin)
            begin = reader.line_num + 1
    except csv.Error as error:
        raise FormatError(f"line {begin}: {_reason(error)}", file=path) from error
    if not header:
        raise FormatError("the file is empty; a table needs a header and rows", file=path)
    return Grid(path, tuple(header), rows, lines, notes, delimiter=delimiter)


def _reason(error: csv.Error) -> str:
    text = str(error)
    if "unexpected end" in text:
        return "a quote is opened and never closed"
    if "field larger" in text:
        return f"a cell of more than {LONGEST_CELL:,} characters, or a quote that is never closed"
    return text


def _whole(row: list[str], header: list[str], line: int, path: Path) -> list[str]:
    if len(row) > len(header) and not any(cell.strip() for cell in row[len(header) :]):
        return row[: len(header)]
    if len(row) != len(header):
        raise FormatError(f"line {line}: {len(row)} cells where the header has {len(header)}", file=path)
    return row


def _through_arrow(data: bytes, path: Path, hints: Hints) -> Sheet | None:
    """The sheet by way of Arrow, or None where anything is unusual and the exact way must judge it."""
    import pyarrow as pa
    from pyarrow import csv as arrow_csv

    first = data[: data.find(b"\n")].decode("utf-8", "replace").rstrip("\r").removeprefix("\ufeff")
    delimiter = _delimiter(first, path)
    try:
        header = next(csv.reader([first], delimiter=delimiter, strict=True))
        names, keep, notes = unique_headers(header, path, dedupe=False)
    except (csv.Error, StopIteration, FormatError):
        return None
    texts = {place: pa.string() for place, name in enumerate(names) if names_models(name) or name == hints.model}
    columns = [str(place) for place in keep]
    convert = arrow_csv.ConvertOptions(
        column_types={str(place): kind for place, kind in texts.items()},
        null_values=sorted(_spellings() | hints.missing),
        strings_can_be_null=True,
        auto_dict_encode=False,
    )
    read = arrow_csv.ReadOptions(column_names=columns, skip_rows=1, block_size=1 << 22)
    parsing = arrow_csv.ParseOptions(delimiter=delimiter)
    try:
        table = arrow_csv.read_csv(
            pa.BufferReader(data), read_options=read, convert_options=convert, parse_options=parsing
        )
    except (pa.ArrowInvalid, pa.ArrowKeyError):
        return None
    out = [_column(name, table.column(place)) for place, name in enumerate(names)]
    whole = [column for column in out if column is not None]
    if len(whole) < len(out):
        return None
    said = _originals(data, read, parsing, [(str(keep[place]), c) for place, c in enumerate(whole) if c.originals])
    filled = tuple(replace(c, originals=said.get(str(keep[place]), c.originals)) for place, c in enumerate(whole))
    return Sheet(str(path), filled, table.num_rows, notes)


def _originals(data: bytes, read: Any, parsing: Any, holed: list[tuple[str, Column]]) -> dict[str, dict[int, str]]:
    """What the missing cells said: only the columns that have any are read again, as text."""
    import pyarrow as pa
    from pyarrow import csv as arrow_csv

    if not holed:
        return {}
    convert = arrow_csv.ConvertOptions(
        column_types={name: pa.string() for name, _ in holed},
        include_columns=[name for name, _ in holed],
        strings_can_be_null=False,
    )
    table = arrow_csv.read_csv(pa.BufferReader(data), read_options=read, convert_options=convert, parse_options=parsing)
    out = {}
    for name, column in holed:
        rows = list(column.originals)
        out[name] = dict(zip(rows, table.column(name).take(pa.array(rows)).to_pylist(), strict=True))
    return out


class _Texts(Sequence[str | None]):
    """Arrow strings as a sequence; they become Python's only when somebody looks."""

    def __init__(self, values: Any) -> None:
        self._values = values

    def __len__(self) -> int:
        return len(self._values)

    def __iter__(self) -> Iterator[str | None]:
        return iter(self._values.to_pylist())

    @overload
    def __getitem__(self, place: int) -> str | None: ...
    @overload
    def __getitem__(self, place: slice) -> Sequence[str | None]: ...
    def __getitem__(self, place: int | slice) -> str | Sequence[str | None] | None:
        if isinstance(place, slice):
            return list(self._values.to_pylist()[place])
        found: str | None = self._values[place].as_py()
        return found


def _spellings() -> set[str]:
    return {form(word) for word in MISSING for form in (str, str.upper, str.title)}


def _column(name: str, values: object) -> Column | None:
    """One Arrow column; None where a column of text might hold numbers and the exact way has to decide."""
    import pyarrow as pa
    import pyarrow.compute as pc

    kind = values.type  # type: ignore[attr-defined]
    if pa.types.is_floating(kind) or pa.types.is_integer(kind) or pa.types.is_null(kind):
        numbers = pc.cast(values, pa.float64()).to_numpy(zero_copy_only=False)
        infinite = np.isinf(numbers).any()
        empty = {int(row): "" for row in np.flatnonzero(np.isnan(numbers))}
        return None if infinite else Column(name, np.asarray(numbers, dtype=np.float64), originals=empty)
    if not pa.types.is_string(kind):
        return None
    if not names_models(name):
        sample = pc.unique(values.slice(0, 100_000)).to_pylist()[:1000]  # type: ignore[attr-defined]
        if any(text and text.strip()[:1] in "0123456789.+-−０１２３４５６７８９" for text in sample):
            return None
    return Column(name, texts=_Texts(values))
