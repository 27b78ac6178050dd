"""CSV and TSV: large files through Arrow at its speed, everything else cell by cell with exact line numbers."""

from __future__ import annotations

import codecs
import csv
import io
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, overload

import numpy as np

from kaibo.errors import FormatError
from kaibo.tables.files.cells import MISSING, is_missing, plain_text, scan_distinct
from kaibo.tables.files.headers import names_models
from kaibo.tables.files.sheets import Column, Grid, Hints, Sheet, sheet_of, unique_headers
from kaibo.tables.files.text import decode

EXACT = 2.0**53
"""The first integer whose neighbour a float64 cannot tell apart."""

LARGE = 4 << 20
"""From this many bytes on the fast way is tried first; anything it stumbles over is read again the exact way."""

MOST_ROWS = 5_000_000
"""Lines of the largest table that is read: each row becomes a model with a name of its own."""

LONGEST_CELL = 1 << 20
"""Characters of the longest cell that is read; a longer one is an unclosed quote or no table of scores."""


def read_delimited(data: bytes, path: Path, hints: Hints) -> Sheet:
    """A CSV or TSV file. A million rows of ten columns without quotes take about as long as pandas.read_csv takes.

    Raises FormatError with the line for ragged rows, unclosed quotes, NUL bytes and cells that are no numbers.
    """
    lines = max(data.count(b"\n"), data.count(b"\r"))
    if lines > MOST_ROWS:
        raise FormatError(f"{lines:,} lines; tables of up to {MOST_ROWS:,} are read", file=path, next="split it")
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
    """The sheet by way of Arrow, or None where anything is unusual and the exact way must judge it.

    What comes back is what the exact way gives; a test compares the two on tables of every kind.
    """
    import pyarrow as pa
    from pyarrow import csv as arrow_csv

    plain = data.removeprefix(codecs.BOM_UTF8)
    notes = ("read as UTF-8 with a byte order mark",) if len(plain) < len(data) and hints.encoding is None else ()
    header = _plain_header(plain, path)
    if header is None or hints.decimal or not _ordinary(plain):
        return None
    delimiter, cells = header
    try:
        names, keep, more = unique_headers(cells, path, dedupe=False)
    except FormatError:
        return None
    texts = {place for place, name in enumerate(names) if names_models(name) or name == hints.model}
    convert = arrow_csv.ConvertOptions(
        column_types={str(keep[place]): pa.string() for place in texts},
        null_values=sorted(_spellings() | hints.missing),
        strings_can_be_null=False,
        auto_dict_encode=False,
    )
    read = arrow_csv.ReadOptions(column_names=[str(place) for place in keep], skip_rows=1, block_size=1 << 22)
    parsing = arrow_csv.ParseOptions(delimiter=delimiter, quote_char=False)
    try:
        table = arrow_csv.read_csv(
            pa.BufferReader(plain), read_options=read, convert_options=convert, parse_options=parsing
        )
    except pa.ArrowException:
        return None
    out = [_column(name, table.column(place), place in texts, hints) for place, name in enumerate(names)]
    whole = [column for column in out if column is not None]
    if len(whole) < len(out) or _has_empty_row(whole):
        return None
    holed = [(str(keep[place]), column) for place, column in enumerate(whole) if column.originals]
    said = _originals(plain, read, parsing, holed)
    if said is None or any(not _is_nothing(text, hints) for texts in said.values() for text in set(texts.values())):
        return None
    filled = tuple(replace(c, originals=said.get(str(keep[place]), c.originals)) for place, c in enumerate(whole))
    return Sheet(str(path), filled, table.num_rows, (*notes, *more))


def _plain_header(data: bytes, path: Path) -> tuple[str, list[str]] | None:
    end = data.find(b"\n")
    try:
        first = data[: max(end, 0)].decode("utf-8").rstrip("\r")
    except UnicodeDecodeError:
        return None
    delimiter = _delimiter(first, path)
    cells = first.split(delimiter)
    return (delimiter, cells) if any(cell.strip() for cell in cells) else None


def _ordinary(data: bytes) -> bool:
    """Whether Arrow and Python's own reader must cut bytes into the same cells: no quotes, no NUL, no lone carriage
    return, no line so long that a cell may be too long; and nothing that Arrow alone takes for a number.
    """
    if any(mark in data for mark in (b'"', b"\0", b"0x", b"0X")) or data.count(b"\r") != data.count(b"\r\n"):
        return False
    step = LONGEST_CELL // 2  # a longer line would cover one such window
    return all(data.find(b"\n", begin, begin + step) >= 0 for begin in range(0, len(data) - step, step))


def _has_empty_row(columns: Sequence[Column]) -> bool:
    """Whether some row has nothing in any column; the exact way leaves such rows out."""
    import pyarrow.compute as pc

    empty = None
    for column in columns:
        here = (
            np.isnan(column.numbers)
            if column.numbers is not None
            else np.asarray(pc.is_null(column.texts.values).to_numpy(zero_copy_only=False))
            if isinstance(column.texts, _Texts)
            else np.array([text is None for text in column.texts or ()], dtype=bool)
        )
        empty = here if empty is None else empty & here
        if not empty.any():
            return False
    return True


def _is_nothing(text: str, hints: Hints) -> bool:
    return is_missing(text) or plain_text(text) in hints.missing


def _originals(
    data: bytes, read: Any, parsing: Any, holed: list[tuple[str, Column]]
) -> dict[str, dict[int, str]] | None:
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
    try:
        table = arrow_csv.read_csv(
            pa.BufferReader(data), read_options=read, convert_options=convert, parse_options=parsing
        )
    except pa.ArrowException:
        return None
    out = {}
    for name, column in holed:
        rows = list(column.originals)
        out[name] = dict(zip(rows, table.column(name).take(pa.array(rows)).to_pylist(), strict=True))
    return out


class _Texts(Sequence[str | None]):
    """Arrow strings as a sequence; they become Python's only when somebody looks."""

    def __init__(self, values: Any) -> None:
        self.values = values

    def __len__(self) -> int:
        return len(self.values)

    def __iter__(self) -> Iterator[str | None]:
        return iter(self.values.to_pylist())

    @overload
    def __getitem__(self, place: int) -> str | None: ...
    @overload
    def __getitem__(self, place: slice) -> Sequence[str | None]: ...
    def __getitem__(self, place: int | slice) -> str | Sequence[str | None] | None:
        if isinstance(place, slice):
            return list(self.values.to_pylist()[place])
        found: str | None = self.values[place].as_py()
        return found


def _spellings() -> set[str]:
    return {form(word) for word in MISSING for form in (str, str.upper, str.title)}


def _column(name: str, values: Any, is_text: bool, hints: Hints) -> Column | None:
    """One Arrow column; None where only the exact way can say what it is."""
    import pyarrow as pa
    import pyarrow.compute as pc

    kind = values.type
    if pa.types.is_floating(kind) or pa.types.is_integer(kind) or pa.types.is_null(kind):
        try:
            numbers = np.asarray(pc.cast(values, pa.float64()).to_numpy(zero_copy_only=False), dtype=np.float64)
        except pa.ArrowException:
            return None
        if (np.abs(numbers) >= EXACT).any():  # infinity, and integers that may lose digits
            return None
        return Column(name, numbers, originals={int(row): "" for row in np.flatnonzero(np.isnan(numbers))})
    return _texts(name, values, is_text, hints) if pa.types.is_string(kind) else None


def _texts(name: str, values: Any, is_text: bool, hints: Hints) -> Column | None:
    """A column of texts, each different one looked at as the exact way looks at cells."""
    import pyarrow as pa
    import pyarrow.compute as pc

    coded = values.combine_chunks().dictionary_encode() if values.num_chunks else None
    if coded is None:
        return None
    coded = coded.combine_chunks() if isinstance(coded, pa.ChunkedArray) else coded
    try:
        distinct = coded.dictionary.to_pylist()
    except UnicodeDecodeError:
        return None
    if not is_text:
        found = scan_distinct(distinct, np.arange(len(distinct)), hints.missing)
        if found.missing.all() or found.numbers_share > 0:
            return None
    kept = pa.array([None if is_missing(text) else text.strip() for text in distinct], pa.string())
    return Column(name, texts=_Texts(pc.take(kept, coded.indices)))
