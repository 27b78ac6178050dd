"""`kaibo table`, `pca`, `law`, `forecast`, `select`, `correlate`, `measures`, `trajectories`: options they share."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from kaibo.cli import options
from kaibo.cli.running import Answer
from kaibo.errors import UsageError

FORMATS = "Files (CSV, TSV, JSON, Excel, Parquet, Markdown), folders of lm-evaluation-harness results, "
FORMATS += "https:// addresses, or shipped names."
Tables = Annotated[list[str], typer.Argument(metavar="TABLE…", help=FORMATS)]
Alias = Annotated[
    Path | None,
    typer.Option(
        "--alias", metavar="FILE", help="Other names of models: TOML or a CSV of two columns.", dir_okay=False
    ),
]
OnlyModels = Annotated[
    Path | None, typer.Option("--models", metavar="FILE", help="Keep these models, a name a line.", dir_okay=False)
]
Units = Annotated[
    list[str] | None,
    typer.Option("--unit", metavar="COLUMN=UNIT", help="percent, fraction or points; once per column."),
]
Missing = Annotated[
    list[str] | None, typer.Option("--missing", metavar="TEXT", help="A further text that means a missing cell.")
]
Dedupe = Annotated[bool, typer.Option("--dedupe", help="Keep the first of models or headers that occur twice.")]
Encoding = Annotated[
    str | None, typer.Option("--encoding", metavar="NAME", help="Encoding of text files, where it is not detected.")
]
ModelColumn = Annotated[
    str | None, typer.Option("--model-column", metavar="COLUMN", help="The column that names the models.")
]
SheetName = Annotated[
    str | None,
    typer.Option("--sheet", metavar="NAME", help="The sheet of a workbook, or the number of a Markdown table."),
]
Columns = Annotated[
    str | None, typer.Option("--columns", metavar="PATTERNS", help="Only these columns, such as 'GLP_*'.")
]
Without = Annotated[str | None, typer.Option("--without", metavar="PATTERNS", help="Not these columns.")]
Seed = Annotated[int, typer.Option("--seed", metavar="N", help="Of everything random.")]
Draws = Annotated[int, typer.Option("--draws", metavar="N", help="Bootstrap draws.", min=10)]
Pictures = Annotated[
    Path | None,
    typer.Option(
        "--figures", metavar="DIR", help="Also draw every figure into this folder, as .svg and .png.", file_okay=False
    ),
]


def pairs(given: Sequence[str] | None, option: str) -> dict[str, str]:
    """NAME=VALUE options as a dictionary; the last `=` separates."""
    out = {}
    for text in given or ():
        name, equals, value = text.rpartition("=")
        if not equals or not name or not value:
            raise UsageError(f'{option} takes NAME=VALUE, not "{text}"')
        out[name] = value
    return out


def numbers(given: Sequence[str] | None, option: str) -> dict[str, float]:
    """NAME=NUMBER options as a dictionary."""
    out = {}
    for name, value in pairs(given, option).items():
        try:
            out[name] = float(value)
        except ValueError:
            raise UsageError(f'{option} {name}: "{value}" is no number') from None
    return out


def reading(
    alias: Path | None, models: Path | None, unit: Sequence[str] | None, missing: Sequence[str] | None, dedupe: bool,
    encoding: str | None, model_column: str | None, sheet: str | None,
) -> Any:  # fmt: skip
    """The options of reading tables as the verbs take them."""
    from kaibo.verbs.tables import TableOptions

    return TableOptions(
        alias, models, pairs(unit, "--unit"), frozenset(missing or ()), dedupe, encoding, model_column, sheet
    )


def present(answer: Answer, finding: Any, *, language: str, drawn: Callable[[], None] | None = None) -> None:
    """Fills an answer with a finding of the table side."""
    from kaibo.reports.scores import show_scores

    answer.results = finding.records()
    if answer.json:
        answer.warnings += finding.notes
    else:
        answer.show = lambda: show_scores(finding, language=language)


def export(
    finding: Any, table: Path | None, figure: Path | None, folder: Path | None, *, language: str, force: bool
) -> None:
    """Writes the table, the first figure, and every figure into a folder, as asked."""
    options.export(finding, table, figure, language=language, force=force)
    if folder is None:
        return
    from kaibo.figures import figure as draw
    from kaibo.figures import names, render
    from kaibo.reports import Mark, write_output

    files: dict[str, bytes] = {}
    for name in names(finding):
        chart = draw(finding, name=name, language=language)
        files |= {f"{finding.kind}-{name}.{kind}": render(chart, kind) for kind in ("svg", "png")}
    write_output(folder, files, mark=Mark(finding.kind, str(finding.provenance.get("table", ""))), force=force)
