"""Answers in, scores out: each with its standard error, its interval, the level of guessing, and its spread.

A score is Σ value ÷ Σ weight over questions. Its standard error is that of a ratio over clusters (Cochran 1977,
section 6): passages where questions share them, else the questions, where it is σ̂ ÷ √n as lm-evaluation-harness has
it. The interval of a share is Wilson's (1927) with the number of questions that the standard error is worth.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kaibo.analyses.intervals import student, wilson
from kaibo.analyses.overlap import AGREEMENT
from kaibo.analyses.relation import benjamini_hochberg
from kaibo.version import __version__
from kaibo.vocabulary import Finding
from kaibo.vocabulary.evaluations import Answered, Sitting

Floats = NDArray[np.float64]

SHARES = ("acc", "acc_norm", "acc_bytes", "exact_match", "exact_number", "greedy")
"""Measures that are 0 or 1 for each question."""

PERPLEXITIES = ("ppl_right", "ppl_wrong", "ppl")
"""Measures that are exp of nats per token."""

DRAWS = 2000

NOTES = (
    "acc_norm divides by the option's characters, acc_bytes by its bytes; equal options: the first counts.",
    "stderr is over passages where questions share them (clusters), else over questions; the interval is 95 %.",
    "chance is what guessing gives; a prompt's wording alone can move a score further than its interval (--variants).",
    "options are cut where the encoded prompt ends, spaces at its end moved to the option, as lm-evaluation-harness.",
)


@dataclass(frozen=True)
class EvalRow:
    """One measure of one model on one task.

    `value` is that of the first form of the prompt, `value_low` and `value_high` its 95 % interval, `n` the questions,
    `clusters` what they were grouped by, `failed` those that could not be asked. `chance` is what guessing gives and
    `p` the chance of doing as well by guessing. `variants` are the values of all forms, `variant_names` their names,
    with their lowest, highest and standard deviation.
    """

    model: str
    step: int | None
    task: str
    metric: str
    value: float
    stderr: float | None
    value_low: float | None
    value_high: float | None
    n: int
    clusters: int
    failed: int
    shots: int
    chance: float | None
    p: float | None
    variants: tuple[float, ...]
    variant_names: tuple[str, ...]
    variants_low: float | None
    variants_high: float | None
    variants_std: float | None
    why: dict[str, str] = field(default_factory=dict)

    @property
    def questions(self) -> int:
        """`n` under the name that tables give it."""
        return self.n


@dataclass(frozen=True)
class EvalPair:
    """Two models on the questions that both answered.

    `difference` is a − b with its 95 % interval of a paired bootstrap over clusters; `only_a` and `only_b` are the
    questions that one alone got right and `mcnemar_p` the exact test of them; `q` is p corrected over all pairs.
    """

    a: str
    b: str
    task: str
    metric: str
    difference: float
    difference_low: float | None
    difference_high: float | None
    only_a: int | None
    only_b: int | None
    mcnemar_p: float | None
    q: float | None
    n: int

    @property
    def questions(self) -> int:
        """`n` under the name that tables give it."""
        return self.n


@dataclass(frozen=True, eq=False)
class _Values:
    """A measure of every question: value and weight, and which cluster it is in."""

    values: Floats
    weights: Floats
    clusters: NDArray[np.intp]
    items: tuple[int, ...]


def evaluation(sittings: Sequence[Sitting]) -> Finding[EvalRow]:
    """A row for each model, task and measure; the forms of one task are together in its row."""
    together: dict[tuple[str, str], list[Sitting]] = {}
    for one in sittings:
        together.setdefault((one.model, one.task), []).append(one)
    rows = [_row(forms, metric) for forms in together.values() for metric in forms[0].metrics]
    told = {one.model: one.model_id for one in sittings}
    return Finding("eval", tuple(rows), NOTES, {"models": told, "kaibo": __version__})


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


def paired(sittings: Sequence[Sitting], seed: int = 0) -> Finding[EvalPair]:
    """Every two models on the first form of every task, on the questions that both answered."""
    firsts: dict[tuple[str, str], Sitting] = {}
    for one in sittings:
        firsts.setdefault((one.task, one.model), one)
    tasks = dict.fromkeys(task for task, _ in firsts)
    found = [
        pair
        for task in tasks
        for a, b in combinations([one for (of, _), one in firsts.items() if of == task], 2)
        for metric in a.metrics
        if metric not in PERPLEXITIES and (pair := _pair(a, b, metric, seed)) is not None
    ]
    tests = [math.nan if one.mcnemar_p is None else one.mcnemar_p for one in found]
    corrected = zip(found, benjamini_hochberg(tests), strict=True)
    return Finding("eval-pairs", tuple(EvalPair(**{**vars(one), "q": q}) for one, q in corrected))


def _row(forms: Sequence[Sitting], metric: str) -> EvalRow:
    first = forms[0]
    values = [_values(one, metric) for one in forms]
    several = tuple(_score(one, metric) for one in values)
    own = values[0]
    error = _error(own)
    share = several[0]
    low, high = _interval(own, share, error, metric)
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
        p=_by_guessing(own, share, error, chance) if metric in SHARES and chance else None,
        variants=several if len(several) > 1 else (),
        variant_names=tuple(one.variant for one in forms) if len(forms) > 1 else (),
        variants_low=min(spread, default=None),
        variants_high=max(spread, default=None),
        variants_std=float(np.std(spread, ddof=1)) if len(spread) > 1 else None,
        why={} if len(own.values) else {"value": "no question was answered"},
    )


def _values(sitting: Sitting, metric: str) -> _Values:
    pairs = [_value(one, metric, sitting.language) for one in sitting.answers]
    names = {name: place for place, name in enumerate(dict.fromkeys(one.group for one in sitting.answers))}
    table = np.array(pairs, np.float64).reshape(-1, 2)
    clusters = np.array([names[one.group] for one in sitting.answers], np.intp)
    return _Values(table[:, 0], table[:, 1], clusters, tuple(one.item for one in sitting.answers))


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
        "acc_norm": [max(len(option), 1) for option in one.options],
        "acc_bytes": [max(len(option.encode()), 1) for option in one.options],
    }[metric]
    best = int(np.argmin(np.array(one.nats) / np.array(sizes)))  # the first of equals, as the harness has it
    return float(best == one.right), 1.0


def _score(values: _Values, metric: str) -> float:
    weight = float(values.weights.sum())
    if not weight:
        return math.nan
    ratio = math.fsum(values.values.tolist()) / weight
    return math.exp(min(ratio, 709.0)) if metric in PERPLEXITIES else ratio


def _error(values: _Values) -> float | None:
    """The standard error of Σ value ÷ Σ weight over clusters; None for fewer than two."""
    count, weight = int(values.clusters.max(initial=-1)) + 1, float(values.weights.sum())
    if count < 2 or not weight:
        return None
    left = values.values - values.values.sum() / weight * values.weights
    sums = np.bincount(values.clusters, left, count)
    return math.sqrt(count / (count - 1) * float((sums * sums).sum())) / weight


def _interval(values: _Values, score: float, error: float | None, metric: str) -> tuple[float | None, float | None]:
    """95 %: Wilson's for shares, Student's for means, and on the scale of nats for perplexities."""
    if metric in SHARES and len(values.values):
        return wilson(score, _worth(values, score, error))
    if error is None:
        return None, None
    reach = student(int(values.clusters.max())) * error
    if metric in PERPLEXITIES:
        return score * math.exp(-reach), score * math.exp(min(reach, 700.0))
    return max(score - reach, 0.0), min(score + reach, 1.0)


def _worth(values: _Values, share: float, error: float | None) -> float:
    """The number of independent questions that the standard error is worth: n without clusters."""
    count = len(values.values)
    if error is None or not error or len(set(values.clusters.tolist())) == count:
        return float(count)
    return max(share * (1 - share) / error**2, 1.0)


def _chance(sitting: Sitting, metric: str) -> float | None:
    if metric in PERPLEXITIES or (metric not in SHARES and sitting.chance is None):
        return None
    if sitting.chance is not None or metric in AGREEMENT or not sitting.answers:
        return sitting.chance
    return math.fsum(1 / len(one.nats) for one in sitting.answers if one.nats) / len(sitting.answers)


def _by_guessing(values: _Values, share: float, error: float | None, chance: float) -> float | None:
    """The probability of at least this share by guessing: exact, and with clusters by the normal distribution."""
    from scipy.special import bdtrc, ndtr

    count = len(values.values)
    if not count:
        return None
    if len(set(values.clusters.tolist())) == count:
        return float(bdtrc(round(share * count) - 1, count, chance)) if round(share * count) else 1.0
    return float(ndtr((chance - share) / error)) if error else None


def _pair(a: Sitting, b: Sitting, metric: str, seed: int) -> EvalPair | None:
    one, other = _values(a, metric), _values(b, metric)
    both = sorted(set(one.items) & set(other.items))
    if a.variant != b.variant or not both:
        return None
    first, second = ([dict(zip(of.items, of.values, strict=True))[item] for item in both] for of in (one, other))
    difference = np.array(first) - np.array(second)
    clusters = np.array([dict(zip(one.items, one.clusters, strict=True))[item] for item in both])
    only_a, only_b = int((difference > 0).sum()), int((difference < 0).sum())
    exact = metric in SHARES
    low, high = _resampled(difference, clusters, seed)
    return EvalPair(
        *(a.model, b.model, a.task, metric, float(difference.mean()), low, high),
        only_a=only_a if exact else None,
        only_b=only_b if exact else None,
        mcnemar_p=mcnemar(only_a, only_b) if exact else None,
        q=None,
        n=len(both),
    )


def mcnemar(only_a: int, only_b: int) -> float:
    """The exact two-sided test of whether each of two is alone right equally often (McNemar 1947).

    >>> mcnemar(0, 0), mcnemar(5, 0)
    (1.0, 0.0625)
    """
    from scipy.special import bdtr

    total = only_a + only_b
    return min(1.0, 2 * float(bdtr(min(only_a, only_b), total, 0.5))) if total else 1.0


def _resampled(difference: Floats, clusters: NDArray[np.intp], seed: int) -> tuple[float | None, float | None]:
    """The 95 % interval of the mean difference when whole clusters are drawn with replacement."""
    _, numbers = np.unique(clusters, return_inverse=True)
    count = int(numbers.max()) + 1
    if count < 2:
        return None, None
    sums, sizes = np.bincount(numbers, difference, count), np.bincount(numbers, minlength=count).astype(np.float64)
    drawn = np.random.default_rng(seed).multinomial(count, np.full(count, 1 / count), DRAWS).astype(np.float64)
    low, high = np.quantile((drawn @ sums) / (drawn @ sizes), [0.025, 0.975])
    return float(low), float(high)
