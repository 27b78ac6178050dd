"""A study as a page: question, source, method, figures, claims with their verdicts, what follows, how to run it all."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from kaibo.figures import names
from kaibo.figures.words import note, word
from kaibo.reports.facts import published
from kaibo.reports.page import Section, charts, page, page_table
from kaibo.reports.tour import tour_sentences
from kaibo.version import __version__
from kaibo.vocabulary import Finding
from kaibo.vocabulary.claims import Judgement, Verdict

VERDICTS: tuple[Verdict, ...] = ("reproduced", "differs", "not measured")


def claims_finding(judgements: Sequence[Judgement]) -> Finding[Judgement]:
    """The judgements as a finding: the table of claims."""
    return Finding("claims", tuple(judgements), (), {"kaibo": __version__})


def counted(judgements: Sequence[Judgement], language: str = "en") -> str:
    """How many claims had which verdict, in one sentence."""
    counts = Counter(judgement.verdict for judgement in judgements)
    numbers = {verdict.replace(" ", "_"): counts[verdict] for verdict in VERDICTS}
    return word("study.counted", language, total=len(judgements), **numbers)


def study_page(
    texts: Mapping[str, Any],
    findings: Mapping[str, Finding[Any]],
    judgements: Sequence[Judgement],
    sentences: Sequence[str],
    *,
    language: str = "en",
    full: str = "",
) -> str:
    """The page of one study; `texts` are its title, question, source, method, what follows, and `titles` and `abouts`
    of its findings by their keys; `full` is a command.
    """
    shown = dict(zip(findings, published(findings.values()), strict=True))
    sections = [
        Section(
            "question",
            word("study.question", language),
            paragraphs=(texts["question"],),
            facts=((word("study.source", language), texts["source"]),),
            sentences=(*sentences, counted(judgements, language)),
        ),
        Section("method", word("study.method", language), paragraphs=tuple(texts["method"])),
        Section("claims", word("study.claims", language), tables=(page_table(claims_finding(judgements), language),)),
        *(_finding_section(key, one, texts, language) for key, one in shown.items() if one.rows),
        Section("follows", word("study.follows", language), paragraphs=tuple(texts["follows"])),
        Section("full", word("study.full", language), paragraphs=(*texts.get("full", ()), *((full,) if full else ()))),
    ]
    tagline = word("study.tagline", language)
    return page(sections, title=texts["title"], language=language, provenance={"kaibo": __version__}, tagline=tagline)


def _finding_section(key: str, finding: Finding[Any], texts: Mapping[str, Any], language: str) -> Section:
    """A finding with what it shows and its drawings; several of one kind may stand on a page."""
    drawn = charts(finding, names(finding), language)
    about = texts["abouts"].get(key) or texts["abouts"].get(key.partition("-")[0])
    return Section(
        f"finding-{key}",
        _title(key, texts["titles"]),
        paragraphs=(about,) if about else (),
        sentences=tour_sentences(finding, language) if finding.kind == "tour" else (),
        charts=tuple(replace(one, place=f"{one.place}-{key}") for one in drawn),
        tables=(page_table(finding, language),),
        notes=tuple(dict.fromkeys(note(text, language) for text in finding.notes)),
    )


def _title(key: str, titles: Mapping[str, str]) -> str:
    """The title of a finding by its key, or by the first word of it: `norms-sft-1e-05` is one of `norms`."""
    head, _, rest = key.partition("-")
    return titles.get(key) or (f"{titles[head]}: {rest.replace('-', ' ', 1)}" if head in titles else key)


def index_page(entries: Sequence[tuple[str, str, str, Sequence[Judgement]]], *, language: str = "en") -> str:
    """The index of studies; entries are (file, title, question, judgements)."""
    everything = [judgement for *_, judgements in entries for judgement in judgements]
    links = tuple((file, title, f"{about} {counted(judged, language)}") for file, title, about, judged in entries)
    sections = [
        Section(
            "studies",
            word("study.index", language),
            paragraphs=(word("study.index_about", language),),
            links=links,
            sentences=(counted(everything, language),),
        ),
        Section("claims", word("study.claims", language), tables=(page_table(claims_finding(everything), language),)),
    ]
    title, tagline = word("study.title", language), word("study.tagline", language)
    return page(sections, title=title, language=language, provenance={"kaibo": __version__}, tagline=tagline)
