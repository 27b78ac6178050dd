"""`kaibo quantise`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from kaibo.desk import options
from kaibo.desk.answering import answering

Report = Annotated[bool, typer.Option("--report", help="Measure memory and perplexity in every width.")]
Text = Annotated[Path | None, typer.Option("--text", metavar="FILE", help="UTF-8 text (default: CPython's own help).")]
Windows = Annotated[int, typer.Option("--windows", metavar="N", help="Windows of the text at most.")]


def command(
    model: options.Model,
    report: Report = False,
    text: Text = None,
    windows: Windows = 16,
    device: options.Device = "cpu",
    json: options.Json = False,
    table: options.Export = None,
    language: options.Language = "en",
    force: options.Force = False,
    store: options.UnusedStore = None,
) -> None:
    """What 8 and 4 bit save and cost: memory and perplexity beside float32 and bfloat16. Writes no model."""
    from kaibo.chapters.quantise.ask import quantise
    from kaibo.collect import progress_bar
    from kaibo.errors import UsageError

    with answering("quantise", as_json=json) as answer, progress_bar() as progress:
        if not report:
            raise UsageError("only the report is made, no packed model", next="kaibo quantise --report MODEL")
        found = quantise(model, text, windows=windows, device=device, progress=progress)
        options.export(found, table, None, language=language, force=force)
        options.present(answer, found, language=language)
