"""A folder with everything a command found: one page, every figure, every table."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

Out = Annotated[
    Path | None,
    typer.Option(
        "--out", metavar="DIR", help="Also write a page, every figure (.svg, .png) and every table.", file_okay=False
    ),
]


def write_folder(
    folder: Path, name: str, findings: Sequence[Any], *, title: str, language: str, force: bool
) -> tuple[Path, ...]:
    """Writes `NAME.html`, a CSV for each finding and an SVG and PNG for each drawing of it; the paths."""
    from kaibo.figures import figure, names, render
    from kaibo.reports import Mark, page, section, to_csv, write_output

    shown = [finding for finding in findings if finding is not None and finding.rows]
    files: dict[str, bytes] = {}
    for finding in shown:
        files[f"{finding.kind}.csv"] = to_csv(finding).encode("utf-8", "backslashreplace")
        for drawing in names(finding):
            chart = figure(finding, name=drawing, language=language)
            files |= {f"{finding.kind}-{drawing}.{kind}": render(chart, kind) for kind in ("svg", "png")}
    sections = [section(finding, language) for finding in shown]
    provenance = shown[0].provenance if shown else {}
    files[f"{name}.html"] = page(sections, title=title, language=language, provenance=provenance).encode()
    return write_output(folder, files, mark=Mark(name, title), force=force)
