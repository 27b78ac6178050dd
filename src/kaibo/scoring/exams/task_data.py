"""The rows of a task: JSON, JSON lines, CSV, passages with questions, or questions made from a text."""

from __future__ import annotations

import csv
import hashlib
import io
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Any

from kaibo.documents.json_text import json_line, json_value
from kaibo.documents.reading import DATA_LIMIT, read_bytes, text_of
from kaibo.errors import FormatError, MissingError, UsageError
from kaibo.scoring.exams.cloze import cloze_rows
from kaibo.scoring.exams.task_files import Source

FORMATS = ("jsonl", "json", "csv", "tsv", "squad", "cloze")
SUFFIXES = {".jsonl": "jsonl", ".json": "json", ".csv": "csv", ".tsv": "tsv", ".txt": "cloze", ".md": "cloze"}


@dataclass(frozen=True)
class Rows:
    """The rows of one file: columns by name, the line each stands on, and the hash of the whole."""

    file: str
    rows: tuple[Mapping[str, Any], ...] = field(repr=False)
    lines: tuple[int, ...] = field(repr=False)
    hash: str

    def __len__(self) -> int:
        return len(self.rows)


def read_rows(source: Source, folder: str, given: str | None, task: str) -> Rows:
    """The rows of a task's data; `given` is a file, or a folder that is searched for the one the task names.

    Raises MissingError where there is no such file, FormatError (naming the line) for what is malformed.
    """
    path = _located(source, folder, given, task)
    data = read_bytes(path, DATA_LIMIT)
    kind = _kind(source, path)
    made = f"{source.options}\0{source.items}\0{source.seed}\0{source.before}\0" if kind == "cloze" else ""
    said = f"{kind}\0{made}"
    text = text_of(data, path)
    found = list(_rows(kind, text, path, source))
    if not found:
        raise FormatError("holds no rows", file=path)
    lines, rows = zip(*found, strict=True)
    return Rows(path, rows, lines, hashlib.sha256(said.encode() + data).hexdigest()[:32])


def _kind(source: Source, path: str) -> str:
    kind = source.format or SUFFIXES.get(os.path.splitext(path)[1].lower())
    if kind not in FORMATS:
        asked = f'"{kind}" is no format of data' if kind else "says no format"
        raise UsageError(asked, file=path, next=f"formats: {', '.join(FORMATS)}")
    return kind


def _located(source: Source, folder: str, given: str | None, task: str) -> str:
    """The file of the data; a folder is searched for what fits the pattern."""
    if given is None and source.path is None:
        raise UsageError(f"the task {task} brings no data", next="name it: --data FILE")
    pattern = (source.path or "*").replace("{split}", source.split)
    path = given if given is not None else os.path.join(folder, pattern)
    if not os.path.isdir(path):
        if given is None and not os.path.exists(path) and not folder:
            raise UsageError(
                f"the task {task} brings no data", next=f"name it: --data FILE (or the folder of {pattern})"
            )
        return path
    inside = (os.path.join(root, name) for root, _, names in os.walk(path) for name in names)
    hits = sorted(one for one in inside if fnmatchcase(os.path.relpath(one, path), pattern))
    if len(hits) != 1:
        what = f"holds {len(hits)} files that fit {pattern}" if hits else f"holds no file that fits {pattern}"
        raise MissingError(what, file=path, next="name the file itself: --data FILE")
    return hits[0]


def _rows(kind: str, text: str, path: str, source: Source) -> Iterator[tuple[int, Mapping[str, Any]]]:
    if kind == "jsonl":
        for number, line in enumerate(text.split("\n"), 1):
            if line.strip():
                yield number, _record(json_line(line, path, number), path, number)
    elif kind == "json":
        found = json_value(text, path, [])
        several = found if isinstance(found, list) else found.get("data") if isinstance(found, dict) else None
        if not isinstance(several, list):
            raise FormatError("is no list of rows", file=path)
        yield from ((place, _record(one, path, place)) for place, one in enumerate(several, 1))
    elif kind == "squad":
        yield from enumerate(_squad(json_value(text, path, []), path), 1)
    elif kind == "cloze":
        yield from enumerate(_cloze(text, path, source), 1)
    else:
        yield from _table(csv.DictReader(io.StringIO(text), delimiter="\t" if kind == "tsv" else ","), path)


def _table(table: csv.DictReader[str], path: str) -> Iterator[tuple[int, Mapping[str, Any]]]:
    try:
        for number, row in enumerate(table, 2):
            if None in row or None in row.values():
                raise FormatError(f"line {number} has another number of columns than the first", file=path)
            yield number, row
    except csv.Error as wrong:
        raise FormatError(f"line {table.line_num + 1} cannot be read: {wrong}", file=path) from wrong


def _cloze(text: str, path: str, source: Source) -> list[Mapping[str, Any]]:
    return cloze_rows(text, path, source.items, source.options, source.seed, source.before)


def _record(found: Any, path: str, line: int) -> Mapping[str, Any]:
    if not isinstance(found, dict):
        raise FormatError(f"line {line} is no object", file=path)
    return found


def _squad(found: Any, path: str) -> Iterator[Mapping[str, Any]]:
    """A row a question: id, title, context, question, answers (texts, each once)."""
    try:
        for article in found["data"]:
            for paragraph in article["paragraphs"]:
                for question in paragraph["qas"]:
                    yield {
                        "id": str(question["id"]),
                        "title": article["title"],
                        "context": paragraph["context"],
                        "question": question["question"],
                        "answers": list(dict.fromkeys(answer["text"] for answer in question["answers"])),
                    }
    except (KeyError, TypeError) as wrong:
        raise FormatError(f"is not in the form of SQuAD: {wrong!s} is missing", file=path) from wrong
