"""The front door: a file, a folder of result files or a shipped name becomes one score table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from kaibo.errors import FormatError, MissingError, UsageError
from kaibo.tables.files.delimited import read_delimited
from kaibo.tables.files.records import parse, read_document, read_lines
from kaibo.tables.files.sheets import Hints, Sheet
from kaibo.tables.files.text import decode, read_bytes
from kaibo.tables.joins import join
from kaibo.tables.remote import fetch, is_url
from kaibo.tables.results.evaluations import table_of
from kaibo.tables.results.harness import is_results, read_folder, read_results
from kaibo.tables.shipped import shipped_bytes, sources
from kaibo.tables.wide import wide
from kaibo.vocabulary.scores import ScoreTable, nearest


@dataclass(frozen=True, eq=False)
class Reading:
    """What came of reading one or more tables: the table, and the pairs of names that were joined though unequal."""

    table: ScoreTable
    renamed: tuple[tuple[str, str], ...] = ()
    unmatched: tuple[str, ...] = field(default_factory=tuple)


def read_table(
    addresses: Sequence[str | Path], hints: Hints | None = None, aliases: Mapping[str, str] | None = None
) -> Reading:
    """One table of everything named: files, folders of lm-evaluation-harness results, shipped names; joined by model.

    Raises the errors of the formats, and MissingError for what is neither a file nor a shipped name.
    """
    if not addresses:
        raise UsageError("no table was named", next=f"a file, a folder, or one of {', '.join(sources())}")
    hints = hints or Hints()
    parts = [read_one(address, hints) for address in addresses]
    table = parts[0]
    renamed: tuple[tuple[str, str], ...] = ()
    unmatched: tuple[str, ...] = ()
    for part in parts[1:]:
        joined = join(table, part, aliases)
        table = joined.table
        renamed += joined.renamed
        unmatched += joined.only_first + joined.only_second
    return Reading(table, renamed, tuple(dict.fromkeys(unmatched)))


def read_one(address: str | Path, hints: Hints) -> ScoreTable:
    """The score table behind one address."""
    text = str(address)
    path = Path(address)
    if is_url(text):
        data, name = fetch(text)
        return replace(from_bytes(data, Path(name or "table.csv"), hints), name=text)
    if text in sources() and not path.exists():
        return _shipped(text, hints)
    if path.is_dir():
        results = read_folder(path, hints.encoding)
        if not results:
            raise MissingError("no result files of lm-evaluation-harness in this folder (looked for *.json)", file=path)
        return table_of(results, path.name)
    if not path.exists():
        raise MissingError(
            "no such file, folder or shipped table",
            file=text,
            next=f"shipped are {nearest(text, tuple(sources()), 20)}",
        )
    data = read_bytes(path)
    return from_bytes(data, path, hints)


def from_bytes(data: bytes, path: Path, hints: Hints) -> ScoreTable:
    """The score table of a file's bytes; `path` gives the name and the ending."""
    if data[:4] == b"PK\x03\x04":
        from kaibo.tables.files.excel import read_excel

        return wide(read_excel(data, path, hints), hints)
    if data[:4] == b"PAR1":
        from kaibo.tables.files.columnar import read_parquet

        return wide(read_parquet(data, path, hints), hints)
    _recognised(data, path)
    kind = path.name.lower().removesuffix(".gz").rpartition(".")[2]
    if kind in ("json", "jsonl", "ndjson"):
        return _json(data, path, hints, lines=kind != "json")
    if kind in ("md", "markdown"):
        from kaibo.tables.files.markdown import read_markdown

        text, notes = decode(data, path, hints.encoding)
        sheet = read_markdown(text, path, hints)
        return wide(replace(sheet, notes=(*notes, *sheet.notes)), hints)
    return wide(read_sheet(data, path, hints), hints)


def read_sheet(data: bytes, path: Path, hints: Hints) -> Sheet:
    """The sheet of a CSV or TSV file."""
    return read_delimited(data, path, hints)


def _recognised(data: bytes, path: Path) -> None:
    head = data[:512].lstrip()[:64].lower()
    if not data.strip():
        raise FormatError("the file is empty; a table needs a header and rows", file=path)
    if head.startswith((b"<!doctype html", b"<html")):
        raise FormatError("this is a web page, no table", file=path, next="save the table itself")
    if head.startswith(b"version https://git-lfs"):
        raise FormatError("this is a pointer of git-lfs, no table", file=path, next="run git lfs pull")
    if head.startswith(b"\xd0\xcf\x11\xe0"):
        raise FormatError("an old Excel file (.xls)", file=path, next="save it as .xlsx or CSV")


def _json(data: bytes, path: Path, hints: Hints, lines: bool) -> ScoreTable:
    text, notes = decode(data, path, hints.encoding)
    if lines:
        sheet = read_lines(text, path, hints)
    else:
        value = parse(text, path, lenient=True)
        if is_results(value):
            return table_of([read_results(value, path)], path.stem)
        sheet = read_document(parse(text, path), path, hints)
    return wide(replace(sheet, notes=(*notes, *sheet.notes)), hints)


def _shipped(name: str, hints: Hints) -> ScoreTable:
    source = sources()[name]
    units = {**source.get("units", {}), **hints.units}
    sheet = read_delimited(shipped_bytes(name), Path(f"{name}.csv"), hints)
    table = wide(replace(sheet, source=name), replace(hints, units=units))
    return replace(table, name=name, notes=(f"{source['title']}: {source['source']}", *table.notes))
