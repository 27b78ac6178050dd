"""Parquet: columns arrive typed; texts that are meant as numbers are read like any other text."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np

from kaibo.errors import FormatError
from kaibo.tables.headers import names_models
from kaibo.tables.sheets import Column, Grid, Hints, Sheet, sheet_of, text_of, unique_headers


def read_parquet(data: bytes, path: Path, hints: Hints) -> Sheet:
    """The sheet of a Parquet file. Raises FormatError for a broken file and for headers that occur twice."""
    import pyarrow as pa
    from pyarrow import parquet

    try:
        table = parquet.read_table(io.BytesIO(data))
    except (pa.ArrowException, OSError) as error:
        raise FormatError(f"no Parquet file that can be read: {str(error).splitlines()[0]}", file=path) from error
    names, keep, notes = unique_headers(table.column_names, path, hints.dedupe)
    rows = range(1, table.num_rows + 1)
    columns = []
    for name, place in zip(names, keep, strict=True):
        values = table.column(place)
        if (pa.types.is_floating(values.type) or pa.types.is_integer(values.type)) and not names_models(name):
            numbers = np.asarray(values.cast(pa.float64()).to_numpy(zero_copy_only=False), dtype=np.float64)
            empty = {int(row): "" for row in np.flatnonzero(np.isnan(numbers))}
            columns.append(Column(name, numbers, originals=empty))
        else:
            cells = [[text_of(value)] for value in values.to_pylist()]
            columns.append(sheet_of(Grid(path, (name,), cells, rows, word="row", typed=True), hints).columns[0])
    return Sheet(str(path), tuple(columns), table.num_rows, notes)
