"""Parquet: columns arrive typed; texts that are meant as numbers are read like any other text."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np

from kaibo.errors import FormatError, escaped
from kaibo.tables.files.headers import names_models
from kaibo.tables.files.sheets import Column, Grid, Hints, Sheet, sheet_of, text_of, unique_headers

MOST_CELLS = 500_000_000
"""Cells of the largest file that is read; a few bytes of Parquet can stand for more."""


def read_parquet(data: bytes, path: Path, hints: Hints) -> Sheet:
    """The sheet of a Parquet file.

    Raises FormatError for a broken file, for headers that occur twice, and for a column with values that are no
    text in UTF-8, no date of the calendar or an integer that float64 would round.
    """
    table = _table(data, path)
    names, keep, notes = unique_headers(table.column_names, path, hints.dedupe)
    columns = []
    for name, place in zip(names, keep, strict=True):
        try:
            columns.append(_column(name, table.column(place), path, hints))
        except FormatError:
            raise
        except Exception as error:  # Arrow, Python's dates and decoders each raise their own
            reason = f"a value that cannot be read ({type(error).__name__}: {str(error).splitlines()[0][:120]})"
            raise FormatError(f'column "{escaped(name, 80)}" holds {reason}', file=path) from error
    return Sheet(str(path), tuple(columns), table.num_rows, notes)


def _table(data: bytes, path: Path) -> Any:
    from pyarrow import parquet

    try:
        opened = parquet.ParquetFile(io.BytesIO(data))
        if opened.metadata.num_rows * max(opened.metadata.num_columns, 1) > MOST_CELLS:
            raise FormatError(f"more than {MOST_CELLS:,} cells", file=path, next="name a smaller table")
        return opened.read()
    except FormatError:
        raise
    except Exception as error:  # Arrow's, and what it passes on (OSError, UnicodeDecodeError, OverflowError …)
        said = (str(error).splitlines() or [type(error).__name__])[0]
        raise FormatError(f"no Parquet file that can be read: {said}", file=path) from error


def _column(name: str, values: Any, path: Path, hints: Hints) -> Column:
    import pyarrow as pa
    import pyarrow.compute as pc

    kind = values.type
    if pa.types.is_dictionary(kind):
        values = values.cast(kind.value_type)
        kind = values.type
    numeric = pa.types.is_floating(kind) or pa.types.is_integer(kind)
    if numeric and not names_models(name) and name != hints.model:
        numbers = np.asarray(pc.cast(values, pa.float64(), safe=False).to_numpy(zero_copy_only=False), np.float64)
        if pa.types.is_integer(kind):
            _exact(name, values, numbers, path)
        numbers = np.where(np.isfinite(numbers), numbers, np.nan)
        return Column(name, numbers, originals={int(row): "" for row in np.flatnonzero(np.isnan(numbers))})
    rows = range(1, len(values) + 1)
    cells = [[text_of(value)] for value in values.to_pylist()]
    return sheet_of(Grid(path, (name,), cells, rows, word="row", typed=True), hints).columns[0]


def _exact(name: str, values: Any, numbers: np.ndarray, path: Path) -> None:
    for row in np.flatnonzero(np.abs(numbers) >= 2.0**53):
        whole = values[int(row)].as_py()
        if int(numbers[row]) != whole or abs(whole) > 2**53:
            message = f'row {int(row) + 1}, column "{escaped(name, 80)}": the integer {whole} has digits that a 64-bit'
            raise FormatError(f"{message} number does not keep", file=path, next="leave the column out")
