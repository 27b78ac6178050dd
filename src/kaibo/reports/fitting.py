"""How a table is laid out in the width of a terminal: whole, turned on its side, with fewer columns, or as lines."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from kaibo.figures.names import model_name, short
from kaibo.reports.cells import cell
from kaibo.reports.facts import ADDRESSES
from kaibo.reports.tables import Table, numeric
from kaibo.words import heading, word

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.text import Text

TURNED = 6
"""So many rows can stand side by side, a line a column."""

FOLDED = ("evidence", "reason", "advice")
"""Columns of sentences: they may take several lines."""

NARROWEST = 30
"""Characters that a sentence needs to be read when it is folded."""

KEPT = ("nonfinite", "said")
"""Columns that are never left out: damage, and what the row comes to."""

GAP = 2
"""Blanks after a column."""

MISSING = "-"

FEWEST = 5
"""A table with fewer columns than this says less than lines do."""


def fitted(table: Table, width: int, language: str) -> Iterator[RenderableType]:
    """A table as it fits so many characters, however few.

    Whole where there is room, else with its sentences folded; few rows stand side by side, many lose their last
    columns, which a last line names; what fits in no way is a line per value.
    """
    lines = _lines(table, language)
    for folded in (False, True):
        if _width(table, lines, folded=folded) <= width:
            yield _grid(table, lines, folded=folded)
            return
    turned = [line for line in zip(*lines, strict=True) if any(cell != MISSING for cell in line[1:])]
    if len(table) <= TURNED and sum(_widest(column) + GAP for column in zip(*turned, strict=True)) <= width:
        yield _turned(turned)
        return
    places = _fewer(table, lines, width) if len(table) > 1 else ()
    if not places:
        yield plain(_records(lines))
        return
    kept = Table(
        tuple(table.columns[at] for at in places),
        tuple(tuple(row[at] for at in places) for row in table.rows),
        table.terms,
    )
    yield _grid(kept, _lines(kept, language), folded=True)
    left = ", ".join(name for at, name in enumerate(lines[0]) if at not in places)
    yield plain(word("page.columns_left", language, names=left), "dim")


def plain(text: str, style: str = "") -> Text:
    """Text in which nothing is markup."""
    from rich.text import Text

    return Text(text, style=style)


def _lines(table: Table, language: str) -> list[list[str]]:
    """The headings, then each row, as text."""
    body = [
        [_cell(name, value, language, table.terms.get(name)) for name, value in zip(table.columns, row, strict=True)]
        for row in table.rows
    ]
    return [[heading(name, language) for name in table.columns], *body]


def _cell(name: str, value: Any, language: str, terms: str | None) -> str:
    if name in ADDRESSES and isinstance(value, str):
        return short(model_name(value), 40)
    return short(cell(name, value, language, terms), 400 if name in FOLDED else 60)


def _widest(texts: Iterable[str]) -> int:
    from rich.cells import cell_len

    return max(map(cell_len, texts))


def _width(table: Table, lines: Sequence[Sequence[str]], *, folded: bool) -> int:
    widths = [_widest(column) + GAP for column in zip(*lines, strict=True)]
    return sum(
        min(width, NARROWEST + GAP) if folded and name in FOLDED else width
        for name, width in zip(table.columns, widths, strict=True)
    )


def _fewer(table: Table, lines: Sequence[Sequence[str]], width: int) -> tuple[int, ...]:
    """The places of the columns that stay where as many of the last as do not fit go; none if too few would stay."""
    widths = [
        _width(Table((name,), ()), [[line[at]] for line in lines], folded=True) for at, name in enumerate(table.columns)
    ]
    places = list(range(len(widths)))
    removable = [at for at in places if table.columns[at] not in KEPT]
    while len(places) > FEWEST and removable:
        places.remove(removable.pop())
        if sum(widths[at] for at in places) <= width:
            return tuple(places)
    return ()


def _grid(table: Table, lines: Sequence[Sequence[str]], *, folded: bool) -> RenderableType:
    from rich.table import Table as Grid

    grid = Grid(box=None, pad_edge=False, padding=(0, GAP, 0, 0), header_style="bold")
    for place, name in enumerate(table.columns):
        sentence = folded and name in FOLDED
        justify: Any = "right" if numeric(table, place) else "left"
        smallest = min(NARROWEST, _widest(line[place] for line in lines)) if sentence else None
        head = plain(lines[0][place])
        grid.add_column(head, justify=justify, no_wrap=not sentence, min_width=smallest, overflow="fold")
    for line in lines[1:]:
        grid.add_row(*map(plain, line))
    return grid


def _turned(lines: Sequence[Sequence[str]]) -> RenderableType:
    """A line a column and a column a row."""
    from rich.table import Table as Grid

    grid = Grid(box=None, pad_edge=False, padding=(0, GAP, 0, 0), show_header=False)
    grid.add_column(no_wrap=True, style="bold")
    for _ in lines[0][1:]:
        grid.add_column(justify="left" if len(lines[0]) == 2 else "right", no_wrap=True)
    for line in lines:
        grid.add_row(*map(plain, line))
    return grid


def _records(lines: Sequence[Sequence[str]]) -> str:
    """Each row as lines of `name: value`, an empty line between two rows; fits any width."""
    return "\n\n".join(
        "\n".join(f"{name}: {value}" for name, value in zip(lines[0], line, strict=True) if value != MISSING)
        for line in lines[1:]
    )
