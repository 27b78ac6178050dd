"""Questions in SQL, answered by DuckDB over Arrow tables that were built from verified bytes.

DuckDB owns nothing here: no file, no network, no extension, no setting can be reached from a query, and every
query starts from a fresh database in memory.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from threading import Event, Thread
from typing import TYPE_CHECKING, Any

from kaibo.errors import UsageError, escaped
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


BATCH = 10_000
"""Rows of an answer that are fetched at a time."""

SECONDS, BYTES = 60.0, 16 << 20


@dataclass(frozen=True)
class Limits:
    """What one question may take: so many seconds, and so many bytes of answer, after which it is cut."""

    seconds: float = SECONDS
    bytes: int = BYTES


@dataclass(frozen=True)
class Answered:
    """The rows of an answer; `cut` says that there are more, which did not fit."""

    table: pa.Table
    cut: bool


def ask(parts: Parts, query: str, limits: Limits | None = None) -> Answered:
    """The answer to one SELECT (or EXPLAIN, DESCRIBE, SUMMARIZE).

    Only the tables that the query names are read, and their lists (the bins of a census) only when it uses them.
    Columns of types that JSON does not have (dates, very large integers …) come as DuckDB writes them.
    Raises UsageError with DuckDB's first line when the query fails or takes too long or too much memory, StorageError
    when the store cannot be read.
    """
    import duckdb

    limits = limits or Limits()
    if not limits.seconds > 0:
        raise UsageError(f"--timeout must be above 0, got {limits.seconds:g}")

    if "\0" in query or query != storable(query):
        raise UsageError("the query is not text (UTF-8)")
    connection = duckdb.connect(":memory:", config=dict(SETTINGS))
    try:
        try:
            return _within(limits.seconds, connection, lambda: _answer(connection, parts, query, limits.bytes))
        except duckdb.OutOfMemoryException as error:
            message = f"the query needs more than {SETTINGS['memory_limit']} of memory"
            raise UsageError(message, next="ask for fewer rows, or aggregate them") from error
        except (duckdb.Error, ValueError, RuntimeError, OverflowError) as error:  # it raises Python's own, too
            raise UsageError(_first_line(error), next=f"tables: {', '.join([*SCHEMAS, *VIEWS])}") from error
    finally:
        connection.close()


def _within(seconds: float, connection: Any, work: Callable[[], Answered]) -> Answered:
    """The work in a thread of its own, so that neither the clock nor the user has to wait for DuckDB.

    Raises UsageError where it takes longer, and whatever the work raises.
    """
    found: list[Answered | BaseException] = []

    def run() -> None:
        try:
            found.append(work())
        except BaseException as error:  # noqa: BLE001 - raised again below, in the thread that asked
            found.append(error)
        ended.set()

    ended = Event()  # a thread whose join was interrupted says that it has ended, although it runs (Python 3.11)
    Thread(target=run, daemon=True).start()
    late = True
    try:
        late = not ended.wait(min(seconds, 1e6))
    finally:
        for _ in range(100 if late else 0):  # again and again: an interrupt before the query runs is forgotten
            connection.interrupt()
            if ended.wait(0.1):
                break
    if late:
        message = f"the query took longer than {seconds:g} s and was stopped"
        raise UsageError(message, next="give it more time with --timeout, or ask for less")
    (outcome,) = found
    if isinstance(outcome, BaseException):
        raise outcome
    return outcome


def _answer(connection: Any, parts: Parts, query: str, limit: int) -> Answered:
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
    return _fetched(_readable(answer), limit)


def _fetched(answer: Any, limit: int) -> Answered:
    """The rows of an answer as far as they fit."""
    import pyarrow as pa

    reader = answer.to_arrow_reader(BATCH)
    batches: list[pa.RecordBatch] = []
    size = 0
    for batch in reader:
        size += batch.nbytes
        if size > limit:
            room = max(0, batch.num_rows - (size - limit) * batch.num_rows // max(batch.nbytes, 1))
            return Answered(pa.Table.from_batches([*batches, batch.slice(0, room)], reader.schema), True)
        batches.append(batch)
    return Answered(pa.Table.from_batches(batches, reader.schema), False)


_PLAIN = frozenset(
    {
        *("boolean", "tinyint", "smallint", "integer", "bigint", "utinyint", "usmallint", "uinteger", "ubigint"),
        *("hugeint", "float", "double", "varchar", "decimal", "blob", "enum", "sqlnull", "null"),
    }
)
"""Types whose values JSON and Python have as they are."""


def _readable(answer: Any) -> Any:
    """The answer with every other type as text: dates that Python cannot hold, integers of 128 bits, intervals …"""
    wanted = [_type(kind) for kind in answer.types]
    if all(kind is None for kind in wanted):
        return answer
    columns = [
        f"c{at} AS {_quoted(name)}" if kind is None else f"CAST(c{at} AS {kind}) AS {_quoted(name)}"
        for at, (name, kind) in enumerate(zip(answer.columns, wanted, strict=True))
    ]
    listed = ", ".join(f"c{at}" for at in range(len(columns)))
    return answer.query("answer", f"SELECT {', '.join(columns)} FROM answer AS told({listed})")


def _type(kind: Any) -> str | None:
    """The type in which a column is told; None where that is its own."""
    if kind.id in _PLAIN:
        return None
    if kind.id in ("list", "array"):
        inner = _type(kind.children[0][1])
        return None if inner is None else f"{inner}[]"
    if kind.id == "struct":
        fields = [f"{_quoted(name)} {_type(child) or child}" for name, child in kind.children]
        return None if all(_type(child) is None for _, child in kind.children) else f"STRUCT({', '.join(fields)})"
    return "VARCHAR"


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _only_statement(connection: Any, query: str) -> str:
    """The kind of the one statement. Raises UsageError for anything that could change something."""
    statements = connection.extract_statements(query)
    kinds = [_kind(statement) for statement in statements]
    if len(kinds) != 1:
        raise UsageError(f"one query at a time, not {len(kinds)}")
    if kinds[0] not in ("SELECT", "EXPLAIN"):
        raise UsageError(f"only questions are answered (SELECT …), not {kinds[0]}")
    return kinds[0]


def _kind(statement: Any) -> str:
    """What DuckDB calls the statement; some kinds have a number and no name here."""
    try:
        return str(statement.type).rpartition(".")[2]
    except ValueError:
        return "a statement of another kind"


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
    return escaped((str(error).strip() or type(error).__name__).splitlines()[0], 300)
