"""Models on and off Benford's law beside controls: what their distance from the law costs, in nats a token.

A model whose weights may only begin with some digits has also lost precision. So each stands beside a control with as
many levels and the same error of the weights that does follow the law; what is asked is the difference between the
two, over the same blocks of the same text.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from kaibo.chapters.rescale.rows import LAW_TRIAL, LawTrialRow
from kaibo.chapters.score.perplexity import clusters, safe_exp
from kaibo.uncertainty.intervals import ratio_interval
from kaibo.version import __version__
from kaibo.vocabulary import Finding, TokenLog
from kaibo.words import note

Apart = tuple[float, float | None, float | None]
"""Nats per token, with the ends of the 95 % interval."""

NOTES = (
    note("trial_control"),
    note("trial_cost"),
    note("trial_draws"),
    note("trial_error"),
)


@dataclass(frozen=True, eq=False)
class Trial:
    """A model that was made and scored: `controls` are the names of what it is compared with.

    `mae` is its distance from the law, `mae_rescaled` to what rescalings that change no logit bring it (None where
    none is known), `levels` the magnitudes a row may have in a decade, `error` of its weights relative to the model's.
    """

    name: str
    controls: tuple[str, ...]
    mae: float
    mae_rescaled: float | None
    levels: int | None
    error: float
    logs: tuple[TokenLog, ...] = field(repr=False)


def law_trial(model: str, trials: Sequence[Trial]) -> Finding[LawTrialRow]:
    """A row for each trial; the first is the model itself."""
    rows = tuple(
        _row(model, trial, trials[0], [other for other in trials if other.name in trial.controls]) for trial in trials
    )
    return Finding(LAW_TRIAL, rows, NOTES, {"models": {model: None}, "kaibo": __version__})


def _row(model: str, trial: Trial, first: Trial, controls: Sequence[Trial]) -> LawTrialRow:
    nats, sizes = clusters(trial.logs)
    tokens = sum(int(log.scored.sum()) for log in trial.logs)
    total = math.fsum(float(value) for log in trial.logs for value in log.nats[log.scored])
    ends = ratio_interval(nats, sizes, 0)
    beside = _hull([_apart(trial, control) for control in controls])
    same = all(np.array_equal(a.nats, b.nats, equal_nan=True) for a, b in zip(trial.logs, first.logs, strict=True))
    cost, low, high = _apart(trial, first)
    return LawTrialRow(
        model=model,
        variant=trial.name,
        control=trial.controls[0] if trial.controls else None,
        mae=trial.mae,
        mae_rescaled=trial.mae_rescaled,
        levels=trial.levels,
        error=trial.error,
        tokens=tokens,
        ppl=safe_exp(total / tokens) if tokens else math.nan,
        ppl_low=safe_exp(ends[0]) if ends else None,
        ppl_high=safe_exp(ends[1]) if ends else None,
        cost=cost,
        cost_low=low,
        cost_high=high,
        beside=beside[0],
        beside_low=beside[1],
        beside_high=beside[2],
        same=same,
    )


def _hull(found: Sequence[Apart]) -> tuple[float | None, float | None, float | None]:
    """The mean of several differences, the lowest and the highest end of their intervals."""
    if not found:
        return None, None, None
    lows, highs = [one[1] for one in found], [one[2] for one in found]
    low = None if None in lows else min(low for low in lows if low is not None)
    high = None if None in highs else max(high for high in highs if high is not None)
    return math.fsum(one[0] for one in found) / len(found), low, high


def _apart(one: Trial, other: Trial) -> Apart:
    """Nats per token more under `one` than under `other`, with the interval over blocks of the differences."""
    nats, sizes = clusters(one.logs)
    others, _ = clusters(other.logs)
    tokens = float(sizes[:, 0].sum()) if len(sizes) else 0.0
    if not tokens:
        return math.nan, None, None
    found = float((nats - others).sum()) / tokens
    ends = ratio_interval(nats - others, sizes, 0, signed=True)
    return found, *(ends or (None, None))
