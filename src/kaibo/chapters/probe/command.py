"""`kaibo probe`."""

from __future__ import annotations

from typing import Annotated

import typer

from kaibo.desk import options
from kaibo.desk.answering import answering


def command(
    models: options.Models,
    prompts: Annotated[
        str, typer.Option("--prompts", metavar="FILE", help="Questions, one a line or JSONL; default: shipped ones.")
    ] = "",
    language: Annotated[
        str, typer.Option("--lang", metavar="en|ja", help="The language to answer in; default: that of each question.")
    ] = "",
    max_tokens: Annotated[
        int, typer.Option("--max-tokens", metavar="N", min=1, help="Tokens an answer may have.")
    ] = 64,
    base: Annotated[str | None, typer.Option("--base", metavar="MODEL", help="The base of an adapter.")] = None,
    device: Annotated[str, typer.Option("--device", metavar="auto|cpu|cuda|mps", help="Where it runs.")] = "auto",
    json: options.Json = False,
    table: options.Export = None,
    force: options.Force = False,
    store: options.UnusedStore = None,
) -> None:
    """Ask a model some questions and count: language, stopping, repetition, leaked tags, empty answers.

    Exit 1 where a model no longer answers: less than half in the language or ended, or more than half repeating
    themselves, with tags in them, or empty.
    """
    with answering("probe", as_json=json) as answer:
        from kaibo.chapters.probe.ask import probe

        finding = probe(
            models,
            prompts=prompts,
            language=language,
            max_tokens=max_tokens,
            device=device,
            base=base,
            on_error=answer.errors.append,
        )
        shown = "ja" if language == "ja" else "en"
        options.export(finding, table, None, language=shown, force=force)
        options.present(answer, finding, language=shown)
        answer.exit = 1 if any(not row.answers for row in finding.rows) else 0
