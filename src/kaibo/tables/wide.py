"""From a sheet to a score table: which column names the models, which are facts about them, which are scores."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from kaibo.errors import FormatError, UsageError, escaped
from kaibo.tables.files.cells import begins_with_number, read_amount
from kaibo.tables.files.headers import (
    BENCHMARK_HEADERS,
    CHECKPOINT_HEADERS,
    MODEL_HEADERS,
    SIZE_HEADERS,
    VALUE_HEADERS,
    fact_of,
    header_key,
    is_family,
    is_label,
    is_row_number,
    without_brackets,
)
from kaibo.tables.files.sheets import Column, Hints, Sheet
from kaibo.tables.names import canonical, family_of, shown_name
from kaibo.tables.units import unit_of
from kaibo.vocabulary.scores import ScoreTable
from kaibo.words import Note, further, note


def wide(sheet: Sheet, hints: Hints) -> ScoreTable:
    """The score table of a sheet, wide or long (one row a score, with columns model, benchmark and value).

    Raises UsageError where no column names the models, FormatError for models that occur twice and for columns
    that mix percent and fractions.
    """
    naming = _model_column(sheet, hints)
    if sheet.rows == 0:
        raise FormatError("the table has a header and no rows", file=sheet.source)
    long = _long_columns(sheet)
    if long is not None:
        sheet = _pivoted(sheet, naming, *long)
        naming = sheet.columns[0]
    return _assembled(sheet, naming, hints)


def _assembled(sheet: Sheet, naming: Column, hints: Hints) -> ScoreTable:
    sheet, errors = _without_errors(sheet)
    written, notes = _model_names(sheet, naming)
    names, keep, more = _once(written, sheet, hints.dedupe)
    notes = (*sheet.notes, *notes, *more)
    scores: list[Column] = []
    facts: dict[str, NDArray[np.float64]] = {}
    labels: dict[str, tuple[str | None, ...]] = {}
    families: tuple[str, ...] | None = None
    for column in sheet.columns:
        fact = None if column.name in hints.units else fact_of(column.name)
        if column.name == naming.name:
            continue
        if is_family(column.name):
            texts = column.as_texts
            families = tuple(texts[row] or names[place] for place, row in enumerate(keep))
        elif fact is not None and fact.name not in facts:
            facts[fact.name], told = _fact(column, fact.name, fact.scale, sheet.source)
            facts[fact.name] = facts[fact.name][keep]
            notes += (told,) if told else ()
        elif column.numbers is None or _says_no_score(column, hints):
            texts = column.as_texts
            labels[column.name] = tuple(texts[row] for row in keep)
            notes += _text_note(column) if column.numbers is None else _row_number_note(column)
        else:
            scores.append(column)
    if families is None:
        families = tuple(family_of(name) for name in names)
        notes += (note("table_families_guessed"),)
    values = (
        np.column_stack([c.numbers[keep] for c in scores if c.numbers is not None])
        if scores
        else np.empty((len(keep), 0))
    )
    units = tuple(unit_of(column, sheet.source, hints.units) for column in scores)
    place_of = {int(row): name for row, name in zip(keep, names, strict=True)}
    originals = {
        (place_of[row], column.name): text
        for column in scores
        for row, text in column.originals.items()
        if row in place_of
    }
    benchmarks = tuple(column.name for column in scores)
    if "step" in facts and "model" not in labels and len(set(naming.as_texts)) < len(names):
        labels["model"] = tuple(naming.as_texts[row] for row in keep)  # several checkpoints of each
    missing = np.full(sheet.rows, np.nan)
    stderr = np.column_stack([errors.get(name, missing)[keep] for name in benchmarks]) if errors else None
    return ScoreTable(sheet.source, names, benchmarks, values, units, families, facts, labels, originals, stderr, notes)


def _without_errors(sheet: Sheet) -> tuple[Sheet, dict[str, NDArray[np.float64]]]:
    """The sheet without columns of standard errors (`task.acc_stderr` beside `task.acc`), and these by their score."""
    there = {column.name for column in sheet.columns}
    of = {column.name: score for column in sheet.columns
          if column.name.endswith("_stderr") and (score := column.name.removesuffix("_stderr")) in there}  # fmt: skip
    errors = {of[c.name]: c.numbers for c in sheet.columns if c.name in of and c.numbers is not None}
    kept = tuple(c for c in sheet.columns if of.get(c.name) not in errors)
    return replace(sheet, columns=kept), errors


FEWEST_NUMBERED = 5
"""Rows from which a column that counts 1, 2, 3 … is taken for row numbers whatever its name."""


def _says_no_score(column: Column, hints: Hints) -> bool:
    """Whether a column of numbers is bookkeeping; one whose unit the user told is a score."""
    if column.name in hints.units:
        return False
    return is_label(column.name) or is_row_number(column.name) or _is_flag(column) or _counts_rows(column)


def _counts_rows(column: Column) -> bool:
    """Whether the cells are 0, 1, 2 … or 1, 2, 3 … from the first row to the last, or from the last to the first."""
    if column.numbers is None or len(column.numbers) < FEWEST_NUMBERED or column.percent:
        return False
    up = column.numbers if column.numbers[0] < column.numbers[-1] else column.numbers[::-1]
    return bool(up[0] in (0.0, 1.0) and (up == up[0] + np.arange(len(up))).all())


def _row_number_note(column: Column) -> tuple[Note, ...]:
    if not is_row_number(column.name) and not _counts_rows(column):
        return ()
    return (note("table_row_number", name=escaped(column.name, 60)),)


def _text_note(column: Column) -> tuple[Note, ...]:
    """What is said of a column of texts most of which begin with a number: scores that were not read as such."""
    said = [text for text in column.texts or () if text]
    if is_label(column.name) or 2 * sum(map(begins_with_number, said)) <= len(said):
        return ()
    return (note("table_not_numbers", name=escaped(column.name, 60), example=escaped(said[0], 40)),)


def _is_flag(column: Column) -> bool:
    said = set() if column.numbers is None else set(column.numbers[~np.isnan(column.numbers)].tolist())
    return said == {0.0, 1.0} and not column.percent


def _model_column(sheet: Sheet, hints: Hints) -> Column:
    if hints.model is not None:
        found = sheet.column(hints.model)
        if found is None:
            raise UsageError(f'{sheet.source} has no column "{hints.model}"', next=f"it has {_listed(sheet)}")
        return replace(found, texts=found.as_texts, numbers=None)
    keyed = {header_key(column.name): column for column in reversed(sheet.columns)}
    # Open LLM Leaderboard exports carry both "Model" (a link) and "fullname" (the address).
    order = ("fullname", *MODEL_HEADERS) if "model" in keyed and "fullname" in keyed else MODEL_HEADERS
    for header in order:
        if header in keyed and keyed[header].texts is not None:
            return keyed[header]
    for column in sheet.columns:
        if column.texts is not None and len(set(column.texts)) == len(column.texts) and None not in column.texts:
            return column
    texts = next((column for column in sheet.columns if column.texts is not None), None)
    if texts is None:
        raise UsageError(
            f"no column of {sheet.source} names the models",
            next=f"say which with --model-column; it has {_listed(sheet)}",
        )
    return texts


def _listed(sheet: Sheet) -> str:
    return ", ".join(escaped(column.name, 60) for column in sheet.columns[:12]) + (
        " …" if len(sheet.columns) > 12 else ""
    )


def _model_names(sheet: Sheet, naming: Column) -> tuple[list[str], tuple[Note, ...]]:
    """The names, made distinct by size or step where the column alone does not tell the models apart."""
    raw = [shown_name(text or "") for text in naming.texts or ()]
    for place, name in enumerate(raw):
        if not name:
            raise FormatError(f"row {place + 1} has no model name", file=sheet.source)
    notes: tuple[Note, ...] = ()
    for headers, joiner in ((SIZE_HEADERS, " "), (CHECKPOINT_HEADERS, "@")):
        beside = next((c for c in sheet.columns if header_key(without_brackets(c.name)) in headers), None)
        if beside is not None and len(set(raw)) < len(raw):
            texts = beside.as_texts
            together = [f"{name}{joiner}{text}" if text else name for name, text in zip(raw, texts, strict=True)]
            if len(set(together)) > len(set(raw)):
                raw = together
                notes += (note("table_named_by", first=naming.name, second=beside.name),)
    return raw, notes


def _once(names: list[str], sheet: Sheet, dedupe: bool) -> tuple[tuple[str, ...], NDArray[np.intp], tuple[Note, ...]]:
    folded = [canonical(name) if "/" not in name else _whole_key(name) for name in names]
    counts = Counter(folded)
    if len(counts) == len(names):
        return tuple(names), np.arange(len(names)), ()
    twice = [key for key, count in counts.items() if count > 1]
    shown = ", ".join(f'"{escaped(key, 80)}" ({counts[key]} rows)' for key in twice[:5])
    more = further(twice, 5)
    if not dedupe:
        raise FormatError(
            f"{len(twice)} models occur more than once: {shown}{more}", file=sheet.source,
            next="--dedupe keeps the first row of each",
        )  # fmt: skip
    first = {key: place for place, key in reversed(list(enumerate(folded)))}
    keep = np.array(sorted(first.values()), dtype=np.intp)
    return tuple(names[row] for row in keep), keep, (note("table_models_twice", names=shown + more),)


def _whole_key(name: str) -> str:
    return canonical(name.replace("/", "\0")).replace("\0", "/")  # a/m and b/m are two models inside one table


SMALLEST_BARE = 1e4
"""A count of parameters or tokens below this, beside cells such as `7B`, was meant in their unit."""


def _fact(column: Column, name: str, scale: float, source: str) -> tuple[NDArray[np.float64], Note | None]:
    """A fact of each model (float64, NaN where it is not known). `scale` is what a number without its own unit counts.

    Raises FormatError where some cells have a unit (`7B`) and others are too small to stand without one (`13`).
    """
    if column.numbers is None:
        texts = column.texts or ()
        amounts = np.array([read_amount(text, scale) for text in texts])
        bare = [text for text in texts if text and scale == 1.0 and text.isdecimal() and float(text) < SMALLEST_BARE]
        if bare and name in ("parameters", "tokens"):
            raise FormatError(
                f'column "{escaped(column.name, 60)}": "{escaped(bare[0], 20)}" has no unit among cells that have one',
                file=source, next="give each cell its unit, as in 7B",
            )  # fmt: skip
        unread = [text for text, amount in zip(texts, amounts.tolist(), strict=True) if text and np.isnan(amount)]
        told = (
            note("table_no_amounts", name=column.name, count=len(unread), example=escaped(unread[0], 40))
            if unread
            else None
        )
        return amounts, told
    numbers = column.numbers
    largest = np.nanmax(numbers) if not np.isnan(numbers).all() else np.nan
    if scale == 1.0 and name == "parameters" and largest < 1e5:
        return numbers * 1e9, note("table_billions", name=column.name, largest=f"{largest:g}")
    if scale == 1.0 and name == "tokens" and largest < 1e4:
        return numbers * 1e12, note("table_trillions", name=column.name, largest=f"{largest:g}")
    return numbers * scale, None


def _long_columns(sheet: Sheet) -> tuple[Column, Column, Column | None, Column | None] | None:
    keyed = {header_key(column.name): column for column in reversed(sheet.columns)}
    benchmark = next((keyed[header] for header in BENCHMARK_HEADERS if header in keyed), None)
    value = next((keyed[header] for header in VALUE_HEADERS if header in keyed), None)
    if benchmark is None or value is None or benchmark.texts is None or value.numbers is None:
        return None
    step = keyed.get("checkpoint", keyed.get("step"))
    return benchmark, value, keyed.get("metric"), step


def _pivoted(
    sheet: Sheet, naming: Column, benchmark: Column, value: Column, metric: Column | None, step: Column | None
) -> Sheet:
    """A long sheet made wide: one row a (model, checkpoint), one column a benchmark (and metric, where several)."""
    assert value.numbers is not None
    steps = step.as_texts if step is not None else [None] * sheet.rows
    metrics = metric.as_texts if metric is not None else [None] * sheet.rows
    several = len({text for text in metrics if text}) > 1
    titles = [
        f"{task}.{kind}" if several and kind else str(task)
        for task, kind in zip(benchmark.as_texts, metrics, strict=True)
    ]
    rows = list(zip(naming.as_texts, steps, strict=True))
    row_of = {row: place for place, row in enumerate(dict.fromkeys(rows))}
    column_of = {title: place for place, title in enumerate(dict.fromkeys(titles))}
    cells = np.full((len(row_of), len(column_of)), np.nan)
    seen: set[tuple[int, int]] = set()
    for row, title, number in zip(rows, titles, value.numbers.tolist(), strict=True):
        place = (row_of[row], column_of[title])
        if place in seen:
            raise FormatError(f'two rows for model "{row[0]}" on "{title}"', file=sheet.source, next="keep one of them")
        seen.add(place)
        cells[place] = number
    columns: list[Column] = [Column(naming.name, texts=[name for name, _ in row_of])]
    if any(text is not None for text in steps):
        columns.append(Column("step", np.array([float(text or "nan") for _, text in row_of])))
    columns += _facts_beside(
        sheet, rows, row_of, {naming.name, benchmark.name, value.name, *(c.name for c in (metric, step) if c)}
    )
    columns += [Column(title, cells[:, place], originals=_empty(cells[:, place])) for title, place in column_of.items()]
    return Sheet(sheet.source, tuple(columns), len(row_of), (*sheet.notes, note("table_made_wide")))


def _facts_beside(
    sheet: Sheet, rows: Sequence[object], row_of: dict[tuple[str | None, str | None], int], used: set[str]
) -> list[Column]:
    first = {row: place for place, row in reversed(list(enumerate(rows)))}
    places = [first[row] for row in row_of]
    out = []
    for column in sheet.columns:
        if column.name not in used and (fact_of(column.name) or is_family(column.name)):
            texts = column.as_texts
            kept = [texts[place] for place in places]
            out.append(
                Column(column.name, column.numbers[places])
                if column.numbers is not None
                else Column(column.name, texts=kept)
            )
    return out


def _empty(values: NDArray[np.float64]) -> dict[int, str]:
    return {int(row): "" for row in np.flatnonzero(np.isnan(values))}
