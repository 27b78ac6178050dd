"""Findings on a terminal: compact tables that fit its width, plain text in a pipe, nothing a name could control."""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from typing import IO, TYPE_CHECKING, Any

from kaibo.errors import escaped
from kaibo.figures.names import model_name, short
from kaibo.figures.words import heading, note, word
from kaibo.reports.facts import ADDRESSES, Fact
from kaibo.reports.tables import Table, cell, numeric, read
from kaibo.vocabulary import Finding

if TYPE_CHECKING:
    from rich.console import Console, RenderableType
    from rich.text import Text

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
    return Console(file=stream, markup=False, emoji=False, highlight=False, width=width)


def show(finding: Finding[Any], *, to: Console | None = None, language: str = "en", rows: int = MOST_ROWS) -> None:
    """Prints a finding as a table, or a line per value where the table would be wider than the console.

    At most `rows` rows; a last line says how many there are in all.
    """
    out = console() if to is None else to
    table = read(finding)
    cut = Table(table.columns, table.rows[:rows])
    drawn = _table(cut, language)
    if out.measure(drawn, options=out.options.update(width=10**6)).maximum <= out.width:
        out.print(drawn)
    else:
        out.print(_records(cut, language))
    if len(table) > rows:
        out.print(_text(word("page.first_rows", language, count=rows, total=f"{len(table):,}"), "dim"))
    for text in finding.notes:
        out.print(_text(escaped(note(text, language), 2000), "dim"))


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
    out.print(_text(escaped(name), "bold"))
    if facts:
        out.print(_fact_table(facts, out.width))
    if sentences:
        out.print(_text(f"\n{word('page.sentences', language)}", "bold"))
        for sentence in sentences:
            out.print(_text(f"• {sentence}" if _unicode(out) else f"* {sentence}"))
    for row in digits.rows[:1] if digits is not None else ():
        out.print(_text(f"\n{word('digits.title', language)}", "bold"))
        out.print(_digit_bars(row, out, language))


def _text(text: str, style: str = "") -> Text:
    from rich.text import Text

    return Text(text, style=style)


def _unicode(out: Console) -> bool:
    return out.encoding.lower().startswith("utf")


def _table(table: Table, language: str) -> RenderableType:
    from rich.table import Table as Grid

    grid = Grid(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    for place, name in enumerate(table.columns):
        grid.add_column(
            _text(heading(name, language)), justify="right" if numeric(table, place) else "left", no_wrap=True
        )
    for row in table.rows:
        cells = zip(table.columns, row, strict=True)
        grid.add_row(*(_text(_cell(name, value, language)) for name, value in cells))
    return grid


def _cell(name: str, value: Any, language: str) -> str:
    if name in ADDRESSES and isinstance(value, str):
        return short(model_name(value), 40)
    return short(cell(name, value, language), 400 if name == "evidence" else 60)


def _records(table: Table, language: str) -> Text:
    """Each row as lines of `name: value`, an empty line between two rows; fits any width."""
    blocks = [
        "\n".join(
            f"{heading(name, language)}: {_cell(name, value, language)}"
            for name, value in zip(table.columns, row, strict=True)
            if value is not None
        )
        for row in table.rows
    ]
    return _text("\n\n".join(blocks))


def _fact_table(facts: Sequence[Fact], width: int) -> RenderableType:
    from rich.table import Table as Grid

    if width < 50:
        return _text("\n".join(f"{name}: {value}" for name, value in facts))
    grid = Grid.grid(padding=(0, 2, 0, 0))
    grid.add_column(style="dim", no_wrap=True)
    grid.add_column(overflow="fold")
    for name, value in facts:
        grid.add_row(_text(name), _text(value))
    return grid


def _digit_bars(row: Any, out: Console, language: str) -> RenderableType:
    """A line per digit: its share, a bar where there is room, the law, and `**` where the share is above it."""
    from rich.table import Table as Grid

    room = max(0, min(BAR, out.width - 30))
    block = "█" if _unicode(out) else "#"
    grid = Grid(box=None, pad_edge=False, padding=(0, 1, 0, 0), header_style="dim")
    grid.add_column(_text("" if room == 0 else word("columns.digit", language)), no_wrap=True)
    grid.add_column(_text("%"), justify="right", no_wrap=True)
    if room:
        grid.add_column(no_wrap=True, min_width=room)
    grid.add_column(_text(word("columns.law", language)), justify="right", no_wrap=True)
    grid.add_column(no_wrap=True)
    finite = [share for share in row.shares if math.isfinite(share)]
    for digit, share in enumerate(row.shares, start=1):
        law = math.log10(1 + 1 / digit)
        known = math.isfinite(share)
        bar = [_text(block * round(room * share / max(*finite, law)) if known else "", "blue")] if room else []
        said = _text(f"{100 * share:.2f}" if known else "-")
        above = _text("**" if known and share > law else "", "bold")
        grid.add_row(_text(str(digit)), said, *bar, _text(f"{100 * law:.2f}", "red"), above)
    return grid
