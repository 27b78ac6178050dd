"""`kaibo sql`: the store asked directly."""

from __future__ import annotations

import os
from typing import Any

from kaibo.verbs.measuring import open_store
from kaibo.vocabulary import jsonable


def sql(
    query: str, *, store: str | os.PathLike[str] | None = None
) -> tuple[list[str], list[tuple[Any, ...]], list[str]]:
    """The columns and rows that answer a query over the store, and what was found damaged on the way.

    Raises UsageError with DuckDB's own words where the query fails; it can read and write nothing but the store.
    """
    opened = open_store(store)
    table = opened.sql(query)
    columns = list(table.column_names)
    values = [table.column(place).to_pylist() for place in range(len(columns))]
    rows = [tuple(_plain(value) for value in row) for row in zip(*values, strict=True)]
    return columns, rows, list(opened.warnings)


def _plain(value: Any) -> Any:
    """Whatever DuckDB gives, as JSON can hold it: dates and decimals as text, bytes in hexadecimal."""
    if value is None or isinstance(value, bool | int | float | str | list | tuple | dict):
        return jsonable(value)
    return value.hex() if isinstance(value, bytes) else str(value)
