"""`kaibo tour`."""

from __future__ import annotations

from typing import Annotated

import typer

from kaibo.desk import options
from kaibo.desk.answering import answering

Of = Annotated[str, typer.Argument(metavar="NAME", help="Which architecture: llama.")]
Seed = Annotated[int, typer.Option("--seed", metavar="N", help="Seed of the numbers that are shown.")]
Drawing = Annotated[str | None, typer.Option("--drawing", metavar="NAME", help="What --figure draws: positions, base.")]


def command(
    of: Of = "llama",
    seed: Seed = 0,
    json: options.Json = False,
    table: options.Export = None,
    figure: options.Picture = None,
    drawing: Drawing = None,
    language: options.Language = "en",
    force: options.Force = False,
    store: options.UnusedStore = None,
) -> None:
    """A guided tour of an architecture, every identity of it computed two ways with live numbers."""
    from kaibo.chapters.tour.ask import tour

    with answering("tour", as_json=json) as answer:
        found = tour(of, seed=seed)
        options.export(found, table, figure, language=language, force=force, drawing=drawing)
        answer.results = found.records()
        answer.exit = 0 if all(row.holds is not False for row in found) else 70
        if not json:
            from kaibo.chapters.tour.told import show_tour

            answer.show = lambda: show_tour(found, language=language)
