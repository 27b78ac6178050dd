"""`kaibo correlate` and `kaibo measures`."""

from __future__ import annotations

from typing import Annotated

import typer

from kaibo.chapters.table import options as tables
from kaibo.desk import options
from kaibo.desk.answering import answering
from kaibo.desk.groups import grouped

WHAT = "FILE:COLUMN (or a shipped table's name) or store:MEASURE; a column may be a pattern."
X = Annotated[str, typer.Argument(metavar="X", help=WHAT)]
Y = Annotated[str, typer.Argument(metavar="Y", help=WHAT)]
Given = Annotated[
    str | None,
    typer.Option("--given", metavar="Z", help="A third measurement to hold fixed, such as TABLE:parameters."),
]


@grouped
def correlate(
    x: X,
    y: Y,
    given: Given = None,
    alias: tables.Alias = None,
    models: tables.OnlyModels = None,
    unit: tables.Units = None,
    missing: tables.Missing = None,
    dedupe: tables.Dedupe = False,
    encoding: tables.Encoding = None,
    model_column: tables.ModelColumn = None,
    *,
    out: tables.Output,
    store: options.StoreFolder = None,
) -> None:
    """Does one measurement go with another? Three coefficients with intervals, and how many models it would take."""
    from kaibo.chapters.correlate.ask import correlate as relate

    with answering("correlate", as_json=out.json) as answer:
        how = tables.Reading(alias, models, unit, missing, dedupe, encoding, model_column).options()
        finding = relate(x, y, given=given, store=store, options=how)
        out.give(answer, finding)


def measures(json: options.Json = False, language: options.Language = "en", store: options.StoreFolder = None) -> None:
    """Every store:MEASURE that correlate takes, with how many models have it."""
    from kaibo.chapters.correlate.ask import measures as listed

    with answering("measures", as_json=json) as answer:
        options.present(answer, listed(store=store), language=language)
