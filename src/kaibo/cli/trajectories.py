"""`kaibo trajectories`."""

from __future__ import annotations

from typing import Annotated

import typer

from kaibo.cli import tables
from kaibo.cli.groups import grouped
from kaibo.cli.running import answering

Perplexity = Annotated[
    str | None,
    typer.Option(
        "--perplexity", metavar="COLUMN", help="The perplexity to hold scores against (default: the first ppl)."
    ),
]


@grouped
def command(
    tables_: tables.Tables,
    columns: tables.Columns = None,
    perplexity: Perplexity = None,
    alias: tables.Alias = None,
    models: tables.OnlyModels = None,
    unit: tables.Units = None,
    missing: tables.Missing = None,
    dedupe: tables.Dedupe = False,
    *,
    out: tables.Output,
) -> None:
    """Scores along training: a function of perplexity, of FLOPs or of size, and where do small models lead?"""
    from kaibo.verbs.trajectories import trajectories

    with answering("trajectories", as_json=out.json) as answer:
        how = tables.Reading(alias, models, unit, missing, dedupe).options()
        finding = trajectories(tables_, columns=columns, perplexity=perplexity, options=how)
        out.give(answer, finding)
