"""One self-contained HTML page: findings, figures and where they came from; opens from disk, asks no network.

Charts are data in a block that is never run, drawn by one inlined Vega bundle under a content policy that allows
two scripts by their hash and nothing else. Every name is text: escaped by the template, spelled out if unprintable.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING, Any

from kaibo.errors import escaped
from kaibo.figures import caption, figure, shown_by
from kaibo.figures.export import specification
from kaibo.figures.names import model_name
from kaibo.reports.bundle import START, inline_safe, source_hash, vega_bundle
from kaibo.reports.claims import ClaimGroup, Tally
from kaibo.reports.facts import Fact, published, without_folders
from kaibo.reports.tables import numeric, read, spoken, to_csv
from kaibo.vocabulary import Finding
from kaibo.words import heading, known, said, word

if TYPE_CHECKING:
    from jinja2 import Template

OPEN_ROWS = 12
"""Tables with more rows than this are folded away."""

MOST_ROWS = 1000
"""Rows that stand in the page itself; the CSV holds them all."""


LABELS = {
    "digit-shares": "page.by_digit",
    "changes": "page.changes",
    "unmatched": "page.unmatched",
    "adapters": "page.adapters",
    "storing": "page.storing",
    "overlaps": "page.overlaps",
    "quantised": "page.quantised",
}
"""What stands above a table that is not one of a level."""


@dataclass(frozen=True)
class Chart:
    """A figure on the page: its place there, its specification, and the caption that says how to read it."""

    place: str
    specification: Mapping[str, Any]
    caption: str


@dataclass(frozen=True)
class PageTable:
    """A table on the page: text cells for reading, and the whole finding as a CSV to download."""

    caption: str
    headings: tuple[tuple[str, str, bool], ...]
    rows: tuple[tuple[str, ...], ...]
    total: int
    file: str
    csv: str
    folded: bool = False


@dataclass(frozen=True)
class Section:
    """A part of the page under a heading. `anchor` names it in links; whatever is empty is left out.

    `links` are (file beside the page, text, what it is in a sentence); `steps` are numbered, `verdicts` explain a
    badge (its style, its word, what it means), `commands` are to be typed, and `addresses` are folded away.
    """

    anchor: str
    title: str
    paragraphs: tuple[str, ...] = ()
    links: tuple[tuple[str, str, str], ...] = ()
    facts: tuple[Fact, ...] = ()
    steps: tuple[str, ...] = ()
    verdicts: tuple[tuple[str, str, str], ...] = ()
    sentences: tuple[str, ...] = ()
    tallies: tuple[Tally, ...] = ()
    charts: tuple[Chart, ...] = ()
    claims: tuple[ClaimGroup, ...] = ()
    tables: tuple[PageTable, ...] = ()
    commands: tuple[str, ...] = ()
    addresses: tuple[str, ...] = ()
    notes: tuple[str, ...] = field(default=())


def facts_section(facts: Sequence[Fact], language: str = "en") -> Section:
    """What the model is, as names and values."""
    return Section("model", word("page.facts", language), facts=tuple(facts))


def sentences_section(sentences: Sequence[str], language: str = "en") -> Section:
    """What stands out, in plain sentences."""
    return Section("highlights", word("page.sentences", language), sentences=tuple(sentences))


def section(
    findings: Finding[Any] | Iterable[Finding[Any]], language: str = "en", *, drawings: Sequence[str] | None = None
) -> Section:
    """The figures and tables of findings of one kind under one heading (by model, by layer, by tensor …).

    The first finding is drawn; all get a table. `drawings` names the figures wanted, all that there are by default.
    """
    shown = published([findings] if isinstance(findings, Finding) else findings)
    first = shown[0]
    drawn = charts(first, [name for name in shown_by(first) if drawings is None or name in drawings], language)
    tables = tuple(page_table(finding, language) for finding in _tabled(shown))
    notes = tuple(dict.fromkeys(said(text, language) for finding in shown for text in finding.notes))
    return Section(str(first.kind), _heading(first, language), charts=drawn, tables=tables, notes=notes)


def _heading(finding: Finding[Any], language: str) -> str:
    """What a kind is called on a page; where it has no words for that, its first figure's title."""
    titles = [drawing.title for drawing in finding.kind.figures.values()]
    return word(next(key for key in (f"page.{finding.kind}", *titles, "page.table") if known(key)), language)


def differences_section(
    norms: Sequence[Finding[Any]], drawn: Sequence[Finding[Any]], others: Sequence[Finding[Any]], language: str = "en"
) -> Section:
    """What changed: the findings of `drawn` as figures, `others` and then the norms at each level as tables."""
    shown = published([*norms, *drawn, *others])
    pictures = shown[len(norms) : len(norms) + len(drawn)]
    tabled = [*shown[len(norms) + len(drawn) :], *shown[: len(norms)]]
    return Section(
        "diff",
        word("page.diff", language),
        charts=tuple(chart for finding in pictures for chart in charts(finding, shown_by(finding), language)),
        tables=tuple(page_table(finding, language) for finding in tabled if finding.rows),
        notes=tuple(dict.fromkeys(said(text, language) for finding in shown for text in finding.notes)),
    )


def charts(finding: Finding[Any], wanted: Iterable[str], language: str = "en") -> tuple[Chart, ...]:
    """The drawings of a finding that are wanted, each with its caption."""
    return tuple(
        Chart(
            f"figure-{finding.kind}-{name}".replace("_", "-"),
            specification(figure(finding, name=name, language=language)),
            caption(finding, name=name, language=language),
        )
        for name in wanted
    )


def _tabled(findings: Sequence[Finding[Any]]) -> list[Finding[Any]]:
    """The findings that get a table, the first as its kind opens it."""
    first = [one for finding in findings[:1] for one in finding.kind.tabled(finding)]
    return [finding for finding in (*first, *findings[1:]) if finding.rows]


def page_table(finding: Finding[Any], language: str = "en") -> PageTable:
    """A finding as the page shows it; its CSV has every column, unrounded, under the names of JSON."""
    table = read(finding)
    level = getattr(finding.rows[0], "by", None) if finding.rows else None
    label = word(LABELS.get(str(finding.kind), f"page.by_{level}" if level else "page.table"), language)
    headings = tuple((name, heading(name, language), numeric(table, place)) for place, name in enumerate(table.columns))
    rows = tuple(tuple(spoken(table, row, language)) for row in table.rows[:MOST_ROWS])
    file = "-".join(["kaibo", str(finding.kind), *([f"by-{level}"] if level else [])])
    folded = len(finding.rows) > OPEN_ROWS
    return PageTable(label, headings, rows, len(finding.rows), f"{file}.csv", to_csv(finding), folded)


def page(
    sections: Sequence[Section],
    *,
    title: str,
    language: str = "en",
    provenance: Mapping[str, Any] | None = None,
    tagline: str | None = None,
) -> str:
    """The whole page as one HTML document, the same text for the same input; `tagline` stands under the title.

    `provenance` may hold `models` (address → model_id), `model`, `model_id`, `kaibo`, `command` and `settings`;
    absolute paths in it are cut to their last part.
    """
    drawn = {chart.place: chart.specification for part in sections for chart in part.charts}
    scripts = (vega_bundle(), inline_safe(START)) if drawn else ()
    return _template().render(
        title=escaped(title),
        language=language,
        sections=sections,
        policy=_policy(scripts),
        scripts=scripts,
        figures=json_block(drawn),
        words=json_block(
            {"PNG_ACTION": word("page.save_png", language), "SVG_ACTION": word("page.save_svg", language)}
        ),
        provenance=provenance_facts(provenance or {}, language),
        made_by=word("page.made_by", language, version=escaped((provenance or {}).get("kaibo", ""))).strip(),
        tagline=word("page.tagline", language) if tagline is None else tagline,
        word=lambda key, **values: word(f"page.{key}", language, **values),
        heads={name: heading(name, language) for name in ("verdict", "claim", "reported", "ours")}
        | {"to_measure": word("study.to_measure", language)},
        data_uri=data_uri,
    )


def _policy(scripts: Sequence[str]) -> str:
    allowed = " ".join(map(source_hash, scripts)) or "'none'"
    return (
        f"default-src 'none'; script-src {allowed}; style-src 'unsafe-inline'; img-src data:; "
        "base-uri 'none'; form-action 'none'"
    )


@cache
def _template() -> Template:
    from jinja2 import Environment, FunctionLoader, StrictUndefined

    folder = files("kaibo.reports").joinpath("templates")
    loader = FunctionLoader(lambda name: folder.joinpath(name).read_text(encoding="utf-8"))
    style: dict[str, Any] = {"trim_blocks": True, "lstrip_blocks": True}
    return Environment(loader=loader, autoescape=True, undefined=StrictUndefined, **style).get_template("page.html.j2")


def json_block(value: Any) -> str:
    """JSON that can stand between script tags: nothing in it ends the block or a line.

    >>> json_block({"a": "</script>\\u2028&"})
    '{"a":"\\\\u003c/script\\\\u003e\\\\u2028\\\\u0026"}'
    """
    text = json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return re.sub("[<>&\u2028\u2029\ud800-\udfff]", lambda found: f"\\u{ord(found[0]):04x}", text)


def data_uri(text: str) -> str:
    """A CSV as a link that downloads it without any server."""
    return f"data:text/csv;charset=utf-8;base64,{base64.b64encode(text.encode('utf-8')).decode('ascii')}"


def provenance_facts(provenance: Mapping[str, Any], language: str = "en") -> tuple[Fact, ...]:
    """Where a page came from, as names and values, without the folders of the person who made it."""
    models = provenance.get("models") or {provenance.get("model"): provenance.get("model_id")}
    said = [
        model_name(str(model)) + (f" ({identity})" if identity else "") for model, identity in models.items() if model
    ]
    command = provenance.get("command")
    if isinstance(command, list | tuple):
        command = " ".join(_argument(str(part)) for part in command)
    for address in models:
        if command and address and "/" in str(address):
            command = str(command).replace(str(address), model_name(str(address)))
    settings = provenance.get("settings") or {}
    pairs = (
        ("model", ", ".join(said)),
        ("version", str(provenance.get("kaibo") or "")),
        ("command", without_folders(str(command)) if command else ""),
        ("settings", ", ".join(f"{key} = {without_folders(str(value))}" for key, value in settings.items())),
    )
    return tuple((word(f"page.{name}", language), escaped(value, 2000)) for name, value in pairs if value)


def _argument(part: str) -> str:
    """One word of a command line: a path (also one with spaces in it) by its last part."""
    option, equals, value = part.partition("=") if part.startswith("--") else ("", "", part)
    readable = model_name(value) if value.startswith(("/", "~", "\\")) else value
    return f"{option}{equals}{readable}"
