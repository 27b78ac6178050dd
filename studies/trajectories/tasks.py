"""Accuracy and the perplexity of options along training: of a family's checkpoints, and of published evaluations."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import kaibo

QUESTIONS = str(Path(__file__).parent / "questions.toml")
"""Which sentence comes next: asked of the first text where no task is named."""

PUBLISHED = ("lambada_openai.acc", "piqa.acc", "arc_easy.acc", "sciq.acc", "winogrande.acc", "arc_challenge.acc")
"""The scores of a published table that are drawn, where it has them."""

CLEAR = 2.0
"""Standard errors from which a lead is called one."""

SMALL_GAIN = 0.01
"""R² below which what size adds is nothing to speak of."""


def asked_of(runs: Sequence[str], inputs: kaibo.Inputs) -> Any:
    """The scores of a family along its runs on the tasks that were named, else on questions made of the first text.

    A text that is too short for questions gives none.
    """
    tasks = list(inputs.tasks) or [QUESTIONS]
    questions = kaibo.EvalOptions(data=None if inputs.tasks else inputs.texts[0])
    options = kaibo.TrajectoryOptions(questions=questions, most=8 if inputs.small else None)
    try:
        return kaibo.task_trajectories(runs, tasks, inputs.texts, options=options, settings=inputs.settings)
    except kaibo.KaiboError as error:
        if error.kind != "format":
            raise
        return None


def published_in(tables: Sequence[str]) -> Any:
    """Published evaluations of checkpoints: the usual scores of those that the tables have, else all."""
    if not tables:
        return None
    there = kaibo.score_table(tables).benchmarks
    columns = ",".join(name for name in PUBLISHED if name in there)
    return kaibo.trajectories(tables, columns=columns or None)


def findings(key: str, found: Any) -> dict[str, Any]:
    """The scores, their shapes along scale, and where small models lead."""
    if found is None or not found.rows:
        return {}
    shapes = tuple(one for row in found.rows for one in row.shapes)
    leads = tuple(one for row in found.rows for one in row.crossings)
    several = {
        key: found,
        f"{key}-shapes": kaibo.Finding("trajectory-shapes", shapes, SHAPE_NOTES),
        f"{key}-crossings": kaibo.Finding("trajectory-crossings", leads, LEAD_NOTES),
    }
    return {name: one for name, one in several.items() if one.rows}


SHAPE_NOTES = (
    "linearity and breakthroughness as BIG-bench defines them; along FLOPs each run is read at nine even places",
    "null: the 95 % quantile of the absolute value where scores differ by their standard errors only",
)
LEAD_NOTES = ("a lead of less than two standard errors is no lead; of several sizes each is held against the next",)


def outcomes(found: Any, scale: str) -> list[kaibo.Outcome]:
    """What a table of scores along training says to the claims about accuracy, options and compute."""
    if found is None or not found.rows:
        return []
    return [*decided(found, scale), *wrong_options(found, scale), *small_first(found, scale)]


def decided(found: Any, scale: str) -> list[kaibo.Outcome]:
    """Whether size adds nothing to perplexity: less than a hundredth of R², or no more than noise does."""
    rows = [row.size_adds for row in accuracies(found) if row.size_adds is not None]
    if not rows:
        return []
    nothing = [one.gain < SMALL_GAIN or (one.gain_null is not None and one.gain <= one.gain_null) for one in rows]
    return [kaibo.Outcome("perplexity-decides", all(nothing), scale=scale, n=len(rows))]


def wrong_options(found: Any, scale: str) -> list[kaibo.Outcome]:
    """Whether wrong options are likelier in the largest model than in the smallest, at the end of training."""
    rows = [row for row in found.rows if row.benchmark.endswith(".ppl_wrong")]
    if not rows:
        return []
    ends = [ends_of(row) for row in rows]
    if any(small.low is None or large.high is None for small, large in ends):
        return []
    if all(large.high < small.low for small, large in ends):
        return [kaibo.Outcome("wrong-options-fall", True, scale=scale)]
    if any(large.low > small.high for small, large in ends):
        return [kaibo.Outcome("wrong-options-fall", False, scale=scale)]
    why = "the perplexities of wrong options have intervals that overlap: too few questions"
    return [kaibo.Outcome("wrong-options-fall", None, scale=scale, why=why)]


def small_first(found: Any, scale: str) -> list[kaibo.Outcome]:
    """Whether a smaller model is clearly ahead of a larger one at the same FLOPs, by accuracy, else by perplexity."""
    for rows in (accuracies(found), [row for row in found.rows if row.benchmark.endswith("ppl")]):
        leads = [one for row in rows for one in row.crossings if one.lead_errors is not None]
        if any(one.lead_errors >= CLEAR for one in leads):
            return [kaibo.Outcome("small-at-small-flops", True, scale=scale, n=len(leads))]
    why = "no smaller model leads by two standard errors: too few questions, or too little of the same compute"
    return [kaibo.Outcome("small-at-small-flops", None, scale=scale, why=why)]


def accuracies(found: Any) -> list[Any]:
    """The rows of shares of right answers."""
    return [row for row in found.rows if row.benchmark.endswith(".acc")]


def ends_of(row: Any) -> tuple[Any, Any]:
    """The last checkpoints of the smallest and of the largest model."""
    last: Mapping[float, Any] = {p.parameters: p for p in sorted(row.points, key=lambda p: p.step)}
    return last[min(last)], last[max(last)]


def sentences(found: Any, published: Any) -> list[tuple[str, dict[str, Any]]]:
    """The last scores of the largest model, what size adds, and the same of published evaluations."""
    said = []
    named = {row.benchmark.rpartition(".")[2]: row for row in found.rows} if found is not None else {}
    if {"acc", "ppl_right", "ppl_wrong"} <= set(named):
        accuracy, right, wrong = (ends_of(named[name])[1] for name in ("acc", "ppl_right", "ppl_wrong"))
        values = {"acc": accuracy.value, "low": accuracy.low, "high": accuracy.high, "model": accuracy.model}
        if accuracy.low is not None:
            said.append(("options", {**values, "right": right.value, "wrong": wrong.value}))
    adds = named["acc"].size_adds if "acc" in named else None
    if adds is not None and adds.gain_null is not None:
        said.append(("given", {"gain": adds.gain, "null": adds.gain_null, "p": adds.gain_p}))
    gains = [row.size_adds for row in accuracies(published) if row.size_adds] if published is not None else []
    if gains:
        r2, most = min(one.r2_without for one in gains), max(one.gain for one in gains)
        said.append(("published", {"r2": r2, "gain": most, "scores": len(gains)}))
    return said
