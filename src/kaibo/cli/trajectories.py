"""`kaibo trajectories`."""

from __future__ import annotations

from typing import Annotated

import typer

from kaibo.cli import options, tables
from kaibo.cli.running import answering

Perplexity = Annotated[
    str | None,
    typer.Option(
        "--perplexity", metavar="COLUMN", help="The perplexity to hold scores against (default: the first ppl)."
    ),
]


def command(
    tables_: tables.Tables,
    columns: tables.Columns = None,
    perplexity: Perplexity = None,
    alias: tables.Alias = None,
    models: tables.OnlyModels = None,
    unit: tables.Units = None,
    missing: tables.Missing = None,
    dedupe: tables.Dedupe = False,
    json: options.Json = False,
    table: options.Export = None,
    figure: options.Picture = None,
    figures: tables.Pictures = None,
    language: options.Language = "en",
    force: options.Force = False,
) -> None:
    """Scores along training: a function of perplexity, of FLOPs or of size, and where do small models lead?"""
    from kaibo.verbs.trajectories import trajectories

    with answering("trajectories", as_json=json) as answer:
        how = tables.reading(alias, models, unit, missing, dedupe, None, None, None)
        finding = trajectories(tables_, columns=columns, perplexity=perplexity, options=how)
        tables.export(finding, table, figure, figures, language=language, force=force)
        tables.present(answer, finding, language=language)
