"""`kaibo select`."""

from __future__ import annotations

from typing import Annotated

import typer

from kaibo.chapters.table import options as tables
from kaibo.desk.answering import answering
from kaibo.desk.groups import grouped

Budget = Annotated[
    list[float], typer.Option("--budget", metavar="N", help="What may be spent; several times for several budgets.")
]
Include = Annotated[list[str] | None, typer.Option("--include", metavar="FAMILY", help="A family that must be in.")]
Families = Annotated[int, typer.Option("--families", metavar="N", help="At most so many families.", min=1)]
Largest = Annotated[
    float | None, typer.Option("--largest", metavar="N", help="Only models of at most so many parameters.")
]
Cost = Annotated[str, typer.Option("--cost", metavar="models|parameters|COLUMN", help="What the budget counts.")]
Components = Annotated[int, typer.Option("--components", metavar="N", help="Components to know.", min=1)]


@grouped
def command(
    tables_: tables.Tables,
    budget: Budget,
    include: Include = None,
    families: Families = 10,
    largest: Largest = None,
    cost: Cost = "models",
    components: Components = 3,
    columns: tables.Columns = None,
    without: tables.Without = None,
    *,
    reading: tables.Reading,
    out: tables.TableOutput,
) -> None:
    """Which families of models to run to know the components of all: V-optimal, exact where it can be."""
    from kaibo.chapters.select.ask import select
    from kaibo.chapters.select.selection import SelectSettings

    with answering("select", as_json=out.json) as answer:
        how = reading.options()
        settings = SelectSettings(components, tuple(include or ()), families, largest, cost)
        finding = select(tables_, budget, columns=columns, without=without, settings=settings, options=how)
        out.give(answer, finding)
