"""Tables of scores beside each other: how much each component holds in each, and whether that is more than chance."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from kaibo.analyses.components import ComponentsRow
from kaibo.version import __version__
from kaibo.vocabulary import Finding


@dataclass(frozen=True)
class TableShare:
    """One component of one table, as shares of the variance.

    The interval is that of the bootstrap over families, `parallel` what the component must hold to lead above
    chance; `above_chance` says that this component and all before it do.
    """

    table: str
    models: int
    benchmarks: int
    component: int
    explained: float
    explained_low: float | None
    explained_high: float | None
    parallel: float
    above_chance: bool


def tables_beside(found: Mapping[str, Finding[ComponentsRow]]) -> Finding[TableShare]:
    """The components of several tables (name → finding of `pca`) as one finding, tables in the order given."""
    rows = tuple(one for name, finding in found.items() for one in _shares(name, finding.rows[0]))
    return Finding("pca-tables", rows, (), {"kaibo": __version__})


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
