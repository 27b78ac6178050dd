"""Shares as a table printed them, and the amounts that they come to, as wide as the printed digits leave them."""

from __future__ import annotations

import math

from kaibo.chapters.published.rows import SHARES, ShareRow
from kaibo.version import __version__
from kaibo.vocabulary import Finding
from kaibo.vocabulary.scores import ScoreTable
from kaibo.words import note


def shares(table: ScoreTable, column: str, total: float, *, step: float, marked: str = "") -> Finding[ShareRow]:
    """The shares of a table's `column`, the largest first; `total` is what they are shares of, in its own unit.

    `step` is the last printed digit, in the unit of the column (0.01 for per cent with two decimals). Raises
    UsageError for a column that the table has not.
    """
    values = table.column(column)
    unit = table.units[table.benchmarks.index(column)]
    whole = 1.0 if unit == "fraction" else 100.0
    known = [(name, float(one)) for name, one in zip(table.models, values, strict=True) if not math.isnan(one)]
    rows = []
    for place, (name, value) in enumerate(sorted(known, key=lambda one: -one[1]), start=1):
        low, share, high = (max(value + side, 0.0) / whole for side in (-step / 2, 0.0, step / 2))
        rows.append(ShareRow(name, place, share, low, high, share * total, low * total, high * total, name == marked))
    summed = math.fsum(row.share for row in rows)
    notes = (note("shares_sum", sum=f"{100 * summed:.2f}"), ROUNDING)
    return Finding(SHARES, tuple(rows), notes, {"table": table.name, "total": total, "kaibo": __version__})


ROUNDING = note("shares_rounding")
