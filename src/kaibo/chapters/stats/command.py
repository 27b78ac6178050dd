"""`kaibo stats`."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from kaibo.desk import options
from kaibo.desk.answering import Answer, answering
from kaibo.desk.groups import grouped
from kaibo.desk.sharing import Sharing

Grid = Annotated[bool, typer.Option("--grid", help="Also look for 4-bit grids by groups: one more pass.")]
Level = Annotated[str, typer.Option("--by", metavar="LEVEL", help="model, layer, role, tensor or expert.")]


@grouped
def command(
    models: options.Models,
    by: Level = "model",
    json: options.Json = False,
    table: options.Export = None,
    figure: options.Picture = None,
    language: options.Language = "en",
    force: options.Force = False,
    *,
    reading: options.Measuring,
    sharing: Sharing,
    grid: Grid = False,
) -> None:
    """Moments, norms, tails, entropy and hidden grids of the weights.

    The figure shows the spread of the weights over depth, a line a role. By expert: how large the experts of a mixture
    are, how alike, and their rows of the router.
    """
    from kaibo.chapters.stats.ask import experts, grids, profile, stats
    from kaibo.collect import progress_bar
    from kaibo.desk.measuring import shared

    with answering("stats", as_json=json) as answer, progress_bar() as progress:
        settings = reading.settings(progress)
        left = ["--by expert"] * (by == "expert") + ["--grid"] * grid

        def share(shard: Any) -> Any:
            return [] if by == "expert" else shared(models, shard, settings, answer.errors.append)

        if sharing.done(answer, share, settings, left, language):
            return
        if by == "expert":
            found = experts(models, settings=settings, on_error=answer.errors.append)
            options.export(found, table, None, language=language, force=force)
            options.present(answer, found, language=language)
            return
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
