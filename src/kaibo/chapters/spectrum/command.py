"""`kaibo spectrum`."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from kaibo.desk import options, outputs
from kaibo.desk.answering import answering
from kaibo.desk.groups import grouped

Level = Annotated[str, typer.Option("--by", metavar="LEVEL", help="tensor, role, layer or model.")]
Pattern = Annotated[
    str | None, typer.Option("--tensors", metavar="PATTERN", help="Only tensors with names like this: '*.mlp.*'.")
]
Draws = Annotated[
    int, typer.Option("--draws", metavar="N", help="Synthetic tails behind a p-value for each alpha; 0: none.", min=0)
]


@grouped
def command(
    models: options.Models,
    by: Level = "tensor",
    tensors: Pattern = None,
    draws: Draws = 0,
    json: options.Json = False,
    table: options.Export = None,
    figure: options.Picture = None,
    out: outputs.Out = None,
    language: options.Language = "en",
    force: options.Force = False,
    *,
    reading: options.Reading,
) -> None:
    """Singular values of every matrix: spectral norm, effective ranks, the power law in the tail, beside a Gaussian's.

    The figure shows the tails of the eigenvalues with their fits. All singular values up to a smaller side of 4096,
    the largest 256 beyond. A worker holds up to about 0.6 GiB.
    """
    from kaibo.chapters.spectrum.ask import spectrum
    from kaibo.collect import progress_bar
    from kaibo.figures.names import model_name
    from kaibo.reports.terminal import show

    with answering("spectrum", as_json=json) as answer, progress_bar() as progress:
        settings = reading.settings(progress)
        asked: Any = by
        found = spectrum(models, asked, tensors=tensors, draws=draws, settings=settings, on_error=answer.errors.append)
        options.export(found.asked, table, None, language=language, force=force)
        options.export(found.tails, None, figure, language=language, force=force)
        if out is not None:
            title = ", ".join(map(model_name, found.matrices.provenance["models"]))
            findings = (found.tails, found.matrices, found.levels)
            outputs.write_folder(out, "spectrum", findings, title=title, language=language, force=force)
        options.present(answer, found.asked, language=language)
        if not json and found.asked.rows:
            answer.show = lambda: show(_matrices(found.asked), language=language)


def _matrices(finding: Any) -> Any:
    """Without the vectors: a note counts them."""
    from dataclasses import replace

    return replace(finding, rows=tuple(row for row in finding.rows if getattr(row, "method", "") != "none"))
