"""Perplexity of corrupted text over the share that was replaced, beside the floor that no model can beat.

A replaced unit costs at least the entropy of its draw, in expectation, whatever the model; an unreplaced one at least
nothing. So perplexity on random words may well fall from model to model: the better one has noticed that they are
random and guesses evenly, and nears the floor. Below it, in expectation, is no model.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from itertools import groupby
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kaibo.chapters.corrupt.rows import CORRUPT, CorruptRow
from kaibo.chapters.score.perplexity import OTHER_TOKENS, clusters, safe_exp
from kaibo.uncertainty.intervals import mean_interval, ratio_interval
from kaibo.version import __version__
from kaibo.vocabulary import Finding, TokenLog
from kaibo.words import note

NOTES = (
    note("corrupt_floor"),
    note("corrupt_luck"),
    note("corrupt_published"),
)


@dataclass(frozen=True, eq=False)
class CorruptedText:
    """A text's log at one share and seed; which of its tokens were replaced, and the least nats these must cost.

    `vocabulary` is how many units replacements were drawn from; `units` and `replaced` are counts of units.
    """

    model: str
    model_id: str
    step: int | None
    share: float
    seed: int
    mode: str
    unit: str
    log: TokenLog = field(repr=False)
    marked: NDArray[np.bool_] = field(repr=False)
    replaced: int
    floor: float
    vocabulary: int


PER_TOKEN = ("ppl", "ppl_low", "ppl_high", "floor", "clean_ppl", "replaced_ppl", "kept_ppl")


def corruption(texts: Iterable[CorruptedText]) -> Finding[CorruptRow]:
    """A row for each model and share, shares in rising order. Where tokenizers differ, nothing is given per token."""
    given = list(texts)
    rows: list[CorruptRow] = []
    for model in dict.fromkeys(one.model for one in given):
        mine = sorted((one for one in given if one.model == model), key=lambda one: one.share)
        several = [_row(list(group)) for _, group in groupby(mine, key=lambda one: one.share)]
        clean = next((row.ppl for row in several if row.share == 0), None)
        rows += [replace(row, clean_ppl=clean) for row in several]
    if len({one.log.key.tokenizer_hash for one in given}) > 1:
        hidden = dict.fromkeys(PER_TOKEN, OTHER_TOKENS)
        none: dict[str, Any] = dict.fromkeys(PER_TOKEN)
        rows = [replace(row, why={**row.why, **hidden}, **none) for row in rows]
    told = {one.model: one.model_id for one in given}
    return Finding(CORRUPT, tuple(rows), NOTES, {"models": told, "kaibo": __version__})


def _row(texts: Sequence[CorruptedText]) -> CorruptRow:
    first = texts[0]
    nats = math.fsum(value for one in texts for value in one.log.nats[one.log.scored].tolist())
    tokens = sum(int(one.log.scored.sum()) for one in texts)
    mean, floor = nats / tokens, math.fsum(one.floor for one in texts) / tokens
    between = _interval(texts)
    return CorruptRow(
        model=first.model,
        step=first.step,
        share=first.share,
        mode=first.mode,
        unit=first.unit,
        seeds=len({one.seed for one in texts}),
        tokens=tokens,
        replaced=sum(one.replaced for one in texts),
        vocabulary=first.vocabulary,
        nats=nats,
        ppl=safe_exp(mean),
        ppl_low=safe_exp(between[0]) if between else None,
        ppl_high=safe_exp(between[1]) if between else None,
        floor=math.exp(floor),
        above_floor=mean - floor,
        clean_ppl=None,
        replaced_ppl=_part(texts, replaced=True),
        kept_ppl=_part(texts, replaced=False),
        why={} if between else dict.fromkeys(("ppl_low", "ppl_high"), "too few scored tokens"),
    )


def _interval(texts: Sequence[CorruptedText]) -> tuple[float, float] | None:
    """The 95 % interval of nats per token: over seeds where there are several, else over documents or blocks."""
    seeds = sorted({one.seed for one in texts})
    if len(seeds) == 1:
        return ratio_interval(*clusters([one.log for one in texts]), 0)
    means = np.array([_mean([one for one in texts if one.seed == seed]) for seed in seeds])
    found = mean_interval(means).within(0.0)
    return found.low, found.high


def _mean(texts: Sequence[CorruptedText]) -> float:
    nats = [one.log.nats[one.log.scored].astype(np.float64) for one in texts]
    return math.fsum(float(one.sum()) for one in nats) / sum(map(len, nats))


def _part(texts: Sequence[CorruptedText], *, replaced: bool) -> float | None:
    """Perplexity of the tokens that were replaced, or of those that were not; None where there are none."""
    chosen = [one.log.nats[one.log.scored & (one.marked == replaced)].astype(np.float64) for one in texts]
    count = sum(map(len, chosen))
    return safe_exp(math.fsum(float(one.sum()) for one in chosen) / count) if count else None
