"""Result files of lm-evaluation-harness put together: a row a model or checkpoint, the newest file of each task."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from kaibo.errors import FormatError, escaped
from kaibo.tables.names import family_of
from kaibo.tables.results.harness import Results, Score, known_model, unit_of_metric
from kaibo.tables.results.runs import one_name_a_run
from kaibo.vocabulary.scores import ScoreTable

Row = tuple[str, int | None]
"""A model and a training step."""


@dataclass(frozen=True)
class _Merged:
    """The scores of one row, the files they are from, and those that a newer one of the same task replaced."""

    scores: tuple[Score, ...]
    files: tuple[str, ...]
    replaced: tuple[str, ...]


def table_of(results: Sequence[Results], name: str) -> ScoreTable:
    """The score table of result files: a row a checkpoint (`model@step`), a column a `task.metric`.

    Parameters come from a small table of known models, tokens from its tokens per step, FLOPs = 6·N·tokens.
    Of several files with one model, step and task the newest by date counts; FormatError where no date tells.
    """
    rows = _rows(results)
    merged = {row: _merge(row, files, name) for row, files in rows.items()}
    benchmarks = tuple(sorted({_title(score) for one in merged.values() for score in one.scores}))
    place_of = {benchmark: place for place, benchmark in enumerate(benchmarks)}
    values = np.full((len(rows), len(benchmarks)), np.nan)
    spread = np.full_like(values, np.nan)
    for row, one in enumerate(merged.values()):
        for score in one.scores:
            values[row, place_of[_title(score)]] = score.value
            spread[row, place_of[_title(score)]] = score.stderr
    labels = tuple(f"{model}@{step}" if step is not None else model for model, step in rows)
    return ScoreTable(
        name,
        labels,
        benchmarks,
        values,
        tuple(unit_of_metric(benchmark.rsplit(".", 1)[-1]) for benchmark in benchmarks),
        tuple(family_of(model) for model, _ in rows),
        _facts(tuple(rows)),
        {"model": tuple(model for model, _ in rows), "file": tuple(" ".join(one.files) for one in merged.values())},
        {(labels[i], benchmarks[j]): "" for i, j in np.argwhere(np.isnan(values))},
        spread,
        _notes(results, merged),
    )


def _title(score: Score) -> str:
    return f"{score.task}.{score.metric}"


def _rows(results: Sequence[Results]) -> dict[Row, list[Results]]:
    """The files of each model and step, in the order of the rows."""
    names = one_name_a_run([one.named for one in results])
    keyed = sorted(
        zip(names, results, strict=True), key=lambda pair: (pair[0], -1 if pair[1].step is None else pair[1].step)
    )
    rows: dict[Row, list[Results]] = {}
    for model, one in keyed:
        rows.setdefault((model, one.step), []).append(one)
    return rows


def _merge(row: Row, files: Sequence[Results], name: str) -> _Merged:
    """The scores of one row, task by task from the newest file that has it."""
    kept: dict[str, tuple[Results, tuple[Score, ...]]] = {}
    replaced: list[str] = []
    for one in sorted(files, key=lambda one: (one.date, str(one.path))):
        for task in dict.fromkeys(score.task for score in one.scores):
            scores = tuple(score for score in one.scores if score.task == task)
            before = kept.get(task)
            if before is not None:
                _told_apart(row, before, (one, scores), name)
                replaced.append(task)
            kept[task] = (one, scores)
    return _Merged(
        tuple(score for _, scores in kept.values() for score in scores),
        tuple(dict.fromkeys(one.path.name for one, _ in kept.values())) or (files[0].path.name,),
        tuple(dict.fromkeys(replaced)),
    )


def _told_apart(
    row: Row, before: tuple[Results, tuple[Score, ...]], after: tuple[Results, tuple[Score, ...]], name: str
) -> None:
    first, second = before[0], after[0]
    dated = bool(first.date and second.date)
    if dated and (first.date != second.date or _same(before[1], after[1])):
        return
    model = f"{row[0]}@{row[1]}" if row[1] is not None else row[0]
    raise FormatError(
        f'two result files for "{escaped(model, 80)}" hold {escaped(after[1][0].task, 60)} and no date tells which is '
        f"newer: {escaped(first.path, 200)} and {escaped(second.path, 200)}",
        file=name,
        next="move the older one away",
    )


def _same(first: Sequence[Score], second: Sequence[Score]) -> bool:
    return [repr(replace(one, shots=None)) for one in first] == [repr(replace(one, shots=None)) for one in second]


def _facts(rows: Sequence[Row]) -> dict[str, np.ndarray]:
    known = [known_model(model) for model, _ in rows]
    step = np.array([np.nan if step is None else step for _, step in rows], dtype=np.float64)
    size = np.array([entry.get("parameters", np.nan) for entry in known], dtype=np.float64)
    tokens = step * np.array([entry.get("tokens_per_step", np.nan) for entry in known], dtype=np.float64)
    return {"parameters": size, "tokens": tokens, "flops": 6.0 * size * tokens, "step": step}


def _notes(results: Sequence[Results], merged: dict[Row, _Merged]) -> tuple[str, ...]:
    shots = sorted({score.shots for one in merged.values() for score in one.scores if score.shots is not None})
    notes = [f"{len(results)} result files of lm-evaluation-harness" + (f", {shots} shots" if shots else "")]
    several = {row: one for row, one in merged.items() if one.replaced}
    if several:
        model, one = next((row[0], one) for row, one in several.items())
        example = f"{escaped(model, 60)}: {', '.join(escaped(task, 40) for task in one.replaced[:3])}"
        notes.append(
            f"{len(several)} models have several dated files of one task; the newest of each task is used ({example})"
        )
    partial = Counter(task for one in results for task in one.partial)
    if partial:
        tasks = ", ".join(escaped(task, 40) for task in list(partial)[:5])
        notes.append(f"evaluated on a part of their examples (--limit) in some files: {tasks}")
    groups = list(dict.fromkeys(task for one in results for task in one.groups))
    if groups:
        shown = ", ".join(escaped(task, 40) for task in groups[:5]) + (" …" if len(groups) > 5 else "")
        notes.append(f"aggregates of other tasks in the table: {shown}")
    return tuple(notes)
