"""`kaibo dissect`."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from kaibo.desk import options
from kaibo.desk.answering import answering
from kaibo.desk.groups import grouped

Out = Annotated[Path | None, typer.Option("--out", metavar="DIR", help="Output folder (./kaibo-report/NAME).")]
Figures = Annotated[str, typer.Option("--figures", metavar="LIST", help="Static figures beside the page: svg,png,pdf.")]
Tokens = Annotated[int | None, typer.Option("--tokens", metavar="N", help="Training tokens: adds FLOPs = 6·N·D.")]
Base = Annotated[str | None, typer.Option("--base", metavar="BASE", help="The model it was made from: what changed.")]


@grouped
def command(
    model: options.Model,
    base: Base = None,
    out: Out = None,
    language: options.Language = "en",
    figures: Figures = "",
    tokens: Tokens = None,
    force: options.Force = False,
    json: options.Json = False,
    *,
    reading: options.Measuring,
) -> None:
    """Take a model apart: a summary here, one self-contained HTML page, one JSON file."""
    from kaibo.chapters.dissect.ask import Output, dissect
    from kaibo.collect import progress_bar

    with answering("dissect", as_json=json) as answer, progress_bar() as progress:
        formats = tuple(name.strip().lower() for name in figures.split(",") if name.strip())
        output = Output(out, language, formats, force, shlex.join(["kaibo", *sys.argv[1:]]))
        settings = reading.settings(progress)
        found = dissect(model, base=base, output=output, settings=settings, tokens=tokens)
        answer.results = [found.record()]
        if json:
            answer.warnings += [*found.chapters.inspect.notes, *found.chapters.stats[0].notes]
        answer.show = lambda: _show(found, language)


def _show(found: Any, language: str) -> None:
    from kaibo.reports.facts import facts
    from kaibo.reports.terminal import console, show, show_dissection
    from kaibo.words import said, word

    out = console()
    (checked,) = found.chapters.check.rows
    described = facts(found.chapters.inspect.rows[0], language)
    show_dissection(
        found.name,
        facts=described,
        sentences=found.sentences,
        digits=found.chapters.digits[0],
        to=out,
        language=language,
    )
    out.print(f"\n{word('page.check', language)}: {said(checked.verdict, language)}", soft_wrap=True)
    if checked.findings:
        show(found.chapters.faults, to=out, language=language)
    for changed in found.chapters.diff[:1]:
        out.print()
        show(changed.norms, to=out, language=language)
    out.print()
    for path in (found.page, found.json):
        out.print(path, soft_wrap=True)
