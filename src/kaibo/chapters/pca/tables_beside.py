"""Tables of scores beside each other: how much each component holds in each, and whether that is more than chance."""

from __future__ import annotations

import math
from collections.abc import Mapping

from kaibo.chapters.pca.components import ComponentsRow
from kaibo.chapters.pca.rows import PCA_TABLES, TableShare
from kaibo.version import __version__
from kaibo.vocabulary import Finding


def tables_beside(found: Mapping[str, Finding[ComponentsRow]]) -> Finding[TableShare]:
    """The components of several tables (name → finding of `pca`) as one finding, tables in the order given."""
    rows = tuple(one for name, finding in found.items() for one in _shares(name, finding.rows[0]))
    return Finding(PCA_TABLES, rows, (), {"kaibo": __version__})


def _shares(name: str, row: ComponentsRow) -> list[TableShare]:
    bounds = [
        (None if math.isnan(low) else low, None if math.isnan(high) else high) for low, high in row.explained_interval
    ]
    return [
        TableShare(
            name, len(row.models), len(row.benchmarks), place + 1, share, *bounds[place], row.parallel[place],
            place < (row.kept_components or 0),
        )
        for place, share in enumerate(row.explained)
    ]  # fmt: skip
