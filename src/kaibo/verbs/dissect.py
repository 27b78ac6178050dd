"""`kaibo dissect`: everything about one model on one page: what it is, what stands out, digits, statistics, depth."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from kaibo import analyses
from kaibo.analyses.differences import PERCENTS
from kaibo.analyses.highlights import Highlight, highlights
from kaibo.analyses.records import DigitsRow, MagnitudeRow, ProfileRow, StatsRow
from kaibo.collect import Collected
from kaibo.collect.differences import Compared
from kaibo.errors import UsageError
from kaibo.verbs.adapters import Adapters, adapters_of
from kaibo.verbs.addresses import Address, raising
from kaibo.verbs.diff import Differences, DiffOptions, compare_addresses, exact_bins, gathered
from kaibo.verbs.inspect import inspect
from kaibo.verbs.measuring import Settings, measured, with_notes
from kaibo.version import __version__
from kaibo.vocabulary import LEVELS, Architecture, Finding, jsonable

LANGUAGES = ("en", "ja")


@dataclass(frozen=True)
class Chapters:
    """The findings of one model, each level of digits and statistics in the order of `LEVELS`.

    `diff` is what changed from the base, a level each, empty where no base was named; `adapters` what is to be said
    of a model that is an adapter of it, None where no base was named.
    """

    inspect: Finding[Architecture]
    digits: tuple[Finding[DigitsRow], ...]
    stats: tuple[Finding[StatsRow], ...]
    profile: Finding[ProfileRow]
    magnitudes: Finding[MagnitudeRow]
    highlights: tuple[Highlight, ...]
    diff: tuple[Differences, ...] = ()
    adapters: Adapters | None = None


@dataclass(frozen=True)
class Output:
    """Where a dissection is written and how.

    `folder` (default `./kaibo-report/NAME`), `language` of the page (`en` or `ja`), `formats` of static figures
    beside it (`svg`, `png`, `pdf`; none by default), `force` to overwrite files that kaibo did not write, `command`
    the command line to show at the foot.
    """

    folder: str | os.PathLike[str] | None = None
    language: str = "en"
    formats: Sequence[str] = ()
    force: bool = False
    command: str | None = None


@dataclass(frozen=True)
class Dissection:
    """A dissected model: its findings, the plain sentences, and the files that were written."""

    model: str
    name: str
    model_id: str
    page: str
    json: str
    files: tuple[str, ...]
    sentences: tuple[str, ...]
    chapters: Chapters = field(repr=False)

    def record(self) -> dict[str, Any]:
        """What `--json` prints: the model as a whole, its page and its sentences."""
        chapters = self.chapters
        changed = [record for level in chapters.diff[:1] for record in level.norms.records()]
        return {
            "model": self.model,
            "model_id": self.model_id,
            "page": self.page,
            "json": self.json,
            "inspect": chapters.inspect.records()[0],
            "digits": chapters.digits[0].records()[0] if chapters.digits[0].rows else None,
            "stats": chapters.stats[0].records()[0] if chapters.stats[0].rows else None,
            "findings": [
                {"key": found.key, "values": jsonable(found.values), "sentence": sentence}
                for found, sentence in zip(chapters.highlights, self.sentences, strict=True)
            ],
            **({"diff": changed[0] if changed else None} if chapters.diff else {}),
        }

    def _repr_html_(self) -> str:
        from kaibo.errors import escaped
        from kaibo.vocabulary import shown

        items = "".join(f"<li>{_html(sentence)}</li>" for sentence in self.sentences)
        return f"<p><b>{_html(escaped(self.name))}</b> {_html(shown(self.page))}</p><ul>{items}</ul>"


def dissect(
    model: Address,
    *,
    base: Address | None = None,
    output: Output | None = None,
    settings: Settings | None = None,
    tokens: int | None = None,
) -> Dissection:
    """Takes one model apart and writes its page (HTML) and its findings (JSON), with `base` also what changed.

    Raises UsageError for an unknown language or format, StorageError where files would be overwritten that are not
    kaibo's own, and whatever opening and reading the model raises.
    """
    from kaibo.figures.words import sentence

    output = output or Output()
    _check(output)
    settings = settings or Settings()
    compared = () if base is None else (compare_addresses(base, model, settings),)  # first: it reads both at once
    collected = next(iter(measured(model, replace(settings, verify=settings.verify and base is None), raising)))
    chapters = replace(_chapters(collected, tokens, settings), diff=_changed(compared, settings))
    chapters = replace(chapters, adapters=adapters_of(compared, settings=settings) if compared else None)
    sentences = tuple(sentence(found.key, found.values, output.language) for found in chapters.highlights)
    folder = Path(output.folder) if output.folder else Path("kaibo-report") / _file_name(collected.model.name)
    paths = _write(collected, chapters, sentences, folder, output)
    return Dissection(
        model=collected.model.address,
        name=collected.model.name,
        model_id=collected.model_id,
        page=str(paths[0]),
        json=str(paths[1]),
        files=tuple(str(path) for path in paths),
        sentences=sentences,
        chapters=chapters,
    )


def _check(output: Output) -> None:
    from kaibo.figures import FORMATS

    if output.language not in LANGUAGES:
        raise UsageError(f'no pages in "{output.language}"', next=f"choose one of {', '.join(LANGUAGES)}")
    unknown = [name for name in output.formats if name not in FORMATS]
    if unknown:
        raise UsageError(f'no figures as "{unknown[0]}"', next=f"choose from {', '.join(FORMATS)}")


def _chapters(collected: Collected, tokens: int | None, settings: Settings) -> Chapters:
    rows = collected.rows
    digits = tuple(analyses.digits(rows, by) for by in LEVELS)
    stats = tuple(analyses.stats(rows, by) for by in LEVELS)
    profile = analyses.profile(rows)
    return Chapters(
        inspect=inspect(collected.model.address, tokens=tokens, trust_shards=settings.trust_shards),
        digits=digits,
        stats=(with_notes(stats[0], [collected]), *stats[1:]),
        profile=profile,
        magnitudes=analyses.magnitudes(rows),
        highlights=highlights(digits[0], stats[0], stats[3], profile),
    )


def _changed(compared: tuple[Compared, ...], settings: Settings) -> tuple[Differences, ...]:
    if not compared:
        return ()
    resolved = exact_bins(compared, PERCENTS, settings)
    return tuple(gathered(compared, by, DiffOptions(PERCENTS), resolved=resolved) for by in LEVELS)


def _write(
    collected: Collected, chapters: Chapters, sentences: Sequence[str], folder: Path, output: Output
) -> tuple[Path, ...]:
    from kaibo.reports import Mark, write_output

    page = "index.html" if output.language == "en" else f"index.{output.language}.html"
    files = {
        page: _page(collected, chapters, sentences, output).encode("utf-8", "backslashreplace"),
        "dissection.json": _document(collected, chapters).encode(),
        **dict(_static(chapters, output)),
    }
    return write_output(folder, files, mark=Mark("dissect", collected.model.name), force=output.force)


def _page(collected: Collected, chapters: Chapters, sentences: Sequence[str], output: Output) -> str:
    from kaibo.reports import differences_section, facts, facts_section, page, section, sentences_section

    language = output.language
    provenance = {
        "models": {collected.model.address: collected.model_id},
        "kaibo": __version__,
        "command": output.command,
    }
    sections = [
        facts_section(facts(chapters.inspect.rows[0], language), language),
        sentences_section(sentences, language),
        *(section(part, language) for part in _parts(chapters)),
    ]
    if chapters.diff:
        found = chapters.diff[0]
        norms = [level.norms for level in chapters.diff]
        drawn = [finding for finding in (found.depth, found.curve) if finding.rows]
        lists = [found.changes, *_adapter_findings(chapters), found.unmatched]
        sections.insert(2, differences_section(norms, drawn, lists, language))
    return page(sections, title=collected.model.name, language=language, provenance=provenance)


def _adapter_findings(chapters: Chapters) -> list[Finding[Any]]:
    return [found for found in chapters.adapters.findings if found.rows] if chapters.adapters is not None else []


def _parts(chapters: Chapters) -> Iterator[list[Finding[Any]]]:
    """The findings under each heading of the page; a chapter without rows is left out."""
    candidates: tuple[list[Finding[Any]], ...] = (
        [chapters.inspect],
        list(chapters.digits),
        [chapters.magnitudes],
        [chapters.profile],
        list(chapters.stats),
    )
    return (findings for findings in candidates if findings[0].rows)


def _static(chapters: Chapters, output: Output) -> Iterator[tuple[str, bytes]]:
    from kaibo.figures import figure, names, render

    changed = [[found] for level in chapters.diff[:1] for found in (level.depth, level.curve)]
    for findings in (*_parts(chapters), *changed) if output.formats else ():
        for name in names(findings[0]):
            chart = figure(findings[0], name=name, language=output.language)
            for form in output.formats:
                yield f"figures/{findings[0].kind}-{name}.{form}", render(chart, form)


def _document(collected: Collected, chapters: Chapters) -> str:
    """Every finding at every level as one JSON document."""
    levels = dict(zip(LEVELS, range(len(LEVELS)), strict=True))
    document = {
        "command": "dissect",
        "version": __version__,
        "model": collected.model.address,
        "model_id": collected.model_id,
        "inspect": chapters.inspect.records()[0],
        "highlights": [{"key": found.key, "values": jsonable(found.values)} for found in chapters.highlights],
        "digits": {by: chapters.digits[place].records() for by, place in levels.items()},
        "stats": {by: chapters.stats[place].records() for by, place in levels.items()},
        "profile": chapters.profile.records(),
        "magnitudes": chapters.magnitudes.records(),
        "tensors": [
            {
                "tensor": row.tensor,
                "role": row.role,
                "layer": row.layer,
                "dtype": row.dtype,
                "shape": row.shape,
                "content": row.content,
            }
            for row in collected.rows
        ],
        "notes": list(chapters.inspect.notes) + list(chapters.stats[0].notes),
    }
    return json.dumps({**document, **_diff_document(chapters)}, ensure_ascii=True, allow_nan=False)


def _diff_document(chapters: Chapters) -> dict[str, Any]:
    """What changed, at every level, beside what stands in no number."""
    if not chapters.diff:
        return {}
    first = chapters.diff[0]
    levels = {by: found.norms.records() for by, found in zip(LEVELS, chapters.diff, strict=True)}
    others = {
        "curve": first.curve.records(),
        "changes": first.changes.records(),
        "unmatched": first.unmatched.records(),
        **{found.kind: found.records() for found in _adapter_findings(chapters)},
    }
    return {"diff": {**levels, **others}}


def _file_name(name: str) -> str:
    """A model's name as the name of a folder: nothing that leads elsewhere, nothing hidden, at most 120 characters."""
    safe = re.sub(r"[^\w.@+-]+", "--", name).strip(".-")
    return safe[:120] or "model"


def _html(text: str) -> str:
    import html

    return html.escape(text)
