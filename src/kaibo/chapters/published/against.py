"""Scores against size or training FLOPs, by series: who leads at each, and how much more the others needed."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase

import numpy as np

from kaibo.chapters.published.rows import AGAINST, AgainstRow
from kaibo.errors import UsageError
from kaibo.version import __version__
from kaibo.vocabulary import Finding
from kaibo.vocabulary.scores import ScoreTable
from kaibo.words import Note, note

AXES = ("parameters", "tokens", "flops")


def against(
    table: ScoreTable, x: str = "parameters", own: str = "*", benchmarks: Sequence[str] | None = None
) -> Finding[AgainstRow]:
    """Every score of a table against `x`; `own` is a pattern of the models that are held against the rest.

    Models without a known `x` are left out and named in a note; a missing score is left out. Raises UsageError for an
    axis that there is not, or an `own` that fits no model.
    """
    if x not in AXES:
        raise UsageError(f'scores are not held against "{x}"', next=f"one of {', '.join(AXES)}")
    if not any(fnmatchcase(name, own) for name in table.models):
        raise UsageError(f'no model of {table.name} fits "{own}"', next=f"it has {', '.join(table.models[:5])} …")
    places = table.flops if x == "flops" else table.fact(x)
    wanted = table.benchmarks if benchmarks is None else tuple(benchmarks)
    rows = [row for name in wanted for row in _of_benchmark(table, name, x, [float(one) for one in places], own)]
    scored = [not np.isnan(row).all() for row in table.only(wanted).values]
    unknown = [
        name for name, place, some in zip(table.models, places, scored, strict=True) if some and math.isnan(place)
    ]
    notes = [note("left_out_axis", axis=note(f"columns.{x}"), names=", ".join(unknown))] if unknown else []
    return Finding(AGAINST, tuple(rows), (*notes, *SAID[x]), {"table": table.name, "kaibo": __version__})


SAID: Mapping[str, tuple[Note, ...]] = {
    "parameters": (note("round_sizes"),),
    "tokens": (),
    "flops": (note("flops_of_tables"),),
}
"""What is to be known of each axis."""


def _of_benchmark(table: ScoreTable, name: str, x: str, places: Sequence[float], own: str) -> list[AgainstRow]:
    """The rows of one benchmark, in the order of x."""
    known = [
        (place, float(value), model, family, fnmatchcase(model, own))
        for place, value, model, family in zip(places, table.column(name), table.models, table.families, strict=True)
        if not math.isnan(place) and not math.isnan(value)
    ]
    rows = []
    for place, value, model, family, ours in sorted(known, key=lambda one: (one[0], -one[1])):
        leads = all(score <= value for there, score, *_ in known if there <= place)
        reached = [there for there, score, _, _, side in known if side != ours and score >= value]
        times = min(reached) / place if reached else None
        why = {} if reached else {"needed_times": "the other side does not reach this score"}
        rows.append(AgainstRow(name, model, family, ours, x, place, value, leads, times, why))
    return rows
