"""Scores of models on benchmarks: the table that rooms share, wide, with its holes kept as holes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from kaibo.errors import UsageError
from kaibo.words import Note

Floats = NDArray[np.float64]
Unit = Literal["fraction", "percent", "points"]
"""What a score is counted in: 0 to 1, 0 to 100, or anything else (perplexity, MT-bench, Elo)."""

RANGES: Mapping[Unit, tuple[float, float]] = {
    "fraction": (0.0, 1.0),
    "percent": (0.0, 100.0),
    "points": (-np.inf, np.inf),
}
"""The valid range of a score in each unit."""


def fractions(count: int) -> tuple[Unit, ...]:
    """The units of so many columns of fractions."""
    return tuple(["fraction"] * count)


FACTS = ("parameters", "tokens", "flops", "step")
"""The numbers about a model that are no scores: N, training tokens D, training FLOPs (6·N·D when absent), step."""


@dataclass(frozen=True, eq=False)
class ScoreTable:
    """Models × benchmarks, with missing cells.

    `values` has shape (models, benchmarks), NaN where a cell is missing; `originals` keeps what a missing cell said
    (`-`, `N/A`, empty), keyed by (model name, benchmark). `units` has one entry a benchmark. `families` has one
    entry a model. `facts` holds float64 arrays of one entry a model, in absolute units, NaN where unknown, under the
    names of `FACTS`. `labels` holds further text columns. `stderr` has the shape of `values` (NaN where unknown) or
    is None. `notes` are plain sentences about what was read and how.
    """

    name: str
    models: tuple[str, ...]
    benchmarks: tuple[str, ...]
    values: Floats
    units: tuple[Unit, ...]
    families: tuple[str, ...]
    facts: Mapping[str, Floats] = field(default_factory=dict)
    labels: Mapping[str, tuple[str | None, ...]] = field(default_factory=dict)
    originals: Mapping[tuple[str, str], str] = field(default_factory=dict)
    stderr: Floats | None = None
    notes: tuple[Note, ...] = ()

    @property
    def holes(self) -> int:
        """How many cells are missing."""
        return int(np.isnan(self.values).sum())

    @property
    def flops(self) -> Floats:
        """Training FLOPs of each model: as given, else 6·N·D (Kaplan et al. 2020), else NaN; shape (models,)."""
        given = self.fact("flops")
        return np.where(np.isnan(given), 6.0 * self.fact("parameters") * self.fact("tokens"), given)

    def fact(self, name: str) -> Floats:
        """One of the numbers about the models, all NaN where the table has no such column; shape (models,)."""
        found = self.facts.get(name)
        return np.full(len(self.models), np.nan) if found is None else found

    def column(self, name: str) -> Floats:
        """The scores of one benchmark (or one fact), shape (models,). Raises UsageError for an unknown name."""
        if name in self.benchmarks:
            found: Floats = self.values[:, self.benchmarks.index(name)]
            return found
        if name == "flops" or name in self.facts:
            return self.flops if name == "flops" else self.facts[name]
        raise UsageError(f'no column "{name}" in {self.name}', next=f"it has {nearest(name, self.benchmarks)}")

    def place(self, model: str) -> int:
        """Where a model stands. Raises UsageError for one that the table has not."""
        if model not in self.models:
            raise UsageError(f'no model "{model}" in {self.name}', next=f"it has {nearest(model, self.models)}")
        return self.models.index(model)

    def rows(self, keep: Sequence[int] | NDArray[np.intp] | NDArray[np.bool_]) -> ScoreTable:
        """The table of some of its models, by index or mask, in the order given."""
        index = np.asarray(keep)
        index = np.flatnonzero(index) if index.dtype == bool else index.astype(np.intp)
        return replace(
            self,
            models=tuple(self.models[i] for i in index),
            values=self.values[index],
            families=tuple(self.families[i] for i in index),
            facts={name: array[index] for name, array in self.facts.items()},
            labels={name: tuple(texts[i] for i in index) for name, texts in self.labels.items()},
            stderr=None if self.stderr is None else self.stderr[index],
        )

    def only(self, benchmarks: Iterable[str]) -> ScoreTable:
        """The table of some of its benchmarks, in the order given."""
        names = tuple(benchmarks)
        index = [self.benchmarks.index(name) for name in names]
        return replace(
            self,
            benchmarks=names,
            values=self.values[:, index],
            units=tuple(self.units[i] for i in index),
            stderr=None if self.stderr is None else self.stderr[:, index],
        )

    def matching(self, pattern: str) -> tuple[str, ...]:
        """The benchmarks that fit a pattern such as `GLP_*` or a comma-separated list of such patterns.

        A pattern that is a column's exact name means that column, commas and brackets included.
        Raises UsageError for a pattern that fits nothing.
        """
        if pattern in self.benchmarks:
            return (pattern,)
        wanted: list[str] = []
        for part in (part.strip() for part in pattern.split(",")):
            hits = [name for name in self.benchmarks if name == part or fnmatchcase(name, part)]
            if not hits:
                raise UsageError(
                    f'no column of {self.name} fits "{part}"', next=f"it has {nearest(part, self.benchmarks)}"
                )
            wanted += [name for name in hits if name not in wanted]
        return tuple(wanted)


def nearest(name: str, names: Sequence[str], count: int = 5) -> str:
    """The few names most like one that was not found, as a list for a message.

    >>> nearest("gms8k", ("MMLU", "GSM8K", "HumanEval"))
    'GSM8K, MMLU, HumanEval'
    """
    from difflib import SequenceMatcher

    def likeness(other: str) -> float:
        return -SequenceMatcher(None, name.casefold(), other.casefold()).ratio()

    ordered = sorted(names[:2000], key=likeness)
    return ", ".join(ordered[:count]) + (f" … ({len(names)} in all)" if len(names) > count else "")
