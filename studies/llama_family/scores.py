"""Published scores as a claim reads them: a row against another, a column's ends."""

from __future__ import annotations

import kaibo

Scores = dict[str, dict[str, float]]


def scores_of(name: str) -> Scores:
    """A published table as scores by model and benchmark, without its missing cells."""
    table = kaibo.score_table(name)
    return {
        model: {
            benchmark: float(value)
            for benchmark, value in zip(table.benchmarks, row, strict=True)
            if value == value  # a missing cell is NaN
        }
        for model, row in zip(table.models, table.values, strict=True)
    }


def at_least(one: dict[str, float], other: dict[str, float]) -> tuple[int, int]:
    """On how many of the benchmarks that both have the one is at least as good, and how many those are."""
    shared = one.keys() & other.keys()
    return sum(one[name] >= other[name] for name in shared), len(shared)


def behind(one: dict[str, float], others: list[dict[str, float]]) -> set[str]:
    """The benchmarks on which any other is better."""
    return {name for other in others for name in one.keys() & other.keys() if one[name] < other[name]}


def most(rows: Scores, name: str) -> float:
    """The largest value of a column."""
    return max(row[name] for row in rows.values())


def least(rows: Scores, name: str) -> float:
    """The smallest value of a column."""
    return min(row[name] for row in rows.values())
