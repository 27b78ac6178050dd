"""`kaibo sql`."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from kaibo.desk import options
from kaibo.desk.answering import answering

Query = Annotated[
    str, typer.Argument(metavar="QUERY", help='For instance "SELECT role, sum(n) FROM models GROUP BY role".')
]


Timeout = Annotated[float, typer.Option("--timeout", metavar="SECONDS", help="Stop the query after so many seconds.")]


def command(
    query: Query, timeout: Timeout = 60.0, json: options.Json = False, store: options.StoreFolder = None
) -> None:
    """Ask the store in SQL: tables sources, census, models, failures, and the view tensors. It reads nothing else."""
    from kaibo.chapters.sql.ask import sql
    from kaibo.vocabulary import with_reasons

    with answering("sql", as_json=json) as answer:
        columns, rows, warnings = sql(query, store=store, timeout=timeout)
        answer.results = [with_reasons(dict(zip(columns, row, strict=True))) for row in rows]
        answer.warnings += warnings
        answer.show = lambda: _show(columns, rows)


def _show(columns: list[str], rows: list[tuple[Any, ...]]) -> None:
    from kaibo.reports.plain import show_table
    from kaibo.reports.terminal import console

    show_table(columns, rows, to=console())
