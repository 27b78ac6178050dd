"""How do models learn across scales? Trends of tokens, scores along training, and noise, in the runs of a family.

`tokens` judges what the trends of tokens say, `tasks` asks and judges accuracy and the perplexity of options.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import kaibo

from . import tasks, tokens


@dataclass(frozen=True)
class Measured:
    """Trends and scores along every run of a family, the perplexity of its ends on corrupted text (`sizes` of those),
    and published evaluations; None where not given.
    """

    trends: Any | None = None
    learned: Any | None = None
    corrupted: Any | None = None
    published: Any | None = None
    sizes: Mapping[str, int] = field(default_factory=dict)


def measure(inputs: kaibo.Inputs) -> Measured:
    """Scores the texts along the family's checkpoints (what the store knows is not scored again), reads the tables."""
    published = tasks.published_in(inputs.tables)
    family = [one for one in inputs.members if one.get("place") == "family"]
    if not family or not inputs.texts:
        return Measured(published=published)
    runs = sorted({str(Path(one["address"]).parent) for one in family}, key=lambda folder: size_of(folder, family))
    ends = sorted((one for one in family if one.get("last")), key=lambda one: int(one["size"]))
    starts = (0.1, 0.5) if inputs.small else (0.1, 0.3, 0.5, 0.7)
    asked = kaibo.TrendOptions(starts=starts, passages=2)
    return Measured(
        trends=kaibo.trends(runs, inputs.texts, asked=asked, settings=inputs.settings),
        learned=tasks.asked_of(runs, inputs),
        corrupted=corrupted(ends, inputs),
        published=published,
        sizes={str(one.get("run") or one["address"]): int(one["size"]) for one in ends},
    )


def corrupted(ends: list[Mapping[str, Any]], inputs: kaibo.Inputs) -> Any:
    """The perplexity of corrupted texts under the last checkpoint of each run, called by the name of the run."""
    shares = kaibo.CorruptSettings(shares=(0.0, 0.4, 1.0) if inputs.small else (0.0, 0.2, 0.4, 0.6, 0.8, 1.0))
    found = kaibo.corrupt([one["address"] for one in ends], inputs.texts, what=shares, settings=inputs.settings)
    names = {str(one["address"]): str(one.get("run") or one["address"]) for one in ends}
    return replace(found, rows=tuple(replace(row, model=names.get(row.model, row.model)) for row in found.rows))


def size_of(folder: str, family: list[Mapping[str, Any]]) -> int:
    """How many weights the checkpoints of a folder have."""
    return next(int(one["size"]) for one in family if str(Path(one["address"]).parent) == folder)


def analyse(measured: Measured) -> kaibo.Results:
    """Directions at the family's scale: none of them reproduces a claim about OPT, and the verdicts say so.

    Where published evaluations are given, they answer what they can in place of the family.
    """
    if measured.trends is None and measured.published is None:
        return kaibo.Results(sentences=(("nothing", {}),))
    found = measured.trends
    outcomes = [
        *(tokens.of_shares(found.shares.rows) if found is not None else ()),
        *(tokens.of_sets(found) if found is not None else ()),
        *(tokens.of_noise(measured.corrupted, measured.sizes) if measured.corrupted is not None else ()),
        *tasks.outcomes(measured.learned, tokens.SCALE),
        *(one for one in tasks.outcomes(measured.published, "Pythia") if one.value is not None),
    ]
    shown = tasks.findings("learned", measured.learned)
    return kaibo.Results(
        {**of_tokens(found), **shown, **noise(measured), **tasks.findings("published", measured.published)},
        tuple({one.name: one for one in outcomes}.values()),
        sentences(measured),
    )


def of_tokens(found: Any) -> dict[str, Any]:
    """The findings of the trends, in the order in which they are read; those without rows are left out."""
    order = ("shares", "passages", "followed", "descent", "containment", "pairs", "size")
    return {name: getattr(found, name) for name in order if found is not None and getattr(found, name).rows}


def noise(measured: Measured) -> dict[str, Any]:
    """The corruption curve, where it was measured."""
    return {"corrupted": measured.corrupted} if measured.corrupted is not None else {}


def sentences(measured: Measured) -> tuple[tuple[str, dict[str, Any]], ...]:
    """The shares of the largest run, its scores, what size adds to perplexity, and the floor under random tokens."""
    rows = measured.trends.shares.rows if measured.trends is not None else ()
    largest = [row for row in rows if rows and row.model == rows[-1].model and row.shares.get("downward") is not None]
    seen = [
        ("classes", {"model": row.model, "start": row.start, **{k: v or 0.0 for k, v in row.shares.items()}})
        for row in largest[:1]
    ]
    noise = [row for row in measured.corrupted.rows if row.share == 1.0] if measured.corrupted is not None else []
    floors = [
        ("floor", {"model": row.model, "ppl": row.ppl, "floor": row.floor})
        for row in noise[-1:]
        if row.ppl is not None and row.floor is not None
    ]
    return (*seen, *tasks.sentences(measured.learned, measured.published), *floors)


study = kaibo.Study("trajectories", measure, analyse)
