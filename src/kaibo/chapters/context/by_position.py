"""Loss by position and passkeys found, each with a 95 % interval; the cost of narrower weights."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from kaibo.uncertainty.intervals import mean_interval, wilson
from kaibo.vocabulary.running import ContextRow

BINS = 8
"""Points of the curve for each trained length."""


def loss_curve(model: str, rope: str, nats: NDArray[np.float32], trained: int) -> list[ContextRow]:
    """Mean nats by position, `BINS` points a trained length; windows are the independent values.

    `nats` is (windows, length − 1): position p of a window is the token that has p tokens before it.
    """
    length = nats.shape[1] + 1
    width = max(1, trained // BINS)
    rows = []
    for begin in range(0, length, width):
        end = min(begin + width, length)
        part = nats[:, max(begin, 1) - 1 : end - 1].astype(np.float64)
        if part.shape[1] == 0:
            continue
        found = mean_interval(part.mean(1)).within(0.0)
        interval = (found.mean, found.low, found.high)
        rows.append(ContextRow(model, rope, "loss", begin, end, end > trained, *interval, len(nats)))
    return rows


def passkey_row(model: str, rope: str, length: int, found: Sequence[bool], trained: int) -> ContextRow:
    """The share of passkeys found in prompts of one length."""
    share = sum(found) / len(found)
    interval = wilson(share, len(found))
    return ContextRow(model, rope, "passkey", 0, length, length > trained, share, *interval, len(found))
