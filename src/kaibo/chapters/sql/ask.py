"""`kaibo sql`: the store asked directly."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

from kaibo.desk.measuring import open_store


def sql(
    query: str, *, store: str | os.PathLike[str] | None = None
) -> tuple[list[str], list[tuple[Any, ...]], list[str]]:
    """The columns and rows that answer a query over the store, and what was found damaged on the way.

    Raises UsageError with DuckDB's own words where the query fails; it can read and write nothing but the store.
    """
    opened = open_store(store)
    table = opened.sql(query)
    columns = _distinct(table.column_names)
    values = [table.column(place).to_pylist() for place in range(len(columns))]
    rows = [tuple(_plain(value) for value in row) for row in zip(*values, strict=True)]
    return columns, rows, list(opened.warnings)


def _distinct(names: Sequence[str]) -> list[str]:
    """Column names made different where a query gave one name twice: `a`, `a_1`, `a_2`."""
    found: list[str] = []
    for name in names:
        chosen, again = name, 0
        while chosen in found:
            again += 1
            chosen = f"{name}_{again}"
        found.append(chosen)
    return found


def _plain(value: Any) -> Any:
    """Whatever DuckDB gives, as JSON can hold it: dates and decimals as text, bytes in hexadecimal."""
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    if value is None or isinstance(value, bool | int | float | str):
        return value
    return value.hex() if isinstance(value, bytes) else str(value)
