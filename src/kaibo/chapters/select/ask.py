"""`kaibo select`: which families to run to know the components of all."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from kaibo.chapters.select.rows import SelectRow
from kaibo.chapters.select.selection import SelectSettings
from kaibo.chapters.select.selection import select as choose
from kaibo.chapters.table.ask import Address, TableOptions, chosen_columns, read
from kaibo.vocabulary import Finding


def select(
    tables: Address | Iterable[Address], budget: Sequence[float], *, columns: str | None = None,
    without: str | None = None, settings: SelectSettings | None = None, options: TableOptions | None = None,
) -> Finding[SelectRow]:  # fmt: skip
    """The V-optimal families of a table for each budget."""
    scores, _ = chosen_columns(read(tables, options).table, columns, without, keep_averages=False)
    return choose(scores, budget, settings)
