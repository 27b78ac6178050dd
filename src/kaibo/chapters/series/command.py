"""`kaibo series`."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from kaibo.desk import options, outputs
from kaibo.desk.answering import answering
from kaibo.desk.groups import grouped

Models = Annotated[
    list[str],
    typer.Argument(metavar="DIR|MODEL…", help="A folder of checkpoints, several, or hf:org/name@step*."),
]
Steps = Annotated[
    str | None,
    typer.Option("--steps", metavar="LIST", help="The step of each, where names do not say: 0,100,200; - for none."),
]
Weights = Annotated[bool, typer.Option("--weights", help="Of hf: patterns read the weights, too, not hashes alone.")]
Spectrum = Annotated[bool, typer.Option("--spectrum", help="Also follow the effective ranks of the matrices.")]


@grouped
def command(
    models: Models,
    steps: Steps = None,
    spectrum: Spectrum = False,
    weights: Weights = False,
    json: options.Json = False,
    table: options.Export = None,
    figure: options.Picture = None,
    out: outputs.Out = None,
    language: options.Language = "en",
    force: options.Force = False,
    *,
    reading: options.Reading,
) -> None:
    """Audit the checkpoints of a run, then follow their weights. Exit 1 when the audit finds anything.

    Repeated contents, checkpoints that equal the last one, missing steps, wrong order, jumps, changes of type,
    shape or config, each with its evidence. Then norm, distances, step lengths, digits and σ by role over the steps.
    Of hf:org/name@step* published hashes alone say which revisions are equal, missing or repeated.
    """
    from kaibo.chapters.series.ask import run_name, series
    from kaibo.collect import progress_bar

    with answering("series", as_json=json) as answer, progress_bar() as progress:
        settings = reading.settings(progress)
        found = series(
            models,
            steps=_steps(steps),
            spectrum=spectrum,
            weights=weights,
            settings=settings,
            on_error=answer.errors.append,
        )
        options.export(found.shown, table, figure, language=language, force=force)
        if out is not None:
            findings, name = (found.audit, found.shown), run_name(models)
            outputs.write_folder(out, "series", findings, title=name, language=language, force=force)
        answer.results = found.records()
        answer.warnings += found.shown.notes if json else ()
        answer.exit = 1 if found.audit.rows else 0
        answer.show = lambda: _show(found, language)


def _steps(text: str | None) -> list[int | None] | None:
    from kaibo.errors import UsageError

    if text is None:
        return None
    try:
        return [None if part.strip() == "-" else int(part) for part in text.split(",")]
    except ValueError:
        raise UsageError(f"--steps {text} is no list of steps", next="write --steps 0,100,200, - for none") from None


def _show(found: Any, language: str) -> None:
    """What the audit found first, then the trajectories."""
    from kaibo.reports.terminal import console, show
    from kaibo.words import word

    out = console()
    if found.audit.rows:
        show(found.audit, to=out, language=language)
    else:
        key = "series.clean_published" if found.revisions.rows else "series.clean"
        out.print(word(key, language, count=len(found.shown.rows)))
    out.print()
    show(found.shown, to=out, language=language, rows=1000)
