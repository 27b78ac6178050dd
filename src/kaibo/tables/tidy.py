"""One row a score: model, checkpoint, benchmark, metric, value, standard error, shots, source."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from kaibo.vocabulary.scores import ScoreTable

_SHOTS = re.compile(r"(?<!\d)(\d{1,6})[-_ ]?shots?\)?", re.IGNORECASE)


@dataclass(frozen=True)
class TidyRow:
    """One score. `value` is None where the cell was missing, and `original` keeps what it said then."""

    model: str
    checkpoint: int | None
    benchmark: str
    metric: str | None
    value: float | None
    stderr: float | None
    n_shot: int | None
    unit: str
    source: str
    original: str | None = None


def tidy(table: ScoreTable) -> Iterator[TidyRow]:
    """The scores of a table one by one, model by model, missing cells included."""
    step = table.fact("step")
    named = table.labels.get("model")
    for row, model in enumerate(table.models):
        checkpoint = None if np.isnan(step[row]) else int(step[row])
        name = (named[row] if named else None) or model
        for place, benchmark in enumerate(table.benchmarks):
            value = float(table.values[row, place])
            error = np.nan if table.stderr is None else float(table.stderr[row, place])
            task, metric, shots = _parts(benchmark)
            yield TidyRow(
                name, checkpoint, task, metric, None if np.isnan(value) else value,
                None if np.isnan(error) else error, shots, table.units[place], table.name,
                table.originals.get((model, benchmark)) if np.isnan(value) else None,
            )  # fmt: skip


def _parts(benchmark: str) -> tuple[str, str | None, int | None]:
    """Task, metric and number of shots of a column title.

    >>> _parts("arc_easy.acc_norm"), _parts("MMLU (5-shot)")
    (('arc_easy', 'acc_norm', None), ('MMLU', None, 5))
    """
    shots = _SHOTS.search(benchmark)
    bare = benchmark if shots is None else benchmark[: shots.start()].rstrip(" \t_(") + benchmark[shots.end() :]
    bare = bare.strip()
    task, dot, metric = bare.rpartition(".")
    is_metric = bool(dot) and re.fullmatch(r"[a-z][a-z0-9_,\-@]*", metric) is not None
    return (task if is_metric else bare, metric if is_metric else None, int(shots[1]) if shots else None)
