"""Answers in, scores out: each with its standard error, its interval, the level of guessing, and its spread."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from kaibo.chapters.eval.answers import (
    PERPLEXITIES,
    SHARES,
    by_guessing,
    interval,
    right_answer,
    score,
    standard_error,
    values_of,
)
from kaibo.chapters.eval.overlap import AGREEMENT
from kaibo.chapters.eval.rows import EVAL, EvalRow
from kaibo.uncertainty.intervals import wilson
from kaibo.version import __version__
from kaibo.vocabulary import Finding
from kaibo.vocabulary.evaluations import Sitting
from kaibo.words import note

NOTES = (
    note("eval_norm"),
    note("eval_error"),
    note("eval_chance"),
    note("eval_cut"),
)


def evaluation(sittings: Sequence[Sitting]) -> Finding[EvalRow]:
    """A row for each model, task and measure; the forms of one task are together in its row."""
    together: dict[tuple[str, str], list[Sitting]] = {}
    for one in sittings:
        together.setdefault((one.model, one.task), []).append(one)
    rows = [_row(forms, metric) for forms in together.values() for metric in forms[0].metrics]
    told = {one.model: one.model_id for one in sittings}
    return Finding(EVAL, tuple(rows), NOTES, {"models": told, "kaibo": __version__})


def reported(
    model: str, results: Mapping[str, Mapping[str, Any]], counts: Mapping[str, Any], shots: Mapping[str, Any]
) -> list[EvalRow]:
    """The rows of what lm-evaluation-harness reports: its values and standard errors, Wilson's interval for shares."""
    rows = []
    for task, said in results.items():
        for name, value in said.items():
            metric, _, kind = name.partition(",")
            if metric.endswith("_stderr") or not kind or not isinstance(value, int | float):
                continue
            error = said.get(f"{metric}_stderr,{kind}")
            error = float(error) if isinstance(error, int | float) else None
            n = int((counts.get(task) or {}).get("effective", 0))
            share = metric in (*SHARES, "exact_match", "em") and n > 0
            low, high = wilson(float(value), n) if share else (None, None)
            none = (None, None, (), (), None, None, None)
            own = metric if kind == "none" else f"{metric},{kind}"
            fixed = (model, None, task, own, float(value), error, low, high, n, n, 0, int(shots.get(task) or 0))
            rows.append(EvalRow(*fixed, *none))
    return rows


def _row(forms: Sequence[Sitting], metric: str) -> EvalRow:
    first = forms[0]
    values = [values_of(one, metric) for one in forms]
    several = tuple(score(one, metric) for one in values)
    own = values[0]
    error = standard_error(own)
    share = several[0]
    low, high = interval(own, share, error, metric)
    chance = _chance(first, metric)
    spread = [one for one in several if not math.isnan(one)] if len(several) > 1 else []
    return EvalRow(
        model=first.model,
        step=first.step,
        task=first.task,
        metric=metric,
        value=share,
        stderr=error if error is None or metric not in PERPLEXITIES else error * share,
        value_low=low,
        value_high=high,
        n=len(own.values),
        clusters=len(set(own.clusters.tolist())),
        failed=first.failed,
        shots=first.shots,
        chance=chance,
        p=by_guessing(own, share, error, chance) if metric in SHARES and chance else None,
        variants=several if len(several) > 1 else (),
        variant_names=tuple(one.variant for one in forms) if len(forms) > 1 else (),
        variants_low=min(spread, default=None),
        variants_high=max(spread, default=None),
        variants_std=float(np.std(spread, ddof=1)) if len(spread) > 1 else None,
        why={} if len(own.values) else {"value": "no question was answered"},
    )


def _chance(sitting: Sitting, metric: str) -> float | None:
    if metric == "balanced_acc":
        return 1 / len({right_answer(one) for one in sitting.answers}) if sitting.answers else None
    if metric in PERPLEXITIES or (metric not in SHARES and sitting.chance is None):
        return None
    if sitting.chance is not None or metric in AGREEMENT or not sitting.answers:
        return sitting.chance
    return math.fsum(1 / len(one.nats) for one in sitting.answers if one.nats) / len(sitting.answers)
