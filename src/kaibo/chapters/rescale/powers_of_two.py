"""Which power of two each channel is multiplied by, so that the first digits come as near to the law as they can, or
as far from it.

Under 2⁰ … 2⁹ the decimal fraction of a number's logarithm takes ten places that are almost evenly spread, since 2¹⁰ is
almost 10³: ten exponents are all that there are. Digits of channels add, so a choice only needs their counts.

Nearest: channels in turn take the exponent under which Σ (share − law)² of all weights is least, until none moves.
Farthest: Σ |share − law| is the largest of Σ s·(share − law) over the ways to choose nine signs s, and for given signs
every channel of a coupling has a best exponent by itself. So the signs are fixed, the channels climb, the signs are
those that were reached, and so on; it never falls. It is begun from the signs of the model and of Gaussians of every
σ, and the start that comes farthest is kept.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import NDArray

from kaibo.chapters.digits.benford import LAW, gaussian_shares

Towards = Literal["law", "away"]
WAYS: tuple[Towards, ...] = ("law", "away")

CANDIDATES: NDArray[np.int8] = np.arange(-5, 5, dtype=np.int8)
"""The exponents that a channel may have."""

Counts = NDArray[np.int64]
Floats = NDArray[np.float64]


def distance(totals: Counts) -> float:
    """The mean over the nine digits of |share − law| of counts of first digits."""
    return float(np.abs(totals / max(int(totals.sum()), 1) - LAW).mean())


def nearest(counts: Counts, refused: NDArray[np.bool_], chosen: NDArray[np.int8], totals: Counts) -> Counts:
    """Gives each channel in turn the candidate that brings all digits nearest to the law, in place.

    `counts` is (channels, candidates, 9), `chosen` the place of each channel's candidate, `totals` the digits of the
    whole model. Returns the totals after it.
    """
    goal = LAW * totals.sum()
    now = totals.astype(np.float64)
    spread = counts.astype(np.float64)
    barred = np.where(refused, np.inf, 0.0)
    for channel in range(len(counts)):
        options = now - goal + spread[channel] - spread[channel, chosen[channel]]
        best = int(np.argmin((options * options).sum(axis=1) + barred[channel]))
        if best != chosen[channel]:
            now += spread[channel, best] - spread[channel, chosen[channel]]
            chosen[channel] = best
    return np.rint(now).astype(np.int64)


def starts(totals: Counts) -> tuple[Floats, ...]:
    """The signs from which climbing begins: those of the digits as they are, and of Gaussians of every σ."""
    sigma = 10.0 ** np.linspace(0.0, 1.0, 200, endpoint=False)
    gaussian = np.unique(np.where(gaussian_shares(sigma) >= LAW, 1.0, -1.0), axis=0)
    return (signs_of(totals), *gaussian)


def signs_of(totals: Counts) -> Floats:
    """Above the law or below it, digit by digit."""
    return np.where(totals >= LAW * totals.sum(), 1.0, -1.0)


def farthest(
    counts: Counts, refused: NDArray[np.bool_], chosen: NDArray[np.int8], totals: Counts, signs: Floats
) -> Counts:
    """Gives each channel its best candidate for these signs, in place; the totals after it."""
    scores = counts.astype(np.float64) @ signs
    scores[refused] = -np.inf
    channel = np.arange(len(counts))
    held = scores[channel, chosen]
    best = scores.argmax(axis=1).astype(np.int8)
    better = scores[channel, best] > held
    before = counts[channel, chosen].sum(axis=0)
    chosen[better] = best[better]
    after: Counts = totals - before + counts[channel, chosen].sum(axis=0)
    return after
