"""`kaibo select`."""

from __future__ import annotations

from typing import Annotated

import typer

from kaibo.cli import options, tables
from kaibo.cli.running import answering

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
    alias: tables.Alias = None,
    models: tables.OnlyModels = None,
    unit: tables.Units = None,
    missing: tables.Missing = None,
    dedupe: tables.Dedupe = False,
    encoding: tables.Encoding = None,
    model_column: tables.ModelColumn = None,
    sheet: tables.SheetName = None,
    json: options.Json = False,
    table: options.Export = None,
    language: options.Language = "en",
    force: options.Force = False,
) -> None:
    """Which families of models to run to know the components of all: V-optimal, exact where it can be."""
    from kaibo.analyses.selection import SelectSettings
    from kaibo.verbs.selection import select

    with answering("select", as_json=json) as answer:
        how = tables.reading(alias, models, unit, missing, dedupe, encoding, model_column, sheet)
        settings = SelectSettings(components, tuple(include or ()), families, largest, cost)
        finding = select(tables_, budget, columns=columns, without=without, settings=settings, options=how)
        tables.export(finding, table, None, None, language=language, force=force)
        tables.present(answer, finding, language=language)
