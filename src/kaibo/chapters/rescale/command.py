"""`kaibo rescale`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from kaibo.desk import options
from kaibo.desk.answering import answering
from kaibo.desk.groups import grouped

Direction = Annotated[
    Literal["law", "away", "both"],
    typer.Option("--towards", metavar="law|away|both", help="Nearer to Benford's law, or away from it."),
]
Out = Annotated[Path | None, typer.Option("--out", metavar="DIR", help="Also write the model that was found there.")]


@grouped
def command(
    model: options.Model,
    towards: Direction = "both",
    out: Out = None,
    *,
    given: options.Output,
    forming: options.Forming,
) -> None:
    """Move the first digits of a model by powers of two that cancel: every logit stays the same to the last bit.

    Says how near to Benford's law and how far from it the same model can be brought; --out writes one of the two.
    """
    from kaibo.chapters.merge.ask import Writing
    from kaibo.chapters.rescale.ask import rescale
    from kaibo.collect import progress_bar

    with answering("rescale", as_json=given.json) as answer, progress_bar() as progress:
        settings = forming.settings(progress)
        ways = ("law", "away") if towards == "both" else (towards,)
        found = rescale(model, ways, writing=Writing(out, force=given.force), settings=settings)  # type: ignore[arg-type]
        given.give(answer, found)
