"""`kaibo score`."""

from __future__ import annotations

import sys
from typing import Annotated, Any

import typer

from kaibo.desk import options, scoring
from kaibo.desk.answering import answering, say
from kaibo.desk.groups import grouped

Each = Annotated[bool, typer.Option("--each", help="A row for each text, too.")]
Ids = Annotated[int, typer.Option("--ids", metavar="N", min=0, help="Print the first N ids that each model reads.")]

Draw = Annotated[
    str, typer.Option("--draw", metavar="strip|context", help="What --figure draws: tokens, or loss by context.")
]


@grouped
def command(
    models: options.Models,
    text: scoring.Texts,
    window: scoring.Window = None,
    stride: scoring.Stride = None,
    context_min: scoring.Least = 1,
    bos: scoring.Bos = "auto",
    errors: scoring.Errors = "strict",
    dtype: scoring.Dtype = "float32",
    device: scoring.Device = "cpu",
    rope: scoring.Rope = None,
    batch: scoring.Batch = None,
    prefetch: scoring.Prefetch = False,
    ids: Ids = 0,
    each: Each = False,
    json: options.Json = False,
    table: options.Export = None,
    figure: options.Picture = None,
    draw: Draw = "strip",
    language: options.Language = "en",
    force: options.Force = False,
    *,
    keeping: options.Keeping,
) -> None:
    """Nats of every token of a text under each model, and the perplexities that follow.

    A folder of checkpoints stands for all of them. Nothing that the store knows is scored again; a run that was
    stopped goes on where it was.
    """
    from kaibo.chapters.score.ask import Shown, score, token_losses
    from kaibo.collect import progress_bar
    from kaibo.scoring.planning import ScoreSettings

    with answering("score", as_json=json) as answer, progress_bar() as progress:
        kept = scoring.errors_kept(errors)
        _drawing(draw)
        how = ScoreSettings(window, stride, context_min, scoring.lead(bos), dtype, rope, device, batch, prefetch)
        settings = keeping.settings(progress)
        finding = score(
            models,
            text,
            how=how,
            errors=kept,
            shown=Shown(each, ids, lambda said: say(sys.stderr, f"kaibo: note: {said}")),
            settings=settings,
            on_error=answer.errors.append,
        )
        options.export(finding, table, None, language=language, force=force)
        if figure is not None and finding.rows:
            scored = list(finding.provenance["models"])
            drawn = token_losses(scored, text, _drawing(draw), how=how, errors=kept, settings=settings)
            options.export(drawn, None, figure, language=language, force=force)
        options.present(answer, finding, language=language)


def _drawing(draw: str) -> Any:
    from kaibo.errors import UsageError

    if draw not in ("strip", "context"):
        raise UsageError(f'--draw "{draw}" is none of strip, context')
    return draw
