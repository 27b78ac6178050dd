"""`kaibo dissect`: everything about one model on one page: what it is, what stands out, digits, statistics, depth."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from kaibo.chapters.diff.ask import compare_addresses
from kaibo.chapters.dissect.pages import document_of, page_of, static_figures
from kaibo.chapters.dissect.sections import Chapters, chapters_of
from kaibo.collect import Collected
from kaibo.desk.addresses import Address, raising
from kaibo.desk.measuring import Settings, measured
from kaibo.errors import UsageError
from kaibo.vocabulary import jsonable

LANGUAGES = ("en", "ja")


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
            "check": chapters.check.records()[0],
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
    from kaibo.chapters.dissect.sentences import sentence

    output = output or Output()
    _check(output)
    settings = settings or Settings()
    if settings.as_stored and base is not None:
        raise UsageError(
            "--as-stored measures codes, and codes of two models are not compared", next="leave out --base"
        )
    compared = () if base is None else (compare_addresses(base, model, settings),)  # first: it reads both at once
    collected = next(iter(measured(model, replace(settings, verify=settings.verify and base is None), raising)))
    chapters = chapters_of(collected, compared, tokens=tokens, settings=settings)
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


def _write(
    collected: Collected, chapters: Chapters, sentences: Sequence[str], folder: Path, output: Output
) -> tuple[Path, ...]:
    from kaibo.reports.provenance import Mark
    from kaibo.reports.writing import write_output

    page = "index.html" if output.language == "en" else f"index.{output.language}.html"
    written = page_of(collected, chapters, sentences, language=output.language, command=output.command)
    files = {
        page: written.encode("utf-8", "backslashreplace"),
        "dissection.json": document_of(collected, chapters).encode(),
        **dict(static_figures(chapters, output.language, output.formats)),
    }
    return write_output(folder, files, mark=Mark("dissect", collected.model.name), force=output.force)


def _file_name(name: str) -> str:
    """A model's name as the name of a folder: nothing that leads elsewhere, nothing hidden, at most 120 characters."""
    safe = re.sub(r"[^\w.@+-]+", "--", name).strip(".-")
    return safe[:120] or "model"


def _html(text: str) -> str:
    import html

    return html.escape(text)
