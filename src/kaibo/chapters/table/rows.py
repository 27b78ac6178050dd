"""The columns of its findings; field names are the names that `--json` prints."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from kaibo.vocabulary.kinds import Kind


@dataclass(frozen=True)
class AverageRow:
    """A column that is a mean of others, with their weights."""

    benchmark: str
    members: tuple[str, ...]
    weights: tuple[float, ...]
    residual: float


@dataclass(frozen=True)
class TableRow:
    """What was found in a table; `averages` are the columns left out of component analysis unless asked for."""

    name: str
    models: tuple[str, ...]
    benchmarks: tuple[str, ...]
    missing: int
    missing_by_model: Mapping[str, int]
    missing_by_benchmark: Mapping[str, int]
    units: Mapping[str, str]
    averages: tuple[str, ...]
    average_of: tuple[AverageRow, ...]
    near_duplicates: tuple[tuple[str, str, float], ...]
    constant: tuple[str, ...]
    empty: tuple[str, ...]
    families: int
    known: Mapping[str, int]
    renamed: tuple[tuple[str, str], ...]
    unmatched: tuple[str, ...]


TABLE = Kind("table", TableRow, __package__, opens=True)
