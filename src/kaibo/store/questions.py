"""Questions in SQL, answered by DuckDB over Arrow tables that were built from verified bytes.

DuckDB owns nothing here: no file, no network, no extension, no setting can be reached from a query, and every
query starts from a fresh database in memory.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from kaibo.errors import UsageError
from kaibo.store.columns import storable, table_of
from kaibo.store.parts import Parts
from kaibo.store.schema import Schema
from kaibo.store.schemas import CENSUS_VERSION, SCHEMAS

if TYPE_CHECKING:
    import pyarrow as pa

SETTINGS = {
    "enable_external_access": "false",
    "autoinstall_known_extensions": "false",
    "autoload_known_extensions": "false",
    "allow_community_extensions": "false",
    "allow_persistent_secrets": "false",
    "python_enable_replacements": "false",  # a query must not see the variables of this program
    "temp_directory": "",
    "threads": "2",
    "memory_limit": "1GB",
}
"""How each database is opened; locked before a query is seen."""

VIEWS = {
    "tensors": f"""
        SELECT models.*, census.minimum, census.maximum, census.nan, census.positive_infinity,
               census.negative_infinity
        FROM models LEFT JOIN census
          ON models.content = census.content AND census.measure = 'census' AND census.version = {CENSUS_VERSION}
    """,
}
"""Views beside the tables: `tensors` is a row per tensor of every model with what its census says in one number."""

_NEEDS = {"tensors": ("models", "census")}
_INDIRECT = re.compile(r"\bquery(_table)?\b|u&", re.IGNORECASE)  # a table may be named without being spelled


def ask(parts: Parts, query: str) -> pa.Table:
    """The answer to one SELECT (or EXPLAIN, DESCRIBE, SUMMARIZE).

    Only the tables that the query names are read, and their lists (the bins of a census) only when it uses them.
    Raises UsageError with DuckDB's first line when the query fails, StorageError when the store cannot be read.
    """
    import duckdb

    if "\0" in query or query != storable(query):
        raise UsageError("the query is not text (UTF-8)")
    connection = duckdb.connect(":memory:", config=dict(SETTINGS))
    try:
        try:
            return _answer(connection, parts, query)
        except duckdb.Error as error:
            raise UsageError(_first_line(error), next=f"tables: {', '.join([*SCHEMAS, *VIEWS])}") from error
    finally:
        connection.close()


def _answer(connection: Any, parts: Parts, query: str) -> pa.Table:
    kind = _only_statement(connection, query)
    for schema in SCHEMAS.values():
        connection.register(schema.name, table_of([], schema))
    for name, view in VIEWS.items():
        connection.execute(f"CREATE VIEW {name} AS {view}")
    connection.execute("SET lock_configuration = true")
    plan = _plan(connection, query) if kind == "SELECT" else None
    for schema in _named(query):
        connection.unregister(schema.name)
        connection.register(schema.name, _table(parts, schema, plan))
    answer = connection.sql(query)
    if answer is None:
        raise UsageError("the query has no answer")
    return answer.to_arrow_table()


def _only_statement(connection: Any, query: str) -> str:
    """The kind of the one statement. Raises UsageError for anything that could change something."""
    statements = connection.extract_statements(query)
    kinds = [str(statement.type).rpartition(".")[2] for statement in statements]
    if len(kinds) != 1:
        raise UsageError(f"one query at a time, not {len(kinds)}")
    if kinds[0] not in ("SELECT", "EXPLAIN"):
        raise UsageError(f"only questions are answered (SELECT …), not {kinds[0]}")
    return kinds[0]


def _plan(connection: Any, query: str) -> str:
    """DuckDB's plan for the query over empty tables: it names every column that will be touched."""
    return "\n".join(str(row[-1]) for row in connection.execute(f"EXPLAIN (FORMAT JSON) {query}").fetchall())


def _named(query: str) -> list[Schema]:
    text = query.lower()
    names = {name for name in SCHEMAS if name in text}
    names |= {need for view, needs in _NEEDS.items() if view in text for need in needs}
    return [schema for schema in SCHEMAS.values() if schema.name in names or _INDIRECT.search(text)]


def _table(parts: Parts, schema: Schema, plan: str | None) -> pa.Table:
    """The whole table; lists that the plan does not touch are null, so that they need not be decoded."""
    import pyarrow as pa

    touched = [name for name in schema.lists if plan is None or re.search(rf"\b{name}\b", plan)]
    found = parts.read(schema.name, columns=[*schema.scalars, *touched])
    for name in set(schema.lists) - set(touched):
        found = found.append_column(name, pa.nulls(found.num_rows, schema.arrow().field(name).type))
    return found.select(list(schema.columns))


def _first_line(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]
