"""Tables written for other programs: a cell that a spreadsheet would run as a formula is written as text."""

from __future__ import annotations

import csv
import dataclasses
import io
import math

from kaibo.tables.tidy import tidy
from kaibo.vocabulary.scores import ScoreTable


def safe_cell(value: object) -> str:
    """A cell for CSV: text that begins like a formula gets a `'` before it, numbers stay numbers.

    >>> safe_cell("=cmd|' /C calc'!A0"), safe_cell(-3.5), safe_cell("-3.5"), safe_cell(None)
    ("'=cmd|' /C calc'!A0", '-3.5', '-3.5', '')
    """
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return ""
    if isinstance(value, int | float):
        return f"{value:.17g}" if isinstance(value, float) and float(f"{value:.15g}") != value else f"{value:.15g}"
    text = str(value)
    if text[:1] in "=+-@\t\r" and not _number(text):
        return f"'{text}"
    return text


def _number(text: str) -> bool:
    try:
        return math.isfinite(float(text))
    except ValueError:
        return False


def wide_csv(table: ScoreTable) -> str:
    """The wide view as CSV: model, family, the known facts, one column a benchmark; missing cells empty."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    facts = [name for name in ("parameters", "tokens", "flops", "step") if name in table.facts]
    writer.writerow(["model", "family", *facts, *map(safe_cell, table.benchmarks)])
    for row, model in enumerate(table.models):
        known = [safe_cell(float(table.facts[name][row])) for name in facts]
        scores = [safe_cell(float(value)) for value in table.values[row]]
        writer.writerow([safe_cell(model), safe_cell(table.families[row]), *known, *scores])
    return out.getvalue()


def tidy_csv(table: ScoreTable) -> str:
    """The tidy long table as CSV, one row a score, missing cells with what they said."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    header: list[str] = []
    for row in tidy(table):
        if not header:
            header = [field.name for field in dataclasses.fields(row)]
            writer.writerow(header)
        writer.writerow([safe_cell(getattr(row, name)) for name in header])
    return out.getvalue()
