"""Arrow tables to the bytes of a part and back, and what rows of one identity amount to."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import TYPE_CHECKING, Any

from kaibo.errors import StorageError
from kaibo.store.columns import array, table_of
from kaibo.store.schema import Schema

if TYPE_CHECKING:
    import pyarrow as pa


_MANY = 4096
"""Rows above which Arrow is asked first whether any identity comes twice."""


def packed(table: pa.Table, schema: Schema) -> bytes:
    """The table as the bytes of a Parquet file; equal rows in equal order give equal bytes."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    encodings = {f"{name}.list.element": "DELTA_BINARY_PACKED" for name in schema.delta}
    sink = pa.BufferOutputStream()
    pq.write_table(
        table,
        sink,
        row_group_size=schema.rows_per_group,
        compression="zstd",
        use_dictionary=[name for name in schema.scalars if schema.columns[name] == "string"],
        column_encoding=encodings or None,
        write_statistics=False,
    )
    data: bytes = sink.getvalue().to_pybytes()
    return data


def unpacked(
    data: bytes, schema: Schema, columns: Sequence[str] | None = None, keys: Collection[str] | None = None
) -> pa.Table:
    """The rows in a part's bytes with these keys (None: all rows), these columns (None: all that the schema has).

    Row groups without a wanted key are not decoded. Raises ValueError when the bytes are not the schema's.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    names = list(schema.columns) if columns is None else list(columns)
    file = pq.ParquetFile(pa.BufferReader(data))
    present = [name for name in names if name in file.schema_arrow.names]
    if keys is None:
        table = file.read(columns=present, use_threads=False)
    else:
        table = _wanted(file, present, schema, keys)
    for name in names:  # a column that a later version of the schema added
        if name not in present:
            table = table.append_column(name, pa.nulls(table.num_rows))
    wanted = pa.schema([schema.arrow().field(name) for name in names])
    return typed(table.select(names), wanted)


def typed(table: pa.Table, schema: pa.Schema) -> pa.Table:
    """The table with the types of a schema; one that has them stays as it is, which needs no more of Arrow loaded."""
    return table if table.schema.equals(schema) else table.cast(schema)


def _wanted(file: Any, columns: list[str], schema: Schema, keys: Collection[str]) -> pa.Table:
    import pyarrow as pa

    asked = frozenset(keys)
    tables = []
    for group in range(file.num_row_groups):
        values = file.read_row_group(group, columns=[schema.key], use_threads=False)[schema.key].to_pylist()
        rows = [row for row, value in enumerate(values) if value in asked]
        if rows:
            tables.append(taken(file.read_row_group(group, columns=columns, use_threads=False), rows))
    return pa.concat_tables(tables) if tables else table_of([], schema).select(columns)


def distinct(tables: Sequence[pa.Table], schema: Schema, describe: Callable[[int], str]) -> pa.Table:
    """The tables as one, each identity once, in their order.

    A row that says again what another said is dropped. Where two differ, the later stands if the schema says so,
    else StorageError shows both; `describe` names the table of an index.
    """
    import pyarrow as pa

    together = pa.concat_tables(tables)
    if together.num_rows > _MANY:
        groups = together.select(list(schema.identity)).group_by(list(schema.identity)).aggregate([([], "count_all")])
        if groups.num_rows == together.num_rows:
            return together
    standing: dict[tuple[Any, ...], tuple[int, int]] = {}
    for at, table in enumerate(tables):
        for row, identity in enumerate(identities(table, schema)):
            first = standing.setdefault(identity, (at, row))
            if first == (at, row) or same(tables[first[0]], first[1], table, row):
                continue
            if schema.conflict == "refuse":
                places = describe(first[0]), describe(at)
                raise conflict(schema, identity, record(tables[first[0]], first[1]), record(table, row), places)
            standing[identity] = (at, row)
    kept: list[list[int]] = [[] for _ in tables]
    for at, row in standing.values():
        kept[at].append(row)
    return pa.concat_tables([taken(table, sorted(rows)) for table, rows in zip(tables, kept, strict=True)])


def identities(table: pa.Table, schema: Schema) -> list[tuple[Any, ...]]:
    """The identity of each row."""
    return list(zip(*(table[name].to_pylist() for name in schema.identity), strict=True))


def same(table: pa.Table, row: int, other: pa.Table, at: int) -> bool:
    """Whether two rows hold the same, to the last bit (0.0 is not −0.0, NaN is NaN)."""
    if table.num_columns == 0:
        return True
    return repr(record(table, row)) == repr(record(other, at))


def taken(table: pa.Table, rows: list[int]) -> pa.Table:
    """Some of the rows; the first of them (all, or none) need no more of Arrow to be loaded."""
    return table.slice(0, len(rows)) if rows == list(range(len(rows))) else table.take(array(rows, "int64"))


def record(table: pa.Table, row: int) -> dict[str, Any]:
    """One row as a dictionary."""
    found: dict[str, Any] = table.slice(row, 1).to_pylist()[0]
    return found


def conflict(
    schema: Schema, identity: tuple[Any, ...], first: dict[str, Any], second: dict[str, Any], places: tuple[str, str]
) -> StorageError:
    """The error for one identity with two different rows, with both shown where they differ."""
    key = ", ".join(f"{name} {value}" for name, value in zip(schema.identity, identity, strict=True) if value != "")
    differing = [name for name in first if repr(first[name]) != repr(second[name])]
    shown = ", ".join(_both(name, first[name], second[name], places) for name in differing[:3])
    return StorageError(
        f"two different rows of the table {schema.name} for {key}: {shown}",
        next="one of them was not measured from these bytes; free the model with `kaibo store rm` and measure again",
    )


def _both(name: str, one: object, other: object, places: tuple[str, str]) -> str:
    if isinstance(one, list) and isinstance(other, list):  # a census has thousands of bins: show the first that differs
        at = next((i for i, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), min(len(one), len(other)))
        name, one, other = f"{name}[{at}]", one[at : at + 1], other[at : at + 1]
    return f"{name} is {one!r} in {places[0]} and {other!r} in {places[1]}"
