"""Findings on a terminal: compact tables that fit its width, plain text in a pipe, nothing a name could control."""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from typing import IO, TYPE_CHECKING, Any

from kaibo.errors import escaped
from kaibo.reports.facts import Fact
from kaibo.reports.fitting import fitted, plain
from kaibo.reports.tables import Table, read, title_of
from kaibo.vocabulary import Finding
from kaibo.vocabulary.terminals import guarded
from kaibo.words import said, word

if TYPE_CHECKING:
    from rich.console import Console, RenderableType

PIPE_WIDTH = 240
"""Columns in a pipe, where no terminal says how many there are; `COLUMNS` wins."""

BAR = 24
MOST_ROWS = 60


def console(file: IO[str] | None = None) -> Console:
    """A console for standard output or `file`: no colour in a pipe or under NO_COLOR, no markup read in any text.

    Characters that the stream cannot encode are spelled out instead of failing.
    """
    import sys

    from rich.console import Console

    stream = sys.stdout if file is None else file
    if not (getattr(stream, "encoding", None) or "utf-8").lower().startswith("utf") and hasattr(stream, "reconfigure"):
        stream.reconfigure(errors="backslashreplace")
    terminal = bool(getattr(stream, "isatty", lambda: False)())
    columns = os.environ.get("COLUMNS", "")
    width = int(columns) if columns.isdecimal() and int(columns) > 0 else None if terminal else PIPE_WIDTH
    return guarded(Console(file=stream, markup=False, emoji=False, highlight=False, width=width))


def show(finding: Finding[Any], *, to: Console | None = None, language: str = "en", rows: int = MOST_ROWS) -> None:
    """Prints a finding as the tables that its kind opens it to, laid out as they fit the console; see `fitted`.

    At most `rows` rows of each; a last line says how many there are in all. Several tables have headings.
    """
    out = console() if to is None else to
    tabled = [one for one in finding.kind.tabled(finding) if one.rows] or [finding]
    for one in tabled:
        if len(tabled) > 1:
            out.print(plain(title_of(one.kind, language), "bold"))
        _show_table(read(one), out, language, rows)
        if len(tabled) > 1:
            out.print()
    for text in dict.fromkeys(text for one in (*tabled, finding) for text in one.notes):
        out.print(plain(escaped(said(text, language), 2000), "dim"))


def _show_table(table: Table, out: Console, language: str, rows: int) -> None:
    for drawn in fitted(Table(table.columns, table.rows[:rows], table.terms), out.width, language):
        out.print(drawn)
    if len(table) > rows:
        out.print(plain(word("page.first_rows", language, count=rows, total=f"{len(table):,}"), "dim"))


def show_dissection(
    name: str,
    *,
    facts: Sequence[Fact] = (),
    sentences: Sequence[str] = (),
    digits: Finding[Any] | None = None,
    to: Console | None = None,
    language: str = "en",
) -> None:
    """Prints the summary of a dissection: what the model is, what stands out, and its first digits as bars."""
    out = console() if to is None else to
    out.print(plain(escaped(name), "bold"))
    if facts:
        out.print(_fact_table(facts, out.width))
    if sentences:
        out.print(plain(f"\n{word('page.sentences', language)}", "bold"))
        for sentence in sentences:
            out.print(plain(f"• {sentence}" if _unicode(out) else f"* {sentence}"))
    for row in digits.rows[:1] if digits is not None else ():
        out.print(plain(f"\n{word('digits.title', language)}", "bold"))
        out.print(_digit_bars(row, out, language))


def _unicode(out: Console) -> bool:
    return out.encoding.lower().startswith("utf")


def _fact_table(facts: Sequence[Fact], width: int) -> RenderableType:
    from rich.table import Table as Grid

    if width < 50:
        return plain("\n".join(f"{name}: {value}" for name, value in facts))
    grid = Grid.grid(padding=(0, 2, 0, 0))
    grid.add_column(style="dim", no_wrap=True)
    grid.add_column(overflow="fold")
    for name, value in facts:
        grid.add_row(plain(name), plain(value))
    return grid


def _digit_bars(row: Any, out: Console, language: str) -> RenderableType:
    """A line per digit: its share, a bar where there is room, the law, and `**` where the share is above it."""
    from rich.table import Table as Grid

    room = max(0, min(BAR, out.width - 30))
    block = "█" if _unicode(out) else "#"
    grid = Grid(box=None, pad_edge=False, padding=(0, 1, 0, 0), header_style="dim")
    grid.add_column(plain("" if room == 0 else word("columns.digit", language)), no_wrap=True)
    grid.add_column(plain("%"), justify="right", no_wrap=True)
    if room:
        grid.add_column(no_wrap=True, min_width=room)
    grid.add_column(plain(word("columns.law", language)), justify="right", no_wrap=True)
    grid.add_column(no_wrap=True)
    finite = [share for share in row.shares if math.isfinite(share)]
    for digit, share in enumerate(row.shares, start=1):
        law = math.log10(1 + 1 / digit)
        known = math.isfinite(share)
        bar = [plain(block * round(room * share / max(*finite, law)) if known else "", "blue")] if room else []
        said = plain(f"{100 * share:.2f}" if known else "-")
        above = plain("**" if known and share > law else "", "bold")
        grid.add_row(plain(str(digit)), said, *bar, plain(f"{100 * law:.2f}", "red"), above)
    return grid
