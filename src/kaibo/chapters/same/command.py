"""`kaibo same`."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from kaibo.desk import options, outputs
from kaibo.desk.answering import answering
from kaibo.desk.groups import grouped

First = Annotated[str, typer.Argument(metavar="A", help="A model: the packed one, where several candidates follow.")]
Others = Annotated[
    list[str], typer.Argument(metavar="B…", help="The model it is compared with, or several candidates.")
]
Sample = Annotated[
    float, typer.Option("--sample", metavar="SHARE", help="Read this share of spans only, and say what that promises.")
]
Hashes = Annotated[bool, typer.Option("--hashes", help="Put hashes of files and tensors in the certificate.")]


@grouped
def command(
    a: First,
    b: Others,
    sample: Sample = 1.0,
    hashes: Hashes = False,
    out: outputs.Out = None,
    *,
    given: options.TableOutput,
    reading: options.Reading,
) -> None:
    """Do two models hold the same weights, whatever their packing and layout? Exit 1 when they do not.

    Each tensor is identical, identical under a named layout, within the rounding of the packed side, near it, or
    changed; beside the share inside its cells stands that of unrelated values. The likeliest candidate comes first.
    """
    from kaibo.chapters.same.ask import same
    from kaibo.chapters.same.rows import SAME_FIELDS, SAME_TENSORS
    from kaibo.collect import progress_bar
    from kaibo.vocabulary import Finding

    with answering("same", as_json=given.json) as answer, progress_bar() as progress:
        settings = reading.settings(progress)
        found = same(
            a, b, sample=sample, hashes=hashes or out is not None, settings=settings, on_error=answer.errors.append
        )
        best = found.rows[:1]
        tensors = Finding(SAME_TENSORS, tuple(one for row in best for one in row.tensors))
        fields = Finding(SAME_FIELDS, tuple(one for row in best for one in row.fields))
        options.export(tensors, given.table, None, language=given.language, force=given.force)
        if out is not None:
            title = f"{a} = {', '.join(b)}"
            told = (found, tensors, fields)
            outputs.write_folder(out, "same", told, title=title, language=given.language, force=given.force)
        answer.results = found.records()
        answer.warnings += found.notes if given.json else ()
        answer.exit = 0 if best and best[0].verdict == "same" else 1
        answer.show = lambda: _show(found, tensors, fields, given.language)


def _show(found: Any, tensors: Any, fields: Any, language: str) -> None:
    """The verdict on each candidate, then what of the likeliest is not identical, tensors first."""
    from kaibo.reports import console, show
    from kaibo.vocabulary import Finding

    out = console()
    show(found, to=out, language=language)
    told = tuple(row for row in tensors.rows if row.verdict != "identical")
    told = tuple(sorted(told, key=lambda row: row.verdict != "changed"))
    for listed in (Finding(tensors.kind, told), fields):
        if listed.rows:
            out.print()
            show(listed, to=out, language=language)
    for name, row in ((name, row) for row in found.rows[:1] for name in ("only_in_a", "only_in_b")):
        if getattr(row, name):
            from kaibo.words import word

            out.print(word(f"same.{name}", language, names=", ".join(getattr(row, name)[:20])), soft_wrap=True)
