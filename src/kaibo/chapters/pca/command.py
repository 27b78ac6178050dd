"""`kaibo pca`."""

from __future__ import annotations

from typing import Annotated

import typer

from kaibo.chapters.table import options as tables
from kaibo.desk.answering import answering
from kaibo.desk.groups import grouped

Standardise = Annotated[bool, typer.Option("--standardise", help="Divide every column by its spread first.")]
Components = Annotated[
    int | None, typer.Option("--components", metavar="N", help="How many to report (up to five).", min=1)
]
Impute = Annotated[int, typer.Option("--impute", metavar="N", help="Components that fill the missing cells.", min=1)]
ImputeRaw = Annotated[bool, typer.Option("--impute-raw", help="Fill missing cells on the columns as they are.")]
KeepAverages = Annotated[bool, typer.Option("--keep-averages", help="Keep columns that are averages of others.")]
Permutations = Annotated[int, typer.Option("--permutations", metavar="N", help="Of the parallel analysis.", min=20)]


@grouped
def command(
    tables_: tables.Tables,
    standardise: Standardise = False,
    components: Components = None,
    impute: Impute = 1,
    impute_raw: ImputeRaw = False,
    keep_averages: KeepAverages = False,
    draws: tables.Draws = 2000,
    permutations: Permutations = 1000,
    seed: tables.Seed = 0,
    *,
    chosen: tables.Chosen,
    reading: tables.Reading,
    out: tables.Output,
) -> None:
    """Principal components of a table of scores: how many abilities it really measures.

    Missing cells are filled by iterated PCA; columns that are averages of others are left out. Beside each number
    stand bootstrap intervals over families and over models, and what permuted columns would give.
    """
    from kaibo.chapters.pca.ask import pca
    from kaibo.chapters.pca.components import ComponentSettings

    with answering("pca", as_json=out.json) as answer:
        how = reading.options()
        settings = ComponentSettings(components, standardise, impute, not impute_raw, draws, permutations, seed)
        finding = pca(
            tables_,
            columns=chosen.columns,
            without=chosen.without,
            keep_averages=keep_averages,
            settings=settings,
            options=how,
        )
        out.give(answer, finding)
