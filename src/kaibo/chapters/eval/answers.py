"""What answers add up to: a measure of every question, its score, standard error and interval.

A score is Σ value ÷ Σ weight over questions. Its standard error is that of a ratio over clusters (Cochran 1977,
section 6): passages where questions share them, else the questions, where it is σ̂ ÷ √n as lm-evaluation-harness has
it. The interval of a share is Wilson's (1927) with the number of questions that the standard error is worth. Balanced
accuracy weighs questions so that every right answer counts alike; its standard error, which leaves the differences
between them in, is no smaller than it should be.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from kaibo.chapters.eval.overlap import AGREEMENT
from kaibo.uncertainty.intervals import bounded, student, wilson
from kaibo.vocabulary.evaluations import Answered, Sitting

Floats = NDArray[np.float64]

SHARES = ("acc", "acc_norm", "acc_bytes", "exact_match", "exact_number", "greedy")
"""Measures that are 0 or 1 for each question."""

PERPLEXITIES = ("ppl_right", "ppl_wrong", "ppl")
"""Measures that are exp of nats per token."""


@dataclass(frozen=True, eq=False)
class Values:
    """A measure of every question: value and weight, and which cluster it is in."""

    values: Floats
    weights: Floats
    clusters: NDArray[np.intp]
    items: tuple[int, ...]


def values_of(sitting: Sitting, metric: str) -> Values:
    """A measure of every question that a model answered."""
    pairs = [_value(one, metric, sitting.language) for one in sitting.answers]
    names = {name: place for place, name in enumerate(dict.fromkeys(one.group for one in sitting.answers))}
    table = np.array(pairs, np.float64).reshape(-1, 2)
    if metric == "balanced_acc":
        table *= _balanced(sitting)[:, None]
    clusters = np.array([names[one.group] for one in sitting.answers], np.intp)
    return Values(table[:, 0], table[:, 1], clusters, tuple(one.item for one in sitting.answers))


def _balanced(sitting: Sitting) -> Floats:
    """The weight of each question by which every right answer counts as much as any other; their mean is 1."""
    _, kinds = np.unique([right_answer(one) for one in sitting.answers], return_inverse=True)
    counts = np.bincount(kinds)
    weights: Floats = len(kinds) / (len(counts) * counts[kinds])
    return weights


def right_answer(one: Answered) -> str:
    """What the right option says."""
    return one.options[one.right] if one.right is not None and one.right < len(one.options) else str(one.right)


def _value(one: Answered, metric: str, language: str) -> tuple[float, float]:
    """What a question adds to the sum of values, and to that of weights."""
    if metric in AGREEMENT:
        return AGREEMENT[metric](one.text or "", one.wanted, language), 1.0
    if metric == "greedy":
        return float(bool(one.greedy)), 1.0
    if metric in ("ppl", "ppl_right", "ppl_wrong"):
        right = 0 if metric == "ppl" else one.right
        kept = [at for at in range(len(one.nats)) if (at == right) != (metric == "ppl_wrong")]
        return math.fsum(one.nats[at] for at in kept), float(sum(one.tokens[at] for at in kept))
    sizes = {
        "acc": [1] * len(one.nats),
        "balanced_acc": [1] * len(one.nats),
        "acc_norm": [max(len(option), 1) for option in one.options],
        "acc_bytes": [max(len(option.encode()), 1) for option in one.options],
    }[metric]
    best = int(np.argmin(np.array(one.nats) / np.array(sizes)))  # the first of equals, as the harness has it
    return float(best == one.right), 1.0


def score(values: Values, metric: str) -> float:
    """Σ value ÷ Σ weight, of perplexities exp of it; NaN where nothing was answered."""
    weight = float(values.weights.sum())
    if not weight:
        return math.nan
    ratio = math.fsum(values.values.tolist()) / weight
    return math.exp(min(ratio, 709.0)) if metric in PERPLEXITIES else min(ratio, 1.0)  # weights may round above it


def standard_error(values: Values) -> float | None:
    """The standard error of Σ value ÷ Σ weight over clusters; None for fewer than two."""
    count, weight = int(values.clusters.max(initial=-1)) + 1, float(values.weights.sum())
    if count < 2 or not weight:
        return None
    left = values.values - values.values.sum() / weight * values.weights
    sums = np.bincount(values.clusters, left, count)
    return math.sqrt(count / (count - 1) * float((sums * sums).sum())) / weight


def interval(values: Values, score: float, error: float | None, metric: str) -> tuple[float | None, float | None]:
    """95 %: Wilson's for shares; for means of shares and for perplexities on their own scales (see `bounded`)."""
    if metric in SHARES and len(values.values):
        return wilson(score, _worth(values, score, error))
    if error is None:
        return None, None
    reach = student(int(values.clusters.max())) * error
    if metric in PERPLEXITIES:
        low, high = bounded(np.array(math.log(score)), np.array(reach))
        return math.exp(float(low)), math.exp(min(float(high), 709.0))
    if not error:  # all alike, which few answers can be by chance
        return wilson(score, len(set(values.clusters.tolist())))
    low, high = bounded(np.array(score), np.array(reach), 0.0, 1.0)
    return float(low), float(high)


def _worth(values: Values, share: float, error: float | None) -> float:
    """The number of independent questions that the standard error is worth: n without clusters."""
    count = len(values.values)
    if error is None or not error or len(set(values.clusters.tolist())) == count:
        return float(count)
    return max(share * (1 - share) / error**2, 1.0)


def by_guessing(values: Values, share: float, error: float | None, chance: float) -> float | None:
    """The probability of at least this share by guessing: exact, and with clusters by the normal distribution."""
    from scipy.special import bdtrc, ndtr

    count = len(values.values)
    if not count:
        return None
    if len(set(values.clusters.tolist())) == count:
        return float(bdtrc(round(share * count) - 1, count, chance)) if round(share * count) else 1.0
    return float(ndtr((chance - share) / error)) if error else None
