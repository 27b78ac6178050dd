"""The options that commands share."""

from __future__ import annotations

import re
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Annotated, Any

import typer

from kaibo.desk.answering import Answer
from kaibo.errors import UsageError

LANGUAGES = ("en", "ja")


def _language(asked: str) -> str:
    if asked not in LANGUAGES:
        raise typer.BadParameter(f'"{asked}" is none of {", ".join(LANGUAGES)}')
    return asked


Models = Annotated[list[str], typer.Argument(metavar="MODEL…", help="Folders, files, or hf:org/name[@revision].")]
Model = Annotated[str, typer.Argument(metavar="MODEL", help="A folder, a file, or hf:org/name[@revision].")]
Json = Annotated[bool, typer.Option("--json", help="One JSON document on stdout, nothing else there.")]
StoreFolder = Annotated[
    Path | None,
    typer.Option("--store", metavar="DIR", help="Where measurements are kept (KAIBO_STORE, ./kaibo-store)."),
]
UnusedStore = Annotated[
    Path | None, typer.Option("--store", metavar="DIR", hidden=True, help="Taken by every command; nothing is kept.")
]
Workers = Annotated[
    int | None, typer.Option("--workers", metavar="N", help="Threads (KAIBO_WORKERS; default: the cores granted).")
]
Verify = Annotated[bool, typer.Option("--verify", help="Read every tensor again and compare with the store.")]
TrustShards = Annotated[bool, typer.Option("--trust-shards", help="Go by the shards where their index disagrees.")]
AsStored = Annotated[bool, typer.Option("--as-stored", help="Measure the codes of packed weights, not the weights.")]
FailFast = Annotated[bool, typer.Option("--fail-fast", help="Stop at the first tensor or model that cannot be read.")]
Level = Annotated[str, typer.Option("--by", metavar="LEVEL", help="model, layer, role or tensor.")]
Export = Annotated[
    Path | None,
    typer.Option("--table", metavar="FILE", help="Also write the table: .csv, .md or .tex.", dir_okay=False),
]
Picture = Annotated[
    Path | None, typer.Option("--figure", metavar="FILE", help="Also draw it: .svg, .png or .pdf.", dir_okay=False)
]
Language = Annotated[
    str,
    typer.Option("--lang", metavar="en|ja", help="Language of figures, tables and pages.", callback=_language),
]
Type = Annotated[
    str | None, typer.Option("--dtype", metavar="TYPE", help="float32, bfloat16 or float16 (default: as stored).")
]
Device = Annotated[str, typer.Option("--device", metavar="NAME", help="cpu, cuda, cuda:1, mps …")]
Rope = Annotated[
    str | None,
    typer.Option("--rope", metavar="HOW", help="Scale the positions: yarn:8, linear:4, dynamic:4, base:1e6, none."),
]
Bits = Annotated[int | None, typer.Option("--bits", metavar="8|4", help="Load in 8 or 4 bit (bitsandbytes).")]
Force = Annotated[bool, typer.Option("--force", help="Overwrite files that kaibo did not write.")]


@dataclass(frozen=True)
class Work:
    """Where measurements are kept, and how many threads work."""

    store: StoreFolder = None
    workers: Workers = None

    def settings(self, progress: Any = None) -> Any:
        """The same as the verbs take them."""
        from kaibo.desk.measuring import Settings

        return Settings(**{field.name: getattr(self, field.name) for field in fields(self)}, progress=progress)


@dataclass(frozen=True)
class Forming(Work):
    """The same where weights are read to form others."""

    trust_shards: TrustShards = False


@dataclass(frozen=True)
class Keeping(Forming):
    """The same where several models are read, and one that cannot be read need not stop the others."""

    fail_fast: FailFast = False


@dataclass(frozen=True)
class Reading(Keeping):
    """The same where weights are measured, and what is kept can be verified."""

    verify: Verify = False


@dataclass(frozen=True)
class Measuring(Reading):
    """The same where codes can be measured in place of the weights that they stand for."""

    as_stored: AsStored = False


@dataclass(frozen=True)
class Running:
    """How a model is run."""

    dtype: Type = None
    device: Device = "cpu"
    rope: Rope = None
    bits: Bits = None

    def running(self) -> Any:
        """The same as the verbs take them."""
        from kaibo.desk.running import Running as Run

        return Run(self.dtype, self.device, self.rope, self.bits)


@dataclass(frozen=True)
class TableOutput:
    """What becomes of a finding: a document or a table, and the file that was asked for."""

    json: Json = False
    table: Export = None
    language: Language = "en"
    force: Force = False

    def present(self, answer: Answer, finding: Any) -> None:
        """Fills the answer."""
        present(answer, finding, language=self.language)

    def give(self, answer: Answer, finding: Any) -> None:
        """Writes the table and fills the answer."""
        export(finding, self.table, None, language=self.language, force=self.force)
        self.present(answer, finding)


@dataclass(frozen=True)
class Output(TableOutput):
    """The same of a finding that can be drawn."""

    figure: Picture = None

    def give(self, answer: Answer, finding: Any, drawn: Any = None) -> None:
        """Writes the table and the figure (of `drawn`, where another finding is drawn) and fills the answer."""
        self.export(finding, drawn)
        self.present(answer, finding)

    def export(self, finding: Any, drawn: Any = None) -> None:
        """Writes the table and the figure."""
        export(finding, self.table, None, language=self.language, force=self.force)
        if self.figure is not None:
            export(finding if drawn is None else drawn, None, self.figure, language=self.language, force=self.force)


def present(answer: Answer, finding: Any, *, language: str = "en") -> None:
    """Fills an answer with a finding: its rows for JSON, a table for people, its notes as warnings in JSON."""
    from kaibo.reports.terminal import show

    answer.results = finding.records()
    if answer.json:
        answer.warnings += finding.notes if finding.rows else ()
    elif finding.rows:
        answer.show = lambda: show(finding, language=language)


def export(
    finding: Any, table: Path | None, picture: Path | None, *, language: str, force: bool, drawing: str | None = None
) -> None:
    """Writes the table and the figure that were asked for, never over a file that is not kaibo's own."""
    from kaibo.errors import UsageError
    from kaibo.figures import figure, render
    from kaibo.reports.markup import to_latex, to_markdown
    from kaibo.reports.provenance import Mark
    from kaibo.reports.tables import to_csv
    from kaibo.reports.writing import write_output

    model = "+".join(
        sorted(
            {
                str(getattr(row, "model", getattr(row, "tuned", ""))).rstrip("/").rpartition("/")[2]
                for row in finding.rows
            }
        )
    )
    mark = Mark(str(finding.kind), model)
    if table is not None:
        writers = {".csv": lambda: to_csv(finding), ".md": lambda: to_markdown(finding, language)}
        writers[".tex"] = lambda: to_latex(finding, language)
        if table.suffix.lower() not in writers:
            raise UsageError(f'a table cannot be written as "{table.suffix}"', next="formats: .csv, .md, .tex")
        text = writers[table.suffix.lower()]()
        write_output(table.parent, {table.name: text.encode("utf-8", "backslashreplace")}, mark=mark, force=force)
    if picture is not None:
        drawn = render(figure(finding, name=drawing, language=language), picture.suffix.lower().removeprefix("."))
        write_output(picture.parent, {picture.name: drawn}, mark=mark, force=force)


UNITS = {"": 1, "k": 1000, "m": 1000**2, "g": 1000**3, "t": 1000**4, "ki": 2**10, "mi": 2**20, "gi": 2**30, "ti": 2**40}


def bytes_of(text: str, option: str) -> int:
    """So many bytes, above none. Raises UsageError, naming the option, for what is no size.

    >>> bytes_of("24GB", "--memory"), bytes_of("1.5 MiB", "--memory"), bytes_of("500m", "--memory")
    (24000000000, 1572864, 500000000)
    """
    found = re.fullmatch(
        r"((?:[0-9]++(?:\.[0-9]++)?+|\.[0-9]++)(?:e[0-9]{1,2})?)\s*+([kmgt]?i?)b?", text.strip().lower()
    )
    size = int(float(found[1]) * UNITS.get(found[2], 0)) if found else 0
    if size <= 0:
        raise UsageError(f'{option} "{text}" is no size', next="write it as 500MB, 24GB or 16GiB")
    return size
