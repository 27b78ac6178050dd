"""The columns of its findings; field names are the names that `--json` prints."""

from __future__ import annotations

from dataclasses import dataclass

from kaibo.vocabulary.kinds import Drawing, Kind


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


PCA_TABLES = Kind(
    "pca-tables",
    TableShare,
    __package__,
    figures={"tables": Drawing("shares", "pca.tables_title", "pca.tables_caption")},
)
