"""`kaibo sql`: the store asked directly."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

from kaibo.desk.measuring import open_store
from kaibo.store.questions import SECONDS, Limits


def sql(
    query: str, *, store: str | os.PathLike[str] | None = None, timeout: float = SECONDS
) -> tuple[list[str], list[tuple[Any, ...]], list[str]]:
    """The columns and rows that answer a query over the store, and what a reader should know: damage, or a cut.

    Raises UsageError with DuckDB's own words where the query fails, or where it takes longer than `timeout` seconds;
    it can read and write nothing but the store.
    """
    opened = open_store(store)
    answered = opened.ask(query, Limits(timeout))
    table = answered.table
    columns = _distinct(table.column_names)
    values = [table.column(place).to_pylist() for place in range(len(columns))]
    rows = [tuple(_plain(value) for value in row) for row in zip(*values, strict=True)]
    cut = [f"the answer is cut after {len(rows):,} rows; aggregate, or ask for it in parts"] if answered.cut else []
    return columns, rows, [*opened.warnings, *cut]


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
