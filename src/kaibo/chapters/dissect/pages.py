"""The files of a dissection: its page, its JSON document, and static figures."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any

from kaibo.chapters.dissect.sections import Chapters
from kaibo.collect import Collected
from kaibo.version import __version__
from kaibo.vocabulary import LEVELS, jsonable


def page_of(
    collected: Collected, chapters: Chapters, sentences: Sequence[str], *, language: str, command: str | None
) -> str:
    """The page (HTML): facts, sentences, what is wrong, what changed, then every chapter."""
    from kaibo.reports.facts import facts
    from kaibo.reports.page import differences_section, facts_section, page, section, sentences_section

    provenance = {
        "models": {collected.model.address: collected.model_id},
        "kaibo": __version__,
        "command": command,
    }
    sections = [
        facts_section(facts(chapters.inspect.rows[0], language), language),
        sentences_section(sentences, language),
        *(section(part, language) for part in chapters.parts),
    ]
    if chapters.diff:
        found = chapters.diff[0]
        norms = [level.norms for level in chapters.diff]
        drawn = [finding for finding in (found.depth, found.curve) if finding.rows]
        lists = [found.changes, *chapters.of_adapter, found.unmatched]
        sections.insert(3, differences_section(norms, drawn, lists, language))
    return page(sections, title=collected.model.name, language=language, provenance=provenance)


def static_figures(chapters: Chapters, language: str, formats: Sequence[str]) -> Iterator[tuple[str, bytes]]:
    """Name and bytes of each figure, in each of these formats."""
    from kaibo.figures import figure, render, shown_by

    changed = [[found] for level in chapters.diff[:1] for found in (level.depth, level.curve)]
    for findings in (*chapters.parts, *changed) if formats else ():
        for name in shown_by(findings[0]):
            chart = figure(findings[0], name=name, language=language)
            for form in formats:
                yield f"figures/{findings[0].kind}-{name}.{form}", render(chart, form)


def document_of(collected: Collected, chapters: Chapters) -> str:
    """Every finding at every level as one JSON document."""
    levels = dict(zip(LEVELS, range(len(LEVELS)), strict=True))
    document = {
        "command": "dissect",
        "version": __version__,
        "model": collected.model.address,
        "model_id": collected.model_id,
        "check": chapters.check.records()[0],
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
        **{str(found.kind): found.records() for found in chapters.of_adapter},
    }
    return {"diff": {**levels, **others}}
