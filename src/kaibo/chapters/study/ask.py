"""`kaibo study`: published questions, run and judged."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kaibo.desk.addresses import OnError, raising
from kaibo.documents.json_text import read_json
from kaibo.documents.toml_text import read_toml
from kaibo.errors import FormatError, KaiboError, escaped
from kaibo.figures.names import model_name
from kaibo.reports.studies import StudyReport, index_page, study_page
from kaibo.study import Declared, Inputs, Ran, declared, run, shipped


@dataclass(frozen=True)
class StudyRow:
    """A study that ships: its name, its question, how many claims it judges."""

    study: str
    question: str
    claims: int


def study_list(language: str = "en") -> list[StudyRow]:
    """The studies that ship, in the order in which they are read."""
    found = [declared(name) for name in shipped()]
    return [StudyRow(one.study.name, one.word("question", language), len(one.claims)) for one in found]


def study_run(
    studies: Sequence[str], inputs: Inputs | None = None, *, language: str = "en", on_error: OnError | None = None
) -> list[Ran]:
    """Runs studies by name or folder; `all` is every one that ships.

    A study that fails is given to `on_error` and the others go on. Raises MissingError for a study that is not there.
    """
    report = on_error or raising
    names = [name for one in studies for name in (shipped() if one == "all" else [one])]
    found = [declared(name) for name in dict.fromkeys(names)]
    ran: list[Ran] = []
    for one in found:
        try:
            ran.append(run(one, inputs or Inputs(), language))
        except KaiboError as error:
            if error.kind in ("storage", "stopped"):
                raise
            report(error)
    return ran


def members_of(path: Path) -> tuple[Mapping[str, Any], ...]:
    """The members of a manifest: `[[member]]` of a TOML, or the list of a nursery's JSON, paths made absolute.

    Raises MissingError where it is absent, FormatError where it is malformed.
    """
    document = read_json(path) if path.suffix == ".json" else read_toml(path)
    listed = document.get("members", document.get("member")) if isinstance(document, dict) else None
    if not isinstance(listed, list) or not all(isinstance(one, dict) for one in listed):
        raise FormatError("lists no members", file=path, next="write [[member]] with address = …")
    for number, one in enumerate(listed, 1):
        if not isinstance(one.get("address", one.get("path")), str):
            raise FormatError(f"member {number} has no address", file=path, next='write address = "…"')
    return tuple(_placed(one, path.parent) for one in listed)


def _placed(member: Mapping[str, Any], folder: Path) -> Mapping[str, Any]:
    address = str(member.get("address", member.get("path")))
    if ":" not in address and not Path(address).is_absolute():
        address = str(folder / address)
    return {**member, "address": address}


def pages(ran: Sequence[Ran], language: str = "en") -> dict[str, bytes]:
    """A page for each study, and the index where there are several, by file name."""
    reports = [_report(one, language) for one in ran]
    files = {f"{one.name}.html": study_page(one, language=language).encode() for one in reports}
    if len(reports) > 1:
        files["index.html"] = index_page(reports, language=language).encode()
    return files


def _report(ran: Ran, language: str) -> StudyReport:
    study: Declared = ran.declared
    texts = {key: study.word(key, language) for key in ("title", "question", "source", "method", "follows", "full")}
    texts |= {key: study.word(key, language) or {} for key in ("titles", "abouts")}
    sentences = [study.sentence(key, _named(values), language) for key, values in ran.results.sentences]
    listed = [value if isinstance(value, list) else [value] for value in study.full.values()]
    addresses = tuple(str(address) for group in listed for address in group)
    results = ran.results
    return StudyReport(
        study.study.name, texts, results.findings, ran.judgements, sentences, results.cover, addresses
    )  # fmt: skip


def _named(values: Mapping[str, Any]) -> dict[str, Any]:
    """The values of a sentence; texts that came from strangers are spelled out, addresses lose their folders."""
    return {
        key: escaped(model_name(value) if value.startswith(("/", "~")) else value, 1000)
        if isinstance(value, str)
        else value
        for key, value in values.items()
    }
