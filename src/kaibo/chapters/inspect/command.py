"""`kaibo inspect`."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from kaibo.desk import options
from kaibo.desk.answering import Answer, answering
from kaibo.errors import escaped

Tokens = Annotated[int | None, typer.Option("--tokens", metavar="N", help="Training tokens: adds FLOPs = 6·N·D.")]
Context = Annotated[
    str | None, typer.Option("--context", metavar="N,…", help="Cache after so many tokens: 1k,32k,full (k = 1,024).")
]
Tensors = Annotated[bool, typer.Option("--tensors", help="List every tensor: type, shape, file, byte offsets.")]


def command(
    models: options.Models,
    tokens: Tokens = None,
    context: Context = None,
    tensors: Tensors = False,
    json: options.Json = False,
    language: options.Language = "en",
    trust_shards: options.TrustShards = False,
    store: options.UnusedStore = None,
) -> None:
    """What a model is, from its config.json and the headers of its files; no weights are read."""
    from kaibo.chapters.inspect.ask import inspect, tensor_list

    with answering("inspect", as_json=json) as answer:
        contexts = context.split(",") if context else ()
        finding = inspect(
            models, tokens=tokens, contexts=contexts, trust_shards=trust_shards, on_error=answer.errors.append
        )
        lists = [tensor_list(row.model, trust_shards=trust_shards) for row in finding] if tensors else []
        answer.results = finding.records()
        for record, listed in zip(answer.results, lists, strict=False):
            record["tensors"] = listed.records()
        if json:
            answer.warnings += finding.notes
        else:
            answer.show = lambda: _show(answer, finding, lists, language)


def _show(answer: Answer, finding: Any, lists: list[Any], language: str) -> None:
    """Facts of each model under its name, or a column per model where there are several; then the lists."""
    from kaibo.reports.facts import facts
    from kaibo.reports.plain import show_side_by_side
    from kaibo.reports.terminal import console, show, show_dissection

    out = console()
    if len(finding.rows) > 1:
        show_side_by_side([(row.model, facts(row, language)) for row in finding], to=out)
    for row in finding.rows if len(finding.rows) == 1 else ():
        show_dissection(row.model, facts=facts(row, language), to=out, language=language)
    for note in finding.notes:
        out.print(f"note: {escaped(note, 2000)}")
    for listed in lists:
        show(listed, to=out, language=language, rows=100_000)
