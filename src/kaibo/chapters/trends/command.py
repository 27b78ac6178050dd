"""`kaibo trends`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any

import typer

from kaibo.desk import options, outputs, scoring
from kaibo.desk.answering import Answer, answering
from kaibo.desk.groups import grouped

Series = Annotated[
    list[str],
    typer.Argument(metavar="SERIES…", help="Folders of checkpoints, a run each, or checkpoints: hf:org/name@step1000."),
]
Starts = Annotated[
    str, typer.Option("--start", metavar="LIST", help="Fractions of a run's steps from which trends begin.")
]
Against = Annotated[
    str, typer.Option("--against", metavar="start|size|step|tokens|flops|ppl", help="What shares are drawn against.")
]
Follow = Annotated[
    list[str] | None,
    typer.Option("--follow", metavar="RUN:CLASS", help="A set of tokens to follow in every run; several times."),
]
Sample = Annotated[float, typer.Option("--sample", metavar="SHARE", help="How much of a set is followed.")]
Smooth = Annotated[float, typer.Option("--smooth", metavar="SHARE", help="What an exponential average keeps.")]
Passages = Annotated[int, typer.Option("--passages", metavar="N", help="Sentences that are shown.", min=0)]
Seed = Annotated[int, typer.Option("--seed", metavar="N", help="Of everything random.", min=0)]
Batch = Annotated[
    str | None,
    typer.Option("--batch-tokens", metavar="LIST", help="Tokens that a step reads, for all runs or one for each."),
]


@dataclass(frozen=True)
class Followed:
    """Which sets of tokens are followed."""

    follow: Follow = None
    sample: Sample = 0.1
    smooth: Smooth = 0.0
    passages: Passages = 3


@grouped
def command(
    series: Series,
    text: scoring.Texts,
    start: Starts = "0.1,0.3,0.5,0.7",
    against: Against = "start",
    batch_tokens: Batch = None,
    seed: Seed = 0,
    out: outputs.Out = None,
    *,
    followed: Followed,
    reading: scoring.Scoring,
    given: options.Output,
    keeping: options.Keeping,
) -> None:
    """Which tokens runs learn, finish and forget: the trend of every token along the checkpoints.

    What the store does not know is scored first; then no model is run. Each class has its share from each start on;
    sets of tokens are followed in every run, held against each other, and searched for double descent.
    """
    from kaibo.chapters.trends.ask import trends
    from kaibo.collect import progress_bar
    from kaibo.figures.names import model_name

    with answering("trends", as_json=given.json) as answer, progress_bar() as progress:
        asked = _asked(start, followed, against, seed)
        found = trends(
            series,
            text,
            asked=asked,
            how=reading.settings(),
            errors=reading.errors,
            batch_tokens=scoring.counts("--batch-tokens", batch_tokens),
            settings=keeping.settings(progress),
            on_error=answer.errors.append,
        )
        given.export(found.shares)
        if out is not None:
            name = model_name(str(found.shares.provenance["text"]))
            outputs.write_folder(out, "trends", found.findings, title=name, language=given.language, force=given.force)
        _fill(answer, found, given.language)


def _asked(start: str, followed: Followed, against: Any, seed: int) -> Any:
    from kaibo.chapters.trends.whole import TrendOptions

    sets = _follow(followed.follow)
    return TrendOptions(_fractions(start), sets, followed.sample, followed.smooth, followed.passages, against, seed)


def _fractions(text: str) -> tuple[float, ...]:
    from kaibo.errors import UsageError

    try:
        return tuple(float(part) for part in text.split(","))
    except ValueError:
        raise UsageError(f"--start {text} is no list of fractions", next="write --start 0.1,0.5") from None


def _follow(given: list[str] | None) -> tuple[tuple[str, str], ...]:
    from kaibo.errors import UsageError

    out = []
    for one in given or ():
        name, colon, trend = one.rpartition(":")
        if not colon or not name or not trend:
            raise UsageError(f'--follow takes RUN:CLASS, not "{one}"', next="write --follow family-1M:upward")
        out.append((name, trend))
    return tuple(out)


def _fill(answer: Answer, found: Any, language: str) -> None:
    """The shares as results, the other findings as lists of their own; for people the tables that say most."""
    from kaibo.reports.trends import show_trends

    answer.results = found.shares.records()
    if answer.json:
        answer.lists = {str(finding.kind).removeprefix("trends-"): finding.records() for finding in found.findings[1:]}
        answer.warnings += [note for finding in found.findings for note in finding.notes]
    else:
        answer.show = lambda: show_trends(found, language=language)
