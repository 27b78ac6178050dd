"""Every two models on the questions that both answered: the difference, its interval, and an exact test."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from kaibo.chapters.eval.answers import PERPLEXITIES, SHARES, values_of
from kaibo.chapters.eval.rows import EVAL_PAIRS, EvalPair
from kaibo.uncertainty.discovery import benjamini_hochberg
from kaibo.uncertainty.exact import clustered_sign_test
from kaibo.uncertainty.resampling import clustered_interval
from kaibo.vocabulary import Finding
from kaibo.vocabulary.evaluations import Sitting
from kaibo.words import note

Floats = NDArray[np.float64]
COMPARED = 16
"""Every two of so many models are compared; two of a hundred checkpoints are 4,950 pairs, which nobody reads."""

MANY = note("eval_many")


def paired(sittings: Sequence[Sitting], seed: int = 0) -> Finding[EvalPair]:
    """Models two by two on the first form of every task, on the questions that both answered.

    Every two of up to 16 models; of more (a series, a nursery), each with the last one, and a note says so.
    """
    firsts: dict[tuple[str, str], Sitting] = {}
    for one in sittings:
        firsts.setdefault((one.task, one.model), one)
    tasks = dict.fromkeys(task for task, _ in firsts)
    together = [[one for (of, _), one in firsts.items() if of == task] for task in tasks]
    found = [
        pair
        for several in together
        for a, b in _twos(several)
        for metric in a.metrics
        if metric not in PERPLEXITIES and (pair := _pair(a, b, metric, seed)) is not None
    ]
    tests = [math.nan if one.mcnemar_p is None else one.mcnemar_p for one in found]
    corrected = zip(found, benjamini_hochberg(tests), strict=True)
    notes = (MANY,) if any(len(several) > COMPARED for several in together) else ()
    return Finding(EVAL_PAIRS, tuple(EvalPair(**{**vars(one), "q": q}) for one, q in corrected), notes)


def _twos(several: Sequence[Sitting]) -> Iterator[tuple[Sitting, Sitting]]:
    if len(several) <= COMPARED:
        return combinations(several, 2)
    return ((one, several[-1]) for one in several[:-1])


def _pair(a: Sitting, b: Sitting, metric: str, seed: int) -> EvalPair | None:
    one, other = values_of(a, metric), values_of(b, metric)
    both = sorted(set(one.items) & set(other.items))
    if a.variant != b.variant or not both:
        return None
    first, second = ([dict(zip(of.items, of.values, strict=True))[item] for item in both] for of in (one, other))
    difference = np.array(first) - np.array(second)
    clusters = np.array([dict(zip(one.items, one.clusters, strict=True))[item] for item in both])
    only_a, only_b = int((difference > 0).sum()), int((difference < 0).sum())
    exact = metric in SHARES
    low, high = clustered_interval(difference, clusters, seed)
    return EvalPair(
        *(a.model, b.model, a.task, metric, float(difference.mean()), low, high),
        only_a=only_a if exact else None,
        only_b=only_b if exact else None,
        mcnemar_p=clustered_sign_test(difference, clusters) if exact else None,
        q=None,
        n=len(both),
    )
