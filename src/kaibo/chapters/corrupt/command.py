"""`kaibo corrupt`."""

from __future__ import annotations

from typing import Annotated, Literal

import typer

from kaibo.desk import options, scoring
from kaibo.desk.answering import answering
from kaibo.desk.groups import grouped

Shares = Annotated[
    str, typer.Option("--share", metavar="LIST", help="Shares of the text to replace, from 0 to 1: 0,0.1,0.5,1.")
]
Mode = Annotated[
    Literal["uniform", "unigram", "shuffle"],
    typer.Option(
        "--mode", metavar="uniform|unigram|shuffle", help="By any unit alike, by frequency, or by each other."
    ),
]
Unit = Annotated[
    Literal["token", "word"],
    typer.Option("--unit", metavar="token|word", help="What is replaced; Japanese words are runs of one script."),
]
Seed = Annotated[int, typer.Option("--seed", metavar="N", help="The first seed.")]
Draws = Annotated[int, typer.Option("--draws", metavar="N", help="How many seeds; several give an interval over them.")]
Differ = Annotated[bool, typer.Option("--differ", help="What replaces a unit is never the same again.")]


@grouped
def command(
    models: options.Models,
    text: scoring.Texts,
    share: Shares = "0,0.1,0.2,0.4,0.6,0.8,1",
    mode: Mode = "uniform",
    unit: Unit = "token",
    seed: Seed = 0,
    draws: Draws = 1,
    differ: Differ = False,
    *,
    reading: scoring.Scoring,
    out: options.Output,
    keeping: options.Keeping,
) -> None:
    """Perplexity of a text of which more and more is random, beside the floor that no model can beat.

    Nothing that the store knows is scored again; a run that was stopped goes on where it was.
    """
    from kaibo.chapters.corrupt.ask import CorruptSettings, corrupt
    from kaibo.collect import progress_bar

    with answering("corrupt", as_json=out.json) as answer, progress_bar() as progress:
        finding = corrupt(
            models,
            text,
            what=CorruptSettings(_shares(share), mode, unit, seed, draws, differ),
            how=reading.settings(),
            errors=reading.errors,
            settings=keeping.settings(progress),
            on_error=answer.errors.append,
        )
        out.give(answer, finding)


def _shares(text: str) -> tuple[float, ...]:
    from kaibo.errors import UsageError

    try:
        return tuple(float(one) for one in text.split(",") if one.strip())
    except ValueError as wrong:
        raise UsageError(f'--share "{text}" is no list of numbers', next="--share 0,0.5,1") from wrong
