"""Trends on a terminal: shares, what was found in the sets, and sentences with every token marked by its class."""

from __future__ import annotations

from itertools import groupby
from typing import TYPE_CHECKING, Any

from kaibo.errors import escaped
from kaibo.reports.terminal import console, show
from kaibo.vocabulary import Finding
from kaibo.words import word

if TYPE_CHECKING:
    from rich.console import Console
    from rich.text import Text

MARKS = {"upward": "▲", "downward": "▼", "stagnated": "="}
"""Before a token, so that its class is also seen without colour; undecided tokens have none."""

STYLES = {"upward": "red", "downward": "blue", "stagnated": "green"}


def show_trends(found: Any, *, to: Console | None = None, language: str = "en") -> None:
    """Prints a `Trends`: its tables (what follows every checkpoint of a set is left to JSON and the page)."""
    out = console() if to is None else to
    for finding in (found.shares, found.windows, found.containment, found.descent, found.size, found.pairs):
        if finding.rows:
            out.print(_heading(word(f"page.{finding.kind}", language)))
            show(finding, to=out, language=language, rows=24)
            out.print()
    if found.passages.rows:
        out.print(_heading(word("page.trends-passages", language)))
        show_passages(found.passages, out, language)


def show_passages(finding: Finding[Any], out: Console, language: str = "en") -> None:
    """Prints each passage under each run, tokens marked and coloured."""
    marks = MARKS if out.encoding.lower().startswith("utf") else {"upward": "^", "downward": "v", "stagnated": "="}
    legend = "  ".join(f"{mark} {word(f'trends.{trend}', language)}" for trend, mark in marks.items())
    out.print(legend, style="dim", markup=False)
    for (number, model), rows in groupby(finding.rows, key=lambda row: (row.passage, row.model)):
        out.print(_passage(f"{number} {model}: ", list(rows), marks))


def _heading(text: str) -> Text:
    from rich.text import Text

    return Text(text, "bold")


def _passage(label: str, rows: list[Any], marks: dict[str, str]) -> Text:
    from rich.text import Text

    text = Text(escaped(label), "dim", overflow="fold")
    for row in rows:
        if not row.text:  # a part of a character that stands already
            continue
        bare = row.text.lstrip(" ")
        text.append(" " * (len(row.text) - len(bare)))
        shown = escaped(bare.replace("\n", "⏎"))
        text.append(f"{marks.get(row.trend, '')}{shown}", STYLES.get(row.trend, "default"))
    return text
