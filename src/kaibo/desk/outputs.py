"""A folder with everything a command found: one page, every figure, every table."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer

Out = Annotated[
    Path | None,
    typer.Option(
        "--out", metavar="DIR", help="Also write a page, every figure (.svg, .png) and every table.", file_okay=False
    ),
]


@dataclass(frozen=True)
class Folder:
    """Where a command writes everything it found: the folder, the page's title and language, whether to overwrite."""

    path: Path
    title: str
    language: str
    force: bool


def write_folder(
    folder: Path, name: str, findings: Sequence[Any], *, title: str, language: str, force: bool
) -> tuple[Path, ...]:
    """Writes `NAME.html`, a CSV for each finding and an SVG and PNG for each drawing of it; the paths."""
    from kaibo.reports.page import section

    shown = [finding for finding in findings if finding is not None and finding.rows]
    sections = [section(finding, language) for finding in shown]
    return _written(Folder(folder, title, language, force), name, shown, sections)


def write_differences(folder: Folder, found: Any, others: Sequence[Any]) -> tuple[Path, ...]:
    """The same for what changed: one chapter, its pictures first; `others` are further findings for its tables."""
    from kaibo.reports.page import differences_section

    drawn = [finding for finding in (found.depth, found.curve, found.distances) if finding.rows]
    lists = [finding for finding in (found.changes, *others, found.unmatched) if finding.rows]
    both = [finding for finding in lists if str(finding.kind) == "diff-spectrum"]
    chapter = differences_section([found.norms], [*drawn, *both], lists, folder.language)
    return _written(folder, "diff", [found.norms, *drawn, *lists], [chapter])


def _written(folder: Folder, name: str, shown: Sequence[Any], sections: Sequence[Any]) -> tuple[Path, ...]:
    from kaibo.figures import figure, render, shown_by
    from kaibo.reports.page import page
    from kaibo.reports.provenance import Mark
    from kaibo.reports.tables import to_csv
    from kaibo.reports.writing import write_output

    files: dict[str, bytes] = {}
    for finding in shown:
        files[f"{finding.kind}.csv"] = to_csv(finding).encode("utf-8", "backslashreplace")
        for drawing in shown_by(finding):
            chart = figure(finding, name=drawing, language=folder.language)
            files |= {f"{finding.kind}-{drawing}.{kind}": render(chart, kind) for kind in ("svg", "png")}
    provenance = shown[0].provenance if shown else {}
    html = page(sections, title=folder.title, language=folder.language, provenance=provenance)
    files[f"{name}.html"] = html.encode()
    return write_output(folder.path, files, mark=Mark(name, folder.title), force=folder.force)
