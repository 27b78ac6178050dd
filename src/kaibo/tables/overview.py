"""What there is to say about a score table before anything is computed from it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from kaibo.tables.averages import Average, averages, near_duplicates
from kaibo.vocabulary.scores import ScoreTable
from kaibo.words import Note, note


@dataclass(frozen=True)
class Overview:
    """Missing cells by row and column, constant and empty columns, averages and near-duplicates of a table."""

    missing: int
    missing_by_model: tuple[tuple[str, int], ...]
    missing_by_benchmark: tuple[tuple[str, int], ...]
    constant: tuple[str, ...]
    empty: tuple[str, ...]
    averages: tuple[Average, ...]
    near_duplicates: tuple[tuple[str, str, float], ...]
    notes: tuple[Note, ...]


def overview(table: ScoreTable) -> Overview:
    """Looks a table over. Columns with no value are `empty`, with one value `constant`."""
    holes = np.isnan(table.values)
    by_model = [(name, int(count)) for name, count in zip(table.models, holes.sum(axis=1), strict=True) if count]
    by_column = [(name, int(count)) for name, count in zip(table.benchmarks, holes.sum(axis=0), strict=True) if count]
    empty = tuple(
        name for name, all_ in zip(table.benchmarks, np.asarray(holes.all(axis=0)).tolist(), strict=True) if all_
    )
    constant = tuple(
        name
        for name, column in zip(table.benchmarks, table.values.T, strict=True)
        if name not in empty and np.ptp(column[~np.isnan(column)]) == 0
    )
    means = averages(table)
    notes = tuple(
        note("table_mean" if one.equal else "table_weighted", name=one.benchmark, members=", ".join(one.members))
        for one in means
    )
    return Overview(
        int(holes.sum()),
        tuple(sorted(by_model, key=lambda pair: -pair[1])),
        tuple(sorted(by_column, key=lambda pair: -pair[1])),
        constant,
        empty,
        means,
        near_duplicates(table),
        notes,
    )
