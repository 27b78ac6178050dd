"""Which sequences become less likely along a series of checkpoints: inverse scaling, sequence by sequence.

The change from the first checkpoint to the last is a paired one: the same tokens under both. Its interval is over
blocks of neighbouring tokens, since those are not independent; over the sequences p-values are corrected (Benjamini
and Hochberg 1995).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from kaibo.chapters.decode.rows import INVERSE_SCALING, InverseRow
from kaibo.uncertainty.discovery import benjamini_hochberg
from kaibo.uncertainty.intervals import block_mean
from kaibo.version import __version__
from kaibo.vocabulary import Finding, TokenLog
from kaibo.words import note

LEVEL = 0.05
LEAST = 16
"""Tokens below which a sequence says nothing."""

NOTES = (
    note("inverse_rise"),
    note("inverse_interval"),
)


@dataclass(frozen=True, eq=False)
class SequenceLog:
    """A sequence's tokens (those of the prompt left out) under one checkpoint."""

    sequence: int
    text: str = field(repr=False)
    model: str
    model_id: str
    step: int | None
    log: TokenLog = field(repr=False)


def inverse_scaling(logs: Sequence[SequenceLog]) -> Finding[InverseRow]:
    """A row for each sequence, in order; checkpoints in the order given."""
    several = sorted({one.sequence for one in logs})
    rows = [_row([one for one in logs if one.sequence == sequence]) for sequence in several]
    told = {one.model: one.model_id for one in logs}
    return Finding(INVERSE_SCALING, tuple(_corrected(rows)), NOTES, {"models": told, "kaibo": __version__})


def _row(logs: Sequence[SequenceLog]) -> InverseRow:
    nats = [one.log.nats[one.log.scored].astype(np.float64) for one in logs]
    means = tuple(float(one.mean()) if len(one) else math.nan for one in nats)
    reason = _reason(logs, nats)
    rise, low, high, p = (None, None, None, None) if reason else block_mean(nats[-1] - nats[0])
    return InverseRow(
        sequence=logs[0].sequence,
        text=logs[0].text,
        tokens=len(nats[0]),
        checkpoints=tuple(one.model for one in logs),
        steps=tuple(one.step for one in logs),
        mean_nats=means,
        rise=rise,
        rise_low=low,
        rise_high=high,
        p=p,
        q=None,
        kendall=None if reason else _kendall(means),
        inverse=False,
        why=dict.fromkeys(("rise", "rise_low", "rise_high", "p", "q", "kendall"), reason) if reason else {},
    )


def _reason(logs: Sequence[SequenceLog], nats: Sequence[NDArray[np.float64]]) -> str | None:
    if len(logs) < 2:
        return "only one checkpoint"
    if len({one.log.key.tokenizer_hash for one in logs}) > 1:
        return "the checkpoints have different tokenizers"
    return f"fewer than {LEAST} tokens" if len(nats[0]) < LEAST else None


def _kendall(means: Sequence[float]) -> float | None:
    pairs = [math.copysign(1, b - a) if a != b else 0.0 for at, a in enumerate(means) for b in means[at + 1 :]]
    return sum(pairs) / len(pairs)


def _corrected(rows: Sequence[InverseRow]) -> list[InverseRow]:
    """The rows with q: the smallest false discovery rate at which each would be called."""
    corrected = benjamini_hochberg([math.nan if row.p is None else row.p for row in rows])
    return [
        replace(row, q=q, inverse=q is not None and q < LEVEL and (row.rise or 0.0) > 0)
        for row, q in zip(rows, corrected, strict=True)
    ]
