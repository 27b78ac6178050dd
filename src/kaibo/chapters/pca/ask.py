"""`kaibo pca`: how many abilities does a table really measure?"""

from __future__ import annotations

from collections.abc import Iterable

from kaibo.chapters.pca.components import ComponentSettings, ComponentsRow, components
from kaibo.chapters.table.ask import Address, TableOptions, chosen_columns, read
from kaibo.vocabulary import Finding


def pca(
    tables: Address | Iterable[Address],
    *,
    columns: str | None = None,
    without: str | None = None,
    keep_averages: bool = False,
    settings: ComponentSettings | None = None,
    options: TableOptions | None = None,
) -> Finding[ComponentsRow]:
    """Principal components of a table of scores with their uncertainty; columns that are averages are left out."""
    scores, means = chosen_columns(read(tables, options).table, columns, without, keep_averages)
    return components(scores, settings, means)
