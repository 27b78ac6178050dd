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

SHIPPED = str(Path(__file__).parent / "pythia-zero-shot.csv")
"""Pythia's published evaluations, which are judged where no table is given; source and licence stand beside them."""

POINT = 0.01
"""Accuracy by which a tenfold size may change a score at one perplexity and still be said not to matter."""

HALF = 0.5
"""The share of neighbouring sizes, and of scores, that must say so before it is said of models."""


def asked_of(runs: Sequence[str], inputs: kaibo.Inputs) -> Any:
    """The scores of a family along its runs on the tasks that were named, else on questions made of the first text.

    A text that is too short for questions gives none.
    """
    tasks = list(inputs.tasks) or [QUESTIONS]
    questions = kaibo.options.EvalOptions(data=None if inputs.tasks else inputs.texts[0])
    options = kaibo.options.TrajectoryOptions(questions=questions, most=8 if inputs.small else None)
    try:
        return kaibo.questions.task_trajectories(runs, tasks, inputs.texts, options=options, settings=inputs.settings)
    except kaibo.KaiboError as error:
        if error.kind != "format":
            raise
        return None


def published_in(tables: Sequence[str]) -> Any:
    """Evaluations of checkpoints by others, Pythia's where none are given: the usual scores, else all."""
    tables = list(tables) or [SHIPPED]
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
        f"{key}-shapes": kaibo.Finding(kind_of(shapes, "trajectory-shapes", SHAPES), shapes, SHAPE_NOTES),
        f"{key}-crossings": kaibo.Finding(kind_of(leads, "trajectory-crossings", LEADS), leads, LEAD_NOTES),
    }
    return {name: one for name, one in several.items() if one.rows}


def kind_of(rows: Sequence[Any], name: str, columns: tuple[str, ...]) -> kaibo.Kind[Any]:
    """What rows that lie inside those of the scores are as a finding of their own."""
    return kaibo.Kind(name, type(rows[0]) if rows else object, columns=columns)


SHAPES = (
    *("benchmark", "over", "run", "linearity", "linearity_low", "linearity_high", "linearity_null"),
    *("breakthroughness", "breakthroughness_low", "breakthroughness_high", "breakthroughness_null"),
)
LEADS = (
    *("benchmark", "small", "large", "clear", "lead", "lead_high", "lead_errors", "p", "q", "flops", "still_leads"),
    "larger_first",
)
SHAPE_NOTES = (
    kaibo.note("trajectory_shapes"),
    kaibo.note("trajectory_shapes_null"),
)
LEAD_NOTES = (
    kaibo.note("trajectory_leads"),
    kaibo.note("trajectory_clear"),
)


def outcomes(found: Any, scale: str) -> list[kaibo.Outcome]:
    """What a table of scores along training says to the claims about accuracy, options and compute."""
    if found is None or not found.rows:
        return []
    return [*decided(found, scale), *wrong_options(found, scale), *small_first(found, scale)]


def decided(found: Any, scale: str) -> list[kaibo.Outcome]:
    """Whether a tenfold size changes every accuracy by less than a point at one perplexity: an interval within the
    margin. That no effect was found would say nothing.
    """
    rows = [row.size_adds for row in accuracies(found) if row.size_adds is not None and row.size_adds.effects]
    name = "perplexity-decides"
    if not rows:
        why = kaibo.note("trajectory_three_sizes")
        return [kaibo.Outcome(name, None, scale=scale, why=why)] if accuracies(found) else []
    inside = [row.effect_low > -POINT and row.effect_high < POINT for row in rows]
    if all(inside):
        return [kaibo.Outcome(name, True, scale=scale, n=len(rows))]
    if any(one.low > POINT or one.high < -POINT for row in rows for one in row.effects):
        return [kaibo.Outcome(name, False, scale=scale, n=len(rows))]
    low, high = (100 * pick(ends) for pick, ends in (
        (min, [row.effect_low for row in rows]), (max, [row.effect_high for row in rows])
    ))  # fmt: skip
    why = kaibo.note("trajectory_tenfold", low=f"{low:+.1f}", high=f"{high:+.1f}")
    return [kaibo.Outcome(name, None, scale=scale, n=len(rows), why=why)]


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
    return [kaibo.Outcome("wrong-options-fall", None, scale=scale, why=kaibo.note("trajectory_open_options"))]


def small_first(found: Any, scale: str) -> list[kaibo.Outcome]:
    """Whether on at least half of the scores the smaller of most neighbouring sizes is clearly ahead first at the same
    FLOPs, and on none the larger: by accuracy, by perplexity where there is none.
    """
    name = "small-at-small-flops"
    rows = accuracies(found) or [row for row in found.rows if row.benchmark.endswith("ppl")]
    said = [leads_first(row) for row in rows if any(one.p is not None for one in row.crossings)]
    if not said:
        return [kaibo.Outcome(name, None, scale=scale, why=kaibo.note("trajectory_two_sizes"))]
    small, large = said.count("small"), said.count("large")
    if small >= HALF * len(said) and not large:
        return [kaibo.Outcome(name, True, scale=scale, n=len(said))]
    if large >= HALF * len(said) and not small:
        return [kaibo.Outcome(name, False, scale=scale, n=len(said))]
    why = kaibo.note("trajectory_leads_split", scores=len(said), small=small, large=large)
    return [kaibo.Outcome(name, None, scale=scale, n=len(said), why=why)]


def leads_first(row: Any) -> str:
    """Which of two neighbouring sizes leads first on a score, in at least half of the pairs; "" where neither does."""
    leads = [one for one in row.crossings if one.p is not None]
    small = sum(one.clear and not one.larger_first for one in leads)
    large = sum(one.larger_first or one.lead_high < POINT for one in leads)
    return "small" if small >= HALF * len(leads) else "large" if large >= HALF * len(leads) else ""


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
    if adds is not None and adds.effects:
        said.append(("given", {"low": 100 * adds.effect_low, "high": 100 * adds.effect_high}))
    judged = accuracies(published) if published is not None else []
    effects = [row.size_adds for row in judged if row.size_adds is not None and row.size_adds.effects]
    if effects:
        low, high = min(one.effect_low for one in effects), max(one.effect_high for one in effects)
        said.append(("published", {"low": 100 * low, "high": 100 * high, "scores": len(effects)}))
    leads = [one for row in judged for one in row.crossings if one.p is not None]
    if leads:
        clear = sum(one.clear and not one.larger_first for one in leads)
        said.append(("leads", {"clear": clear, "pairs": len(leads)}))
    return said
