"""Do parameters follow Benford's law, and does it matter? Digits of models, of checkpoints, of fine-tunes."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import kaibo

from .members import along, beside_score, groups, largest_end, own

REPORTED = "first-digits"
LAW = tuple(math.log10(1 + 1 / digit) for digit in range(1, 10))
"""Benford's shares of the first digits."""

GAUSSIAN = (0.0001, 0.0235)
"""The MAE that Gaussian rows can be brought to by rescalings with powers of two that leave every logit as it is."""

FOLLOWS = 0.015
"""The MAE of first digits up to which Nigrini (Benford's Law, 2012, table 7.1) speaks of conformity."""

PRINTED = (0.37258162, 0.18045881, 0.09666687, 0.06868353, 0.06250945, 0.05909622, 0.05716432, 0.0524498, 0.05038939)
"""Shares of Qwen2-7B-Instruct's first digits, as the source's notebook prints them."""

ABOVE = {"llama": {1, 7, 8, 9}, "qwen": {1, 2, 8, 9}, "gemma": {3, 4, 5, 6, 7, 8, 9}, "mistral": {2, 3, 4, 5},
         "swallow": {1, 2}}  # fmt: skip
"""The digits that the source found above the law."""

NAMES = {
    "Meta-Llama-3.1-8B-Instruct": "llama",
    "Qwen2-7B-Instruct": "qwen",
    "gemma-2-9b-it": "gemma",
    "Mistral-7B-Instruct-v0.2": "mistral",
    "Swallow-7b-instruct-v0.1": "swallow",
}
"""The source's models, and what their claims are called."""

GROUPS = ("optimiser", "data", "kind", "added")
"""What models are compared by: a base and its fine-tunes as they are, and what the fine-tuning added."""

CHARACTERS = 4_000
"""Of the text, in the small form, what is read under each model that was made."""


@dataclass(frozen=True)
class Measured:
    """The published MAE beside scores; the models given; and of a family whatever it has members for.

    `reach` is how far the largest member can be moved with every answer the same, `trial` what it costs to leave the
    law, `groups` the members that differ in one thing, `course` the checkpoints, `beside` MAE against bits per byte.
    """

    reported: Any
    published: dict[str, float]
    models: Any | None = None
    reach: Any | None = None
    trial: Any | None = None
    groups: Any | None = None
    course: Any | None = None
    beside: Any | None = None


def measure(inputs: kaibo.Inputs) -> Measured:
    """Correlates the published numbers, counts the digits of what was given, and makes the models off the law."""
    table = kaibo.score_table(REPORTED)
    at = table.benchmarks.index("MAE")
    published = {model: float(row[at]) for model, row in zip(table.models, table.values, strict=True)}
    reported = kaibo.correlate(f"{REPORTED}:MAE", f"{REPORTED}:score")
    models = kaibo.digits(list(inputs.models), settings=inputs.settings) if inputs.models else None
    return Measured(reported, published, models, **of_family(inputs))


def of_family(inputs: kaibo.Inputs) -> dict[str, Any]:
    """What the members of a family answer: rescaling and its reach, snapping, groups, checkpoints, score."""
    members = own(inputs.members)
    largest = largest_end(members)
    out: dict[str, Any] = {}
    if largest is not None:
        out["reach"] = kaibo.rescale(largest["address"], settings=inputs.settings)
        out["course"] = kaibo.questions.digit_groups(along(members), course=True, settings=inputs.settings)
    if compared := groups(members):
        out["groups"] = kaibo.questions.digit_groups(compared, settings=inputs.settings)
    if largest is not None and inputs.texts:
        read = CHARACTERS if inputs.small else None
        out["trial"] = kaibo.questions.law_trial(
            largest["address"], inputs.texts[0], characters=read, settings=inputs.settings
        )
    runs = [one for one in members if one.get("last") and one.get("kind") == "pretrain"]
    if len(runs) > 3 and inputs.texts:
        ends = [kaibo.questions.Grouped(one["address"], "run", str(one["run"])) for one in runs]
        scored = kaibo.score([one["address"] for one in runs], inputs.texts[0], settings=inputs.settings)
        out["beside"] = beside_score(kaibo.questions.digit_groups(ends, settings=inputs.settings), scored)
    return out


def analyse(measured: Measured) -> kaibo.Results:
    """The claims that can be answered, and the questions that the source left open, as far as members answer them."""
    row = measured.reported.rows[0]
    outcomes = [
        kaibo.Outcome("r", row.pearson, row.low, row.high, n=row.n),
        kaibo.Outcome("p", row.p, n=row.n),
        kaibo.Outcome("inside-gaussian-range", inside(measured.published), n=len(measured.published)),
        *of_printed(measured.published),
        *of_models(measured.models),
    ]
    names = ("reported", "reach", "trial", "course", "groups", "beside", "models")
    findings = {name: getattr(measured, name) for name in names if getattr(measured, name) is not None}
    return kaibo.Results(findings, tuple(outcomes), tuple(sentences(measured)))


def inside(published: Mapping[str, float]) -> bool:
    """Whether every published MAE lies where rescalings alone can bring Gaussian weights."""
    return all(GAUSSIAN[0] <= mae <= GAUSSIAN[1] for mae in published.values())


def of_printed(published: Mapping[str, float]) -> list[kaibo.Outcome]:
    """What the printed numbers say of each other: the printed MAE of conformity, Qwen's printed shares of its MAE."""
    mae = sum(abs(share - law) for share, law in zip(PRINTED, LAW, strict=True)) / 9
    return [
        *(kaibo.Outcome(f"{NAMES[model]}.follows", one <= FOLLOWS, n=1) for model, one in published.items()),
        kaibo.Outcome("qwen.mae", mae, n=9),
        kaibo.Outcome("qwen.above", above(PRINTED) == ABOVE["qwen"], n=9),
    ]


def above(shares: Sequence[float]) -> set[int]:
    """The digits with a larger share than the law gives them."""
    return {digit for digit, (share, law) in enumerate(zip(shares, LAW, strict=True), 1) if share > law}


def of_models(finding: Any | None) -> list[kaibo.Outcome]:
    """The source's own models, where they were given: MAE, digits above the law, shares."""
    out: list[kaibo.Outcome] = []
    for row in finding.rows if finding is not None else ():
        short = NAMES.get(row.model.rstrip("/").rpartition("/")[2])
        if short is None:
            continue
        out.append(kaibo.Outcome(f"{short}.mae", row.mae, row.mae_low, row.mae_high, n=row.n))
        out.append(kaibo.Outcome(f"{short}.follows", row.mae <= FOLLOWS, n=row.n))
        out.append(kaibo.Outcome(f"{short}.above", above(row.shares) == ABOVE[short], n=row.n))
        out += [kaibo.Outcome(f"{short}.share{digit}", share, n=row.n) for digit, share in enumerate(row.shares, 1)]
    return out


def sentences(measured: Measured) -> list[tuple[str, dict[str, Any]]]:
    """What five models can show, how far equal models lie apart, what leaving the law costs, what members show."""
    row = measured.reported.rows[0]
    seen = {"n": row.n, "r": row.pearson, "low": row.low, "high": row.high, "needed": row.needed}
    out: list[tuple[str, dict[str, Any]]] = [("correlation", seen)]
    out.append(("range", {"low": GAUSSIAN[0], "high": GAUSSIAN[1]}))
    for one in measured.models.rows if measured.models is not None else ():
        beside = {"mae": one.mae, "gaussian": one.gaussian_mae, "mixture": one.mixture_mae}
        out.append(("given", {"model": one.model.rstrip("/").rpartition("/")[2], **beside}))
    if measured.reach is not None:
        law, away = measured.reach.rows
        out.append(("reach", {"low": law.mae, "high": away.mae, "own": law.mae_before, "channels": law.channels}))
    if measured.trial is not None:
        out += of_trial(measured.trial.rows)
    if measured.groups is not None:
        out += of_groups(measured.groups.rows)
    if measured.course is not None:
        out.append(of_course(measured.course.rows))
    if measured.beside is not None:
        one = measured.beside.rows[0]
        needed = one.needed if one.needed is not None else 0
        out.append(("beside", {"n": one.n, "r": one.pearson, "low": one.low, "high": one.high, "needed": needed}))
    return out


def of_trial(rows: Any) -> list[tuple[str, dict[str, Any]]]:
    """How models off the law do beside their controls, and how far off the law one with the same answers is.

    It decides nothing: one model, three draws of each control, and errors of the weights that are only nearly alike.
    """
    off = [row for row in rows if row.beside is not None and not row.same]
    errors = {row.variant: row.error for row in rows}
    apart = [abs(row.error / errors[row.control] - 1) for row in off if errors.get(row.control)]
    counts = {
        "n": len(off),
        "worse": sum(row.beside_low is not None and row.beside_low > 0 for row in off),
        "better": sum(row.beside_high is not None and row.beside_high < 0 for row in off),
        "least": min(row.beside for row in off),
        "most": max(row.beside for row in off),
        "apart": max(apart, default=0.0),
    }
    farthest = max(off, key=lambda row: float(row.mae))
    return [("trial", counts), ("trial_same", {"mae": farthest.mae, "rescaled": farthest.mae_rescaled})]


def of_groups(rows: Any) -> list[tuple[str, dict[str, Any]]]:
    """The distances by what models differ in, each with its interval."""
    out: list[tuple[str, dict[str, Any]]] = []
    for key in GROUPS:
        found = [row for row in rows if row.group == key]
        if key in ("optimiser", "data") and found:
            out.append((f"by_{key}", {"shown": ", ".join(shown(row) for row in found)}))
        elif found:
            ends = {"low": min(row.mae for row in found), "high": max(row.mae for row in found), "n": len(found)}
            ends["moved"] = max(abs(row.mae - found[0].mae) for row in found)
            out.append((f"by_{key}", ends))
    return out


def shown(row: Any) -> str:
    """A distance with its interval where it has one, beside the Gaussian's."""
    interval = f" [{row.mae_low:.4f}, {row.mae_high:.4f}]" if row.mae_low is not None else ""
    return f"{row.label} {row.mae:.4f}{interval}"


def of_course(rows: Any) -> tuple[str, dict[str, Any]]:
    """The largest run's distance at its first and last checkpoint, beside the Gaussian's."""
    run = [row for row in rows if row.label == rows[-1].label]
    first, last = run[0], run[-1]
    ends = {"first": first.mae, "first_null": first.gaussian_mae, "last": last.mae, "last_null": last.gaussian_mae}
    return "course", {"run": last.label, "step": first.step, "last_step": last.step, **ends}


study = kaibo.Study("benford", measure, analyse)
