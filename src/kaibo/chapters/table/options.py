"""`kaibo table`, `pca`, `law`, `forecast`, `select`, `correlate`, `measures`, `trajectories`: options they share."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer

from kaibo.desk import options, outputs
from kaibo.desk.answering import Answer
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
Decimal = Annotated[
    list[str] | None,
    typer.Option("--decimal", metavar="SIGN", help="comma or point before the decimals; COLUMN=comma for one column."),
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


def pairs(given: Sequence[str] | None, option: str, *, whole: bool = False) -> dict[str, str]:
    """NAME=VALUE options as a dictionary; the last `=` separates. With `whole` the name may be empty."""
    out = {}
    for text in given or ():
        name, equals, value = text.rpartition("=")
        if not equals or not (name or whole) or not value:
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


@dataclass(frozen=True)
class Chosen:
    """Which columns of the tables."""

    columns: Columns = None
    without: Without = None


@dataclass(frozen=True)
class Reading:
    """How tables are read."""

    alias: Alias = None
    models: OnlyModels = None
    unit: Units = None
    missing: Missing = None
    dedupe: Dedupe = False
    encoding: Encoding = None
    model_column: ModelColumn = None
    sheet: SheetName = None
    decimal: Decimal = None

    def options(self) -> Any:
        """The same as the verbs take them. Raises UsageError for a unit that is not COLUMN=UNIT."""
        from kaibo.chapters.table.ask import TableOptions

        units, missing = pairs(self.unit, "--unit"), frozenset(self.missing or ())
        where = self.encoding, self.model_column, self.sheet
        decimal = pairs([said if "=" in said else f"={said}" for said in self.decimal or ()], "--decimal", whole=True)
        return TableOptions(self.alias, self.models, units, missing, self.dedupe, *where, decimal)


@dataclass(frozen=True)
class Output:
    """What becomes of a finding: a document or a table, and the files that were asked for."""

    json: options.Json = False
    table: options.Export = None
    figure: options.Picture = None
    figures: Pictures = None
    out: outputs.Out = None
    language: options.Language = "en"
    force: options.Force = False

    def give(self, answer: Answer, finding: Any) -> None:
        """Writes the files and fills the answer."""
        if self.out is not None:
            title = str(finding.provenance.get("table", finding.kind.name))
            outputs.write_folder(
                self.out, finding.kind.name, [finding], title=title, language=self.language, force=self.force
            )
        export(finding, self.table, self.figure, self.figures, language=self.language, force=self.force)
        options.present(answer, finding, language=self.language)


@dataclass(frozen=True)
class TableOutput:
    """The same of a finding that has no figures."""

    json: options.Json = False
    table: options.Export = None
    language: options.Language = "en"
    force: options.Force = False

    def give(self, answer: Answer, finding: Any) -> None:
        """Writes the table and fills the answer."""
        options.export(finding, self.table, None, language=self.language, force=self.force)
        options.present(answer, finding, language=self.language)


def export(
    finding: Any, table: Path | None, figure: Path | None, folder: Path | None, *, language: str, force: bool
) -> None:
    """Writes the table, the first figure, and every figure into a folder, as asked."""
    options.export(finding, table, figure, language=language, force=force)
    if folder is None:
        return
    from kaibo.figures import figure as draw
    from kaibo.figures import render, shown_by
    from kaibo.reports.provenance import Mark
    from kaibo.reports.writing import write_output

    files: dict[str, bytes] = {}
    for name in shown_by(finding):
        chart = draw(finding, name=name, language=language)
        files |= {f"{finding.kind}-{name}.{kind}": render(chart, kind) for kind in ("svg", "png")}
    write_output(folder, files, mark=Mark(finding.kind.name, str(finding.provenance.get("table", ""))), force=force)
