"""`kaibo stats`."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from kaibo.desk import options
from kaibo.desk.answering import Answer, answering
from kaibo.desk.groups import grouped

Grid = Annotated[bool, typer.Option("--grid", help="Also look for 4-bit grids by groups: one more pass.")]


@grouped
def command(
    models: options.Models,
    by: options.Level = "model",
    json: options.Json = False,
    table: options.Export = None,
    figure: options.Picture = None,
    language: options.Language = "en",
    force: options.Force = False,
    *,
    reading: options.Measuring,
    grid: Grid = False,
) -> None:
    """Moments, norms, tails, entropy and hidden grids of the weights.

    The figure shows the spread of the weights over depth, a line a role.
    """
    from kaibo.chapters.stats.ask import grids, profile, stats
    from kaibo.collect import progress_bar

    with answering("stats", as_json=json) as answer, progress_bar() as progress:
        settings = reading.settings(progress)
        finding = stats(models, by, settings=settings, on_error=answer.errors.append)  # type: ignore[arg-type]
        options.export(finding, table, None, language=language, force=force)
        if figure is not None:
            drawn = profile(list(finding.provenance["models"]), settings=settings)
            options.export(drawn, None, figure, language=language, force=force)
        options.present(answer, finding, language=language)
        if grid:
            readable = list(finding.provenance["models"])
            _present_grids(answer, grids(readable, settings=settings, on_error=answer.errors.append), language)


def _present_grids(answer: Answer, found: Any, language: str) -> None:
    """Adds the grids after the statistics: a list of their own in JSON, a second table for people."""
    from kaibo.reports.terminal import show

    answer.lists["grids"] = found.records()
    answer.warnings += found.notes if answer.json else ()
    answer.also(lambda: show(found, language=language))
