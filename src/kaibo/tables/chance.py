"""Scores above guessing: (value − chance) / (max − chance), with the chance levels of the usual benchmarks."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from dataclasses import replace
from functools import cache
from importlib import resources

import numpy as np

from kaibo.errors import UsageError
from kaibo.vocabulary.scores import RANGES, ScoreTable, fractions
from kaibo.words import note


@cache
def known_chances() -> tuple[tuple[re.Pattern[str], float, str], ...]:
    """The shipped chance levels: a pattern of benchmark names, the level as a fraction, and why."""
    text = resources.files("kaibo.tables.published").joinpath("chance.toml").read_text(encoding="utf-8")
    return tuple(
        (re.compile(entry["pattern"], re.IGNORECASE), float(entry["chance"]), str(entry["why"]))
        for entry in tomllib.loads(text)["benchmark"]
    )


def chance_of(benchmark: str, told: Mapping[str, float] | None = None) -> float | None:
    """The score of guessing on a benchmark, as a fraction: as told, else as shipped, None where it is not known.

    >>> chance_of("leaderboard_gpqa"), chance_of("MMLU (5-shot)"), chance_of("GSM8K"), chance_of("MT-bench")
    (0.25, 0.25, 0.0, None)
    """
    if told and benchmark in told:
        return told[benchmark]
    return next((level for pattern, level, _ in known_chances() if pattern.search(benchmark)), None)


def above_chance(table: ScoreTable, told: Mapping[str, float] | None = None) -> ScoreTable:
    """The table with every score as the share of what guessing leaves: 0 at chance, 1 at the maximum.

    Raises UsageError for benchmarks whose chance level is neither shipped nor told.
    """
    levels = {name: chance_of(name, told) for name in table.benchmarks}
    unknown = [name for name, level in levels.items() if level is None]
    if unknown:
        raise UsageError(
            f"the chance level of {', '.join(unknown[:5])} is not known", next=f"say it: --chance '{unknown[0]}=0'"
        )
    values = table.values.copy()
    for place, name in enumerate(table.benchmarks):
        highest = RANGES[table.units[place]][1]
        if not np.isfinite(highest):
            raise UsageError(f'"{name}" has no maximum to normalise by', next=f"say its unit: --unit '{name}=percent'")
        level = float(levels[name] or 0.0)
        values[:, place] = (values[:, place] / highest - level) / (1.0 - level)
    listed = ", ".join(f"{name} {level:g}" for name, level in levels.items() if level)
    above = note("table_above_chance", levels=listed or note("table_chance_zero"))
    return replace(table, values=values, units=fractions(len(table.benchmarks)), notes=(*table.notes, above))
