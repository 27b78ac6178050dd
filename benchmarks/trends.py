"""Trends of all tokens of a text beside statsmodels in a loop, which is timed on a part and scaled."""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.harness import Figure

TOKENS, CHECKPOINTS, TIMED = 100_000, 30, 2_000
ROUNDS = 5


def figures(folder: Path) -> Iterator[Figure]:
    """Classes of 100,000 tokens over 30 checkpoints, from float32 nats to corrected classes."""
    from kaibo.chapters.trends.classes import token_trends
    from kaibo.chapters.trends.scored import ScoredSeries, Tokens

    random = np.random.default_rng(0)
    steps = np.unique(np.round(np.geomspace(100, 100_000, CHECKPOINTS))).astype(int)
    nats = (5 + 0.1 * random.normal(size=(CHECKPOINTS, TOKENS)) - 0.05 * np.log(steps)[:, None]).astype(np.float32)
    none = np.zeros(TOKENS, np.int32)
    spans = np.zeros((TOKENS, 2), np.int64)
    run = ScoredSeries("run", tuple(steps.tolist()), nats, Tokens(("",), none, none, spans))
    peers = {"iterated GLSAR": (_glsar, 1000), "plain OLS": (_ols, 300)}
    ours, theirs = [], {name: [] for name in peers}
    token_trends(run, 0.0)
    for _ in range(ROUNDS):
        ours.append(_seconds(lambda: token_trends(run, 0.0)))
        for name, (peer, _reach) in peers.items():
            part = nats[:, : TIMED // ROUNDS].astype(np.float64)
            theirs[name].append(_seconds(lambda part=part, peer=peer: peer(part, steps)) * TOKENS * ROUNDS / TIMED)
    for name, (_peer, reach) in peers.items():
        yield _figure(name, reach, float(np.median(ours)), float(np.median(theirs[name])))


def _figure(name: str, reach: int, ours: float, theirs: float) -> Figure:
    ratio = theirs / ours
    seen = f"{1e3 * ours:.0f} ms against {theirs:.0f} s"
    said = f"statsmodels, {name}, in a loop (timed on {TIMED:,} tokens, scaled)"
    label = f"trends of {TOKENS:,} tokens over {CHECKPOINTS} checkpoints"
    return Figure(label, said, ratio, "times faster", f">= {reach:,}", ratio >= reach, seen)


def _ols(nats: Any, steps: Any) -> None:
    _each(nats, steps, lambda y, design, sm: sm.OLS(y, design).fit())


def _glsar(nats: Any, steps: Any) -> None:
    _each(nats, steps, lambda y, design, sm: sm.GLSAR(y, design, 1).iterative_fit(8))


def _each(nats: Any, steps: Any, fit: Callable[[Any, Any, Any], Any]) -> None:
    import statsmodels.api as sm

    design = sm.add_constant(np.log(steps))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for token in range(nats.shape[1]):
            found = fit(np.exp(nats[:, token] - nats[0, token]), design, sm)
            _ = found.params[1], found.bse[1], found.pvalues[1]


def _seconds(work: Callable[[], Any]) -> float:
    begin = time.perf_counter()
    work()
    return time.perf_counter() - begin
