"""`kaibo norms`."""

from __future__ import annotations

from typing import Annotated

import typer

from kaibo.desk import options
from kaibo.desk.answering import answering

Values = Annotated[int, typer.Argument(metavar="N", help="How many values the vector has: the model's parameters.")]
Absolute = Annotated[float, typer.Argument(metavar="L1", help="The L1 norm that was reported.")]
Square = Annotated[float, typer.Argument(metavar="L2", help="The L2 norm that was reported.")]


def command(
    n: Values,
    l1: Absolute,
    l2: Square,
    json: options.Json = False,
    language: options.Language = "en",
    store: options.UnusedStore = None,
) -> None:
    """Can these be the norms of one vector? L1 is at most √n·L2, L2 at most L1; exit code 1 where they cannot.

    Published norms of differences that break it were not added in float64, or are not of one difference.
    """
    from kaibo.chapters.norms.ask import norms

    with answering("norms", as_json=json) as answer:
        finding = norms([(n, l1, l2)])
        options.present(answer, finding, language=language)
        answer.exit = 0 if finding.rows[0].holds else 1
