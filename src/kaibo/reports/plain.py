"""Tables on a terminal that are no finding: the answer to a query, and facts of several models side by side."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from kaibo.errors import escaped
from kaibo.reports.facts import Fact
from kaibo.vocabulary import shown

if TYPE_CHECKING:
    from rich.console import Console


def show_table(columns: Sequence[str], rows: Sequence[Sequence[Any]], *, to: Console) -> None:
    """Prints rows under their columns; text from strangers is escaped, never markup."""
    from rich.table import Table
    from rich.text import Text

    grid = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    for place, name in enumerate(columns):
        number = any(isinstance(row[place], int | float) for row in rows)
        grid.add_column(Text(escaped(name)), justify="right" if number else "left", overflow="fold")
    for row in rows:
        grid.add_row(*(Text(shown(value)) for value in row))
    to.print(grid)


def show_side_by_side(models: Sequence[tuple[str, Sequence[Fact]]], *, to: Console) -> None:
    """Prints the facts of several models, a column each and a line a fact, `-` where a model has none."""
    known = [dict(facts) for _, facts in models]
    names = dict.fromkeys(name for facts in known for name in facts)
    rows = [(name, *(facts.get(name, "-") for facts in known)) for name in names]
    show_table(["", *(name for name, _ in models)], rows, to=to)
