"""A study as a page: question, what was found, method, figures, claims with their verdicts, what follows, the full run.

The index puts all studies on one page that is read from top to bottom: how the verdicts are to be read, how many there
are, then each question with what was found, one picture and its counts, and at the end every claim.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from kaibo.errors import escaped
from kaibo.figures import shown_by
from kaibo.reports.claims import VERDICTS, claim_groups, counted, style, sureness, tally
from kaibo.reports.facts import published
from kaibo.reports.page import Chart, PageTable, Section, charts, page, page_table
from kaibo.reports.tables import to_csv
from kaibo.version import __version__
from kaibo.vocabulary import Finding
from kaibo.vocabulary.claims import CLAIMS, Judgement
from kaibo.words import said, word

__all__ = ["StudyReport", "claims_finding", "counted", "index_page", "study_page"]

TOLD = 3
"""Sentences of a study that stand on the index."""

COMMAND = re.compile(r"(?P<said>.*?[:：]\s*|)(?P<typed>kaibo [ -~…]+)")
"""A line of how to run a study: what is said, and what is typed at its end."""


@dataclass(frozen=True)
class StudyReport:
    """A study that was run, as its page and the index tell it.

    `texts` are its title, question, source, method, what follows, `full`, and `titles` and `abouts` of its findings by
    their keys; `cover` is the finding (or `finding:figure`) that stands on the index, the first drawn one by default;
    `addresses` are where its source's models and tables are.
    """

    name: str
    texts: Mapping[str, Any]
    findings: Mapping[str, Finding[Any]]
    judgements: Sequence[Judgement]
    sentences: Sequence[str] = ()
    cover: str = ""
    addresses: Sequence[str] = field(default=())


def claims_finding(judgements: Sequence[Judgement]) -> Finding[Judgement]:
    """The judgements as a finding: the table of claims."""
    return Finding(CLAIMS, tuple(judgements), (), {"kaibo": __version__})


def study_page(report: StudyReport, *, language: str = "en") -> str:
    """The page of one study."""
    texts, judgements = report.texts, report.judgements
    sections = [
        _question(texts, language),
        Section(
            "found",
            word("study.found", language),
            sentences=(*report.sentences, counted(judgements, language)),
            tallies=(tally(judgements, language),) if judgements else (),
        ),
        Section("method", word("study.method", language), steps=tuple(texts["method"])),
        *_findings(report, language),
        _claims(judgements, language),
        Section("follows", word("study.follows", language), paragraphs=tuple(texts["follows"])),
        _full(report, language),
    ]
    tagline = word("study.tagline", language)
    return page(sections, title=texts["title"], language=language, provenance={"kaibo": __version__}, tagline=tagline)


def _question(texts: Mapping[str, Any], language: str) -> Section:
    source = ((word("study.source", language), texts["source"]),) if texts["source"] else ()
    return Section("question", word("study.question", language), paragraphs=(texts["question"],), facts=source)


def _claims(judgements: Sequence[Judgement], language: str) -> Section:
    return Section(
        "claims",
        word("study.claims", language),
        paragraphs=sureness(judgements, language),
        verdicts=_verdicts(language),
        claims=claim_groups(judgements, language),
        tables=_download(judgements, language),
    )


def _download(judgements: Sequence[Judgement], language: str) -> tuple[PageTable, ...]:
    """The claims once more as a folded table, for its CSV with every column."""
    if not judgements:
        return ()
    return (
        replace(
            page_table(claims_finding(judgements), language), caption=word("study.as_table", language), folded=True
        ),
    )


def _verdicts(language: str) -> tuple[tuple[str, str, str], ...]:
    names = [(style(verdict), verdict.replace(" ", "_")) for verdict in VERDICTS]
    return tuple((of, word(f"study.{key}", language), word(f"study.{key}_means", language)) for of, key in names)


def _findings(report: StudyReport, language: str) -> Iterator[Section]:
    shown = dict(zip(report.findings, published(report.findings.values()), strict=True))
    for place, (key, one) in enumerate(shown.items()):
        if one.rows:
            yield _finding_section(f"{place + 1}-{_slug(key)}", key, one, report.texts, language)


def _finding_section(anchor: str, key: str, finding: Finding[Any], texts: Mapping[str, Any], language: str) -> Section:
    """A finding with what it shows and its drawings; several of one kind may stand on a page."""
    about = texts["abouts"].get(key) or texts["abouts"].get(key.partition("-")[0])
    tabled = [one for one in finding.kind.tabled(finding) if one.rows]
    first, *others = [page_table(one, language) for one in tabled or [finding]]
    first = replace(first, csv=to_csv(finding), file=f"kaibo-{finding.kind}-{_slug(key)}.csv")
    others = [replace(one, file=one.file.replace(".csv", f"-{_slug(key)}.csv"), folded=True) for one in others]
    return Section(
        f"finding-{anchor}",
        _title(key, texts["titles"]),
        paragraphs=(about,) if about else (),
        sentences=finding.kind.told(finding, language),
        charts=_placed(charts(finding, shown_by(finding), language), anchor),
        tables=(first, *others),
        notes=tuple(dict.fromkeys(said(text, language) for one in (finding, *tabled) for text in one.notes)),
    )


def _placed(drawn: Sequence[Chart], anchor: str) -> tuple[Chart, ...]:
    return tuple(replace(one, place=f"{one.place}-{anchor}") for one in drawn)


def _slug(key: str) -> str:
    """A key as it can stand in an anchor and a file name."""
    return re.sub(r"[^A-Za-z0-9.]+", "-", key).strip("-.")[:60] or "finding"


def _title(key: str, titles: Mapping[str, str]) -> str:
    """The title of a finding by its key, or by the first word of it: `norms-sft-1e-05` is one of `norms`."""
    head, _, rest = key.partition("-")
    own = f"{titles[head]}: {rest.replace('-', ' ', 1)}" if head in titles else key
    return titles.get(key) or escaped(own)


def _full(report: StudyReport, language: str) -> Section:
    """How to run it at full size: what is said as paragraphs, what is typed as commands."""
    said, typed = [], []
    for text in report.texts.get("full") or ():
        found = COMMAND.fullmatch(text)
        said.append(found["said"] if found else text)
        typed += [found["typed"]] if found else []
    return Section(
        "full",
        word("study.full", language),
        paragraphs=tuple(text for text in said if text),
        commands=tuple(typed),
        addresses=tuple(report.addresses),
    )


def index_page(reports: Sequence[StudyReport], *, language: str = "en") -> str:
    """All studies on one page: how sure one may be, what each found, and every claim."""
    everything = [judgement for report in reports for judgement in report.judgements]
    tallies = [
        tally(report.judgements, language, title=report.texts["title"], target=_slug(report.name)) for report in reports
    ]
    sections = [
        Section(
            "overview",
            word("study.index", language),
            paragraphs=(word("study.index_about", language),),
            sentences=(counted(everything, language), *sureness(everything, language)),
            tallies=tuple(tallies),
        ),
        Section("reading", word("study.reading", language), verdicts=_verdicts(language)),
        *(_entry(report, language) for report in reports),
        Section(
            "claims",
            word("study.every_claim", language),
            claims=tuple(
                group
                for report in reports
                for group in claim_groups(report.judgements, language, report.texts["title"])
            ),
            tables=_download(everything, language),
        ),
    ]
    title, tagline = word("study.title", language), word("study.index_tagline", language)
    return page(sections, title=title, language=language, provenance={"kaibo": __version__}, tagline=tagline)


def _entry(report: StudyReport, language: str) -> Section:
    """A study on the index: its question, what was found first, one picture, its counts, and where all of it is."""
    return Section(
        _slug(report.name),
        report.texts["title"],
        paragraphs=(report.texts["question"],),
        sentences=(*report.sentences[:TOLD], counted(report.judgements, language)),
        tallies=(tally(report.judgements, language),) if report.judgements else (),
        charts=_cover(report, language),
        links=((f"{report.name}.html", word("study.read_on", language), ""),),
    )


def _cover(report: StudyReport, language: str) -> tuple[Chart, ...]:
    key, _, wanted = report.cover.partition(":")
    shown = dict(zip(report.findings, published(report.findings.values()), strict=True))
    for one in [shown[key]] if key in shown else shown.values():
        drawn = [name for name in shown_by(one) if not wanted or name == wanted] if one.rows else []
        if drawn:
            return _placed(charts(one, drawn[:1], language), f"cover-{_slug(report.name)}")
    return ()
