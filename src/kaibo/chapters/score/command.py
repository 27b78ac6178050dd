"""`kaibo score`."""

from __future__ import annotations

import sys
from typing import Annotated, Any, Literal

import typer

from kaibo.desk import options, scoring
from kaibo.desk.answering import answering, say
from kaibo.desk.groups import grouped
from kaibo.desk.sharing import Sharing

Each = Annotated[bool, typer.Option("--each", help="A row for each text, too.")]
Ids = Annotated[int, typer.Option("--ids", metavar="N", min=0, help="Print the first N ids that each model reads.")]

Draw = Annotated[
    Literal["strip", "context"],
    typer.Option("--draw", metavar="strip|context", help="What --figure draws: tokens, or loss by context."),
]


Against = Annotated[
    str | None,
    typer.Option("--against", metavar="BASE", help="What each model loses against this one, token by token."),
]


@grouped
def command(
    models: options.Models,
    text: scoring.Texts,
    context_min: scoring.Least = 1,
    rope: scoring.Rope = None,
    ids: Ids = 0,
    each: Each = False,
    draw: Draw = "strip",
    against: Against = None,
    *,
    reading: scoring.Scoring,
    out: options.Output,
    keeping: options.Keeping,
    sharing: Sharing,
) -> None:
    """Nats of every token of a text under each model, and the perplexities that follow.

    A folder of checkpoints stands for all of them. Nothing that the store knows is scored again; a run that was
    stopped goes on where it was.
    """
    from kaibo.chapters.score.ask import Shown, score, score_against, share_score, token_losses
    from kaibo.collect import progress_bar
    from kaibo.reports.terminal import show

    with answering("score", as_json=out.json) as answer, progress_bar() as progress:
        shown = Shown(each, ids, lambda said: say(sys.stderr, f"kaibo: note: {said}"))
        asked: dict[str, Any] = {
            "how": reading.settings(context_min, rope),
            "errors": reading.errors,
            "settings": keeping.settings(progress),
        }

        several = models if against is None else [against, *models]

        def share(shard: Any) -> Any:
            return share_score(several, text, shard, on_error=answer.errors.append, **asked)

        if sharing.done(answer, share, asked["settings"], language=out.language, device=reading.device):
            return
        lost = None
        if against is None:
            finding = score(models, text, shown=shown, on_error=answer.errors.append, **asked)
        else:
            finding, lost = score_against(against, models, text, shown=shown, on_error=answer.errors.append, **asked)
        drawn = None
        if out.figure is not None and finding.rows:
            drawn = token_losses(list(finding.provenance["models"]), text, draw, **asked)
        out.give(answer, finding, drawn)
        if lost is not None and lost.rows:
            answer.lists["pairs"] = lost.records()
            answer.also(lambda: show(lost, language=out.language))
