"""pass@k as published: a curve over k for each model, beside what it would be if all problems were equally hard."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping

from kaibo.chapters.published.paired import TestSize
from kaibo.chapters.published.rows import PASS_CURVES, PassRow
from kaibo.errors import UsageError
from kaibo.uncertainty.intervals import wilson
from kaibo.version import __version__
from kaibo.vocabulary import Finding
from kaibo.vocabulary.scores import ScoreTable
from kaibo.words import note

COLUMN = re.compile(r"(?P<benchmark>.+)@(?P<k>[0-9]{1,9})")
SIZE = re.compile(r"(?<!\s)\s++[0-9.]++[BM]$")


def pass_curves(table: ScoreTable, sizes: Mapping[str, TestSize]) -> Finding[PassRow]:
    """The curves of every column `benchmark@k` of a table; models with pass@1 only are there too.

    Raises UsageError where the table has no such column.
    """
    columns = [(name, found) for name in table.benchmarks if (found := COLUMN.fullmatch(name))]
    if not columns:
        raise UsageError(f"{table.name} has no column such as HE@1", next="columns are named BENCHMARK@K")
    rows = [
        row
        for benchmark in dict.fromkeys(found["benchmark"] for _, found in columns)
        for row in _of_benchmark(table, benchmark, sizes.get(benchmark))
    ]
    known = {row.benchmark: row.problems for row in rows if row.problems}
    notes = [note("problems_of", listed=", ".join((f"{name} {count:,}" for name, count in known.items())))]
    return Finding(PASS_CURVES, tuple(rows), tuple(notes if known else ()), {"kaibo": __version__})


def _of_benchmark(table: ScoreTable, benchmark: str, size: TestSize | None) -> list[PassRow]:
    names = [name for name in table.benchmarks if name.startswith(f"{benchmark}@") and COLUMN.fullmatch(name)]
    whole = 1.0 if table.units[table.benchmarks.index(names[0])] == "fraction" else 100.0
    parameters = table.fact("parameters")
    problems = size.questions if size is not None else None
    rows = []
    for place, model in enumerate(table.models):
        values = {int(name.rpartition("@")[2]): float(table.column(name)[place]) / whole for name in names}
        first = values.get(1, math.nan)
        for k, value in sorted(values.items()):
            if math.isnan(value):
                continue
            low, high = wilson(value, problems) if problems else (None, None)
            alike = None if math.isnan(first) else 1 - (1 - first) ** k
            size_of = None if math.isnan(parameters[place]) else float(parameters[place])
            series = SIZE.sub("", model)
            rows.append(PassRow(model, series, size_of, benchmark, k, value, low, high, problems, alike))
    return rows
