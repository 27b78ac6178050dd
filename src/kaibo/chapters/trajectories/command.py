"""`kaibo trajectories`."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from kaibo.chapters.eval import command as evaluate
from kaibo.chapters.table import options as tables
from kaibo.desk import options, scoring
from kaibo.desk.answering import Answer, answering
from kaibo.desk.groups import grouped

Sources = Annotated[
    list[str],
    typer.Argument(metavar="TABLE…|SERIES…", help=f"{tables.FORMATS} With --task: folders of checkpoints, a run each."),
]
Perplexity = Annotated[
    str | None,
    typer.Option(
        "--perplexity", metavar="COLUMN", help="The perplexity to hold scores against (default: the first ppl)."
    ),
]
Smooth = Annotated[
    float, typer.Option("--smooth", metavar="SHARE", help="What an exponential average along each run keeps.")
]
Text = Annotated[
    list[str] | None, typer.Option("--text", metavar="FILE", help="With --task: texts whose perplexity scores go by.")
]
Most = Annotated[
    int | None, typer.Option("--most", metavar="N", help="With --task: at most so many checkpoints of a run, evenly.")
]
Batch = Annotated[
    str | None,
    typer.Option("--batch-tokens", metavar="LIST", help="With --task: tokens that a step reads, for all runs or each."),
]


@grouped
def command(
    sources: Sources,
    columns: tables.Columns = None,
    perplexity: Perplexity = None,
    smooth: Smooth = 0.0,
    text: Text = None,
    most: Most = None,
    batch_tokens: Batch = None,
    *,
    asked: evaluate.Asked,
    reading: tables.Reading,
    out: tables.Output,
    work: options.Work,
) -> None:
    """Scores along training: a function of perplexity, of FLOPs or of size, and where do small models lead?

    Of published tables, or, with --task and --text, of runs of your own: what the store does not know is measured.
    """
    from kaibo.chapters.trajectories.ask import trajectories
    from kaibo.chapters.trajectories.ask_tasks import TrajectoryOptions
    from kaibo.collect import progress_bar

    with answering("trajectories", as_json=out.json) as answer, progress_bar() as progress:
        if asked.task or text:
            steps = scoring.counts("--batch-tokens", batch_tokens)
            how = TrajectoryOptions(asked.options(), most, smooth, steps)
            finding = _of_runs(sources, asked.task, text, how, work.settings(progress), answer)
        else:
            told = reading.options()
            finding = trajectories(sources, columns=columns, perplexity=perplexity, smooth=smooth, options=told)
        out.give(answer, finding)


def _of_runs(
    series: list[str], task: list[str] | None, text: list[str] | None, how: Any, settings: Any, answer: Answer
) -> Any:
    from kaibo.chapters.trajectories.ask_tasks import task_trajectories
    from kaibo.errors import UsageError

    if not task or not text:
        raise UsageError("runs need both --task and --text", next="--task cloze --data FILE --text FILE")
    return task_trajectories(series, task, text, options=how, settings=settings, on_error=answer.errors.append)
