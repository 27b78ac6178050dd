"""`kaibo check`."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from kaibo.desk import options, outputs
from kaibo.desk.answering import answering
from kaibo.desk.groups import grouped
from kaibo.desk.sharing import Sharing

Base = Annotated[
    str | None, typer.Option("--base", metavar="BASE", help="The model it was made from: did training take?")
]
Adapter = Annotated[
    str | None,
    typer.Option("--adapter", metavar="DIR", help="The adapter that base and model differ by: merged once, and right?"),
]


@grouped
def command(
    models: options.Models,
    base: Base = None,
    adapter: Adapter = None,
    out: outputs.Out = None,
    *,
    given: options.TableOutput,
    reading: options.Reading,
    sharing: Sharing,
) -> None:
    """Is anything wrong with a model? One verdict, each finding with its evidence. Exit 1 when there is any.

    Lost tensors, shards, parts; values that no training leaves; what is there twice; vocabulary, special tokens,
    types. With --base whether training took, with --adapter how many times the adapter is in the merged model.
    """
    from kaibo.chapters.check.ask import check, faults_of, share_check
    from kaibo.collect import progress_bar

    with answering("check", as_json=given.json) as answer, progress_bar() as progress:
        settings = reading.settings(progress)

        def share(shard: Any) -> Any:
            return share_check(models, shard, base=base, settings=settings, on_error=answer.errors.append)

        if sharing.done(answer, share, settings, language=given.language):
            return
        found = check(models, base=base, adapter=adapter, settings=settings, on_error=answer.errors.append)
        faults, remarks = faults_of(found), faults_of(found, remarks=True)
        options.export(faults, given.table, None, language=given.language, force=given.force)
        if out is not None:
            title = ", ".join(row.model.rstrip("/").rpartition("/")[2] for row in found.rows)
            told = (found, faults, remarks)
            outputs.write_folder(out, "check", told, title=title, language=given.language, force=given.force)
        answer.results = found.records()
        answer.exit = 0 if all(row.sound for row in found.rows) else 1
        answer.show = lambda: _show(found, faults, remarks, given.language)


def _show(found: Any, faults: Any, remarks: Any, language: str) -> None:
    """The verdict of each model, then what was found."""
    from kaibo.errors import escaped
    from kaibo.reports.terminal import console, show
    from kaibo.words import said, word

    out = console()
    for row in found.rows:
        out.print(f"{escaped(row.model)}: {said(row.verdict, language)}", soft_wrap=True)
    for listed, title in ((faults, ""), (remarks, "check.remarks")):
        if listed.rows:
            out.print(f"\n{word(title, language)}" if title else "")
            show(listed, to=out, language=language, rows=1000)
