"""How do models learn across scales? Trends of tokens, scores along training, and noise, in the runs of a family.

`tokens` judges what the trends of tokens say, `tasks` asks and judges accuracy and the perplexity of options, `finals`
takes models by address and holds published numbers of OPT against them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import kaibo

from . import finals, tasks, tokens

NURSERY = "nursery"
"""The scale of a small family; the source's claims are about OPT."""


@dataclass(frozen=True)
class Measured:
    """Trends and scores along every run, the perplexity of finals and of the ends of runs on corrupted text (`sizes` of
    those), options of finals, and published evaluations; None where not given. `given` are the models by address.
    """

    trends: Any | None = None
    learned: Any | None = None
    corrupted: Any | None = None
    answered: Any | None = None
    published: Any | None = None
    sizes: Mapping[str, int] = field(default_factory=dict)
    given: finals.Given = field(default_factory=finals.Given)
    scale: str = NURSERY


def measure(inputs: kaibo.Inputs) -> Measured:
    """Scores the texts along the runs (what the store knows is not scored again) and under the finals, reads tables.

    Models by address come before the family of a manifest; without a text nothing is measured on models.
    """
    measured = Measured(published=tasks.published_in(inputs.tables))
    if not inputs.texts:
        return measured
    if inputs.models:
        return of_models(finals.given(inputs.models), inputs, measured)
    family = [one for one in inputs.members if one.get("place") == "family"]
    return of_family(family, inputs, measured) if family else measured


def of_family(family: list[Mapping[str, Any]], inputs: kaibo.Inputs, measured: Measured) -> Measured:
    """The runs of a small family, and the perplexity of their ends on corrupted text."""
    runs = sorted({str(Path(one["address"]).parent) for one in family}, key=lambda folder: size_of(folder, family))
    ends = sorted((one for one in family if one.get("last")), key=lambda one: int(one["size"]))
    return replace(
        measured,
        trends=trends_of(runs, inputs),
        learned=tasks.asked_of(runs, inputs),
        corrupted=corrupted(ends, inputs),
        sizes={str(one.get("run") or one["address"]): int(one["size"]) for one in ends},
    )


def of_models(known: finals.Given, inputs: kaibo.Inputs, measured: Measured) -> Measured:
    """Runs as a family's; finals on corrupted text and on questions."""
    scored, asked, noise, answered = None, None, None, None
    if known.runs:
        scored, asked = trends_of(known.runs, inputs), tasks.asked_of(known.runs, inputs)
    if known.finals:
        noise = finals.corrupted(known.finals, inputs)
        answered = finals.options(known.finals, inputs, tasks.QUESTIONS)
    sizes = known.sizes or {}
    return replace(
        measured, trends=scored, learned=asked, corrupted=noise, answered=answered, sizes=sizes, given=known,
        scale="models given" if known.runs else known.scale,
    )  # fmt: skip


def trends_of(runs: Sequence[str], inputs: kaibo.Inputs) -> Any:
    """The trend of every token along the runs."""
    starts = (0.1, 0.5) if inputs.small else (0.1, 0.3, 0.5, 0.7)
    asked = kaibo.options.TrendOptions(starts=starts, passages=2)
    return kaibo.trends(list(runs), inputs.texts, asked=asked, settings=inputs.settings)


def corrupted(ends: list[Mapping[str, Any]], inputs: kaibo.Inputs) -> Any:
    """The perplexity of corrupted texts under the last checkpoint of each run, called by the name of the run."""
    shares = kaibo.options.CorruptSettings(shares=(0.0, 0.4, 1.0) if inputs.small else (0.0, 0.2, 0.4, 0.6, 0.8, 1.0))
    found = kaibo.corrupt([one["address"] for one in ends], inputs.texts, what=shares, settings=inputs.settings)
    return finals.renamed(found, {str(one["address"]): str(one.get("run") or one["address"]) for one in ends})


def size_of(folder: str, family: list[Mapping[str, Any]]) -> int:
    """How many weights the checkpoints of a folder have."""
    return next(int(one["size"]) for one in family if str(Path(one["address"]).parent) == folder)


def analyse(measured: Measured) -> kaibo.Results:
    """Directions at the scale of what was given, which reproduce nothing of OPT; published evaluations answer what is
    not answered otherwise, and every number about OPT says what was measured or what would measure it.
    """
    found, scale = measured.trends, measured.scale
    sizes = dict(measured.sizes)
    several = [
        *tokens.unmeasured(),
        *tasks.outcomes(measured.published, "Pythia"),
        *(tokens.of_trends(found, scale) if found is not None else ()),
        *(tokens.of_noise(measured.corrupted, sizes, scale) if measured.corrupted is not None else ()),
        *(finals.wrong_options(measured.answered, measured.given) if measured.answered is not None else ()),
        *tasks.outcomes(measured.learned, scale),
        *finals.of_opt(measured.given, measured.corrupted, measured.answered, found),
    ]
    outcomes: dict[str, kaibo.Outcome] = {}
    for one in several:
        if one.value is not None or outcomes.get(one.name) is None or outcomes[one.name].value is None:
            outcomes[one.name] = one
    shown = tasks.findings("learned", measured.learned)
    answered = {"answered": measured.answered} if measured.answered is not None else {}
    return kaibo.Results(
        {
            **of_tokens(found), **shown, **noise(measured), **answered,
            **tasks.findings("published", measured.published),
        },
        tuple(outcomes.values()),
        sentences(measured),
    )  # fmt: skip


def of_tokens(found: Any) -> dict[str, Any]:
    """The findings of the trends, in the order in which they are read; those without rows are left out."""
    order = ("shares", "windows", "passages", "followed", "descent", "containment", "pairs", "size")
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
    nothing = () if measured.trends is not None or measured.corrupted is not None else (("nothing", {}),)
    return (*nothing, *seen, *tasks.sentences(measured.learned, measured.published), *floors)


study = kaibo.Study("trajectories", measure, analyse)
