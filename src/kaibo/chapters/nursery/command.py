"""`kaibo nursery`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from kaibo.desk import options
from kaibo.desk.answering import answering
from kaibo.desk.groups import grouped
from kaibo.words import said

Folder = Annotated[Path, typer.Argument(metavar="DIR", help="The folder of the nursery; what is there is kept.")]
PresetName = Annotated[str, typer.Option("--preset", metavar="NAME", help="demo, small, medium or ablation.")]


@grouped
def command(
    folder: Folder,
    preset: PresetName = "demo",
    json: options.Json = False,
    table: options.Export = None,
    language: options.Language = "en",
    force: Annotated[bool, typer.Option("--force", help="Replace runs of the same name with other inputs.")] = False,
    *,
    work: options.Work,
) -> None:
    """Pre-train a family of small LLaMAs with variants and fine-tuned children, on text that this machine has.

    demo takes four minutes on two cores, small half an hour, medium wants a GPU, ablation exchanges parts of one.
    """
    from kaibo.collect import training_bar

    with answering("nursery", as_json=json) as answer, training_bar() as bar:
        from kaibo.chapters.nursery.ask import nursery

        settings = work.settings()
        made = nursery(folder, preset, settings=settings, bar=bar, force=force)
        options.export(made.ablation if made.ablation.rows else made.runs, table, None, language=language, force=force)
        options.present(answer, made.runs, language=language)
        answer.lists["samples"] = made.samples.records()
        answer.lists |= {"ablation": made.ablation.records()} if made.ablation.rows else {}
        answer.show = lambda: _show(made, language)
        _report(made, folder, language)


def _show(made: Any, language: str) -> None:
    """The runs, what the family writes at first and at last, and where everything is listed."""
    from kaibo.reports.terminal import console, show
    from kaibo.words import word

    out = console()
    show(made.runs, to=out, language=language)
    for further in (made.samples, made.ablation):
        if further.rows:
            out.print()
            show(further, to=out, language=language)
    seconds = {phase: f"{spent:.1f}" for phase, spent in made.seconds.items()}
    spent = ", ".join(f"{word(f'nursery.{phase}', language)} {seconds[phase]} s" for phase in seconds)
    out.print(word("nursery.listed", language, count=made.members, file=made.manifest, spent=spent), soft_wrap=True)


def _report(made: Any, folder: Path, language: str) -> None:
    """Writes the same as a page beside `nursery.json`, with the samples at their full length."""
    from kaibo.reports.markup import to_markdown
    from kaibo.reports.provenance import Mark
    from kaibo.reports.writing import write_output
    from kaibo.words import word

    name = "nursery.md" if language == "en" else f"nursery.{language}.md"
    parts = [("samples_title", made.samples), ("probes_title", made.probes)]
    parts += [("ablation_title", made.ablation), ("runs_title", made.runs)]
    tables = [
        f"## {word(f'nursery.{title}', language)}\n\n{to_markdown(found, language)}"
        for title, found in parts
        if found.rows
    ]
    text = "\n".join([f"# {word('nursery.title', language)}\n", f"{said(made.runs.notes[0], language)}\n", *tables])
    preset = str(made.runs.provenance["preset"])
    write_output(folder, {name: text.encode("utf-8", "backslashreplace")}, mark=Mark("nursery", preset))
