"""`kaibo merge`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from kaibo.desk import options
from kaibo.desk.answering import answering
from kaibo.desk.groups import grouped
from kaibo.desk.options import bytes_of

Base = Annotated[str, typer.Argument(metavar="BASE", help="The starting model, or a mergekit configuration (.yaml).")]
Tuned = Annotated[list[str] | None, typer.Argument(metavar="TUNED…", help="Models made from it.")]
Method = Annotated[str, typer.Option("--method", metavar="NAME", help="ties, task-arithmetic, linear, dare or slerp.")]
Density = Annotated[
    str | None,
    typer.Option("--density", metavar="SHARES", help="Share of each task vector that is kept: one, or a list."),
]
Weight = Annotated[str, typer.Option("--weight", metavar="NUMBERS", help="Weight of each model: one, or a list.")]
Factor = Annotated[float, typer.Option("--lambda", metavar="λ", help="Multiplies what is added to the base.")]
T = Annotated[float, typer.Option("--t", metavar="SHARE", help="How far slerp goes from BASE to TUNED.")]
Seed = Annotated[int, typer.Option("--seed", metavar="N", help="Seed of what dare drops.")]
Like = Annotated[
    str,
    typer.Option("--like", metavar="NAME", help="Conventions of TIES: reference (the paper's code), peft or mergekit."),
]
Scope = Annotated[str | None, typer.Option("--scope", metavar="global|tensor", help="What is trimmed together.")]
Ties = Annotated[
    str | None,
    typer.Option("--ties", metavar="reference|exact", help="Keep all ties at the threshold, or exactly so many."),
]
Vote = Annotated[
    str | None,
    typer.Option("--vote", metavar="sum|weighted|count", help="What elects a sign: Σ Δ, Σ w·Δ, or how many."),
]
Tie = Annotated[str | None, typer.Option("--tie", metavar="majority|plus", help="The sign where the vote is zero.")]
Divide = Annotated[
    str | None,
    typer.Option("--divide", metavar="count|weights|none", help="What the sum over agreeing entries is divided by."),
]
Out = Annotated[Path | None, typer.Option("--out", metavar="DIR", help="Where the merged model goes.")]
Drawn = Annotated[
    Literal["conflict", "survival"],
    typer.Option(
        "--draw", metavar="conflict|survival", help="What --figure draws: the map of conflicts, or what is left."
    ),
]
Report = Annotated[bool, typer.Option("--report", help="Only the report of conflicts; nothing is written.")]
Dtype = Annotated[
    str | None,
    typer.Option("--dtype", metavar="TYPE", help="float32, bfloat16, float16 or float64 (default: the base's)."),
]
ShardSize = Annotated[str, typer.Option("--shard-size", metavar="SIZE", help="Largest file, such as 5GB or 500MB.")]
Partial = Annotated[bool, typer.Option("--partial", help="Leave tensors that a model lacks as they are in BASE.")]


@dataclass(frozen=True)
class Asked:
    """Which merge."""

    method: Method = "ties"
    density: Density = None
    weight: Weight = "1.0"
    factor: Factor = 1.0
    t: T = 0.5
    seed: Seed = 0
    scope: Scope = None
    ties: Ties = None
    vote: Vote = None
    tie: Tie = None
    divide: Divide = None


@dataclass(frozen=True)
class Written:
    """Where the merged model goes, and in which form."""

    out: Out = None
    report: Report = False
    dtype: Dtype = None
    shard_size: ShardSize = "5GB"
    partial: Partial = False

    @property
    def folder(self) -> Path | None:
        """The folder; None where the report alone is wanted. Raises UsageError where neither is said."""
        from kaibo.errors import UsageError

        if self.out is None and not self.report:
            raise UsageError(
                "there is no place to write to", next="give --out DIR, or --report for the conflicts alone"
            )
        return None if self.report else self.out


@grouped
def command(
    base: Base,
    tuned: Tuned = None,
    like: Like = "reference",
    draw: Drawn = "conflict",
    *,
    merging: Asked,
    written: Written,
    given: options.Output,
    forming: options.Forming,
) -> None:
    """Merge models made from one base into one, streamed to safetensors; says first where they are in conflict.

    TIES trims each task vector, elects a sign at each position and averages the entries that have it. A merge that
    was stopped is taken up where it was by the same command.
    """
    from kaibo.collect import progress_bar

    with answering("merge", as_json=given.json) as answer, progress_bar() as progress:
        from kaibo.chapters.merge.ask import Writing, merge
        from kaibo.chapters.merge.options import asked

        request = asked(base, tuned or [], like, vars(merging))
        size = bytes_of(written.shard_size, "--shard-size")
        dtype = written.dtype or request.dtype
        writing = Writing(written.folder, dtype, size, force=given.force, partial=written.partial)
        settings = forming.settings(progress)
        found = merge(request.base, request.tuned, recipe=request.recipe, writing=writing, settings=settings)
        answer.results = [found.record()]
        answer.lists = {"by_layer": found.by_layer.records(), "by_role": found.by_role.records()}
        given.export(found.by_role, found.by_role if draw == "survival" else found.cells)
        answer.warnings += [*request.notes, *found.notes]
        answer.show = lambda: _show(found, given.language)


def _show(found: Any, language: str) -> None:
    """How much of each task vector survives, where they are in conflict, and where the merge went."""
    from kaibo.reports.terminal import console, show
    from kaibo.words import bytes_in_words, percent, word

    out = console()
    show(found.by_role, to=out, language=language)
    whole = found.report.rows[0]
    for model, kept, elected in zip(found.tuned, whole.kept_each, whole.elected_each, strict=True):
        said = {"model": model, "kept": percent(kept), "elected": percent(elected)}
        out.print(word("merge.survives", language, **said), markup=False, highlight=False)
    out.print(word("merge.conflict_said", language, share=percent(whole.conflict)), markup=False, highlight=False)
    if found.written is not None:
        size, files = bytes_in_words(found.written.bytes), found.written.written + found.written.kept
        said = {"out": found.out, "size": size, "files": files}
        out.print(word("merge.written", language, **said), markup=False, highlight=False)
