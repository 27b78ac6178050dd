"""Double descent of a set of tokens: its perplexity rises and then falls again; when, and is it more than any set does.

The statistic of a curve is the largest bump: over all checkpoints j, the lesser of its rise from the lowest before and
its fall to the lowest after. The null is the same set pushed along the text: what the run does to all tokens of a
checkpoint, such as a spike of the loss, is in the null as well.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from kaibo.analyses.trends.scored import ScoredSeries
from kaibo.analyses.trends.sets import TokenSet, block_sums
from kaibo.analyses.trends.shifting import shifted_sums, shifts_of

Floats = NDArray[np.float64]

DRAWS = 400
"""Bootstrap draws of blocks of the text, for the date."""


@dataclass(frozen=True)
class DescentRow:
    """The largest bump in a set's curve under one run, in nats.

    The set is what is `trend` in `set_of` from `start` on; `own`: it was chosen by this very run, so that its
    rise is no surprise. It rises by `rise` from step `low_step` to `peak_step` (95 % over blocks of the text:
    `peak_from` to `peak_to`) and falls by `fall` until `end_step`. `bump` is the lesser of both, `null` its 95 %
    quantile over shifted sets, `p` their share with as large a bump, `q` after Benjamini–Hochberg. `found` is q < 0.05.
    """

    set_of: str
    trend: str
    start: float
    tokens: int
    model: str
    own: bool
    found: bool
    bump: float
    null: float
    p: float
    q: float
    rise: float
    fall: float
    low_step: int | None
    peak_step: int | None
    peak_from: int | None
    peak_to: int | None
    end_step: int | None
    peak_trained: float | None
    peak_flops: float | None


def bumps(curves: Floats) -> tuple[Floats, NDArray[np.int64]]:
    """The largest bump of each column of `curves` (checkpoints, curves), and the checkpoint of its peak.

    >>> size, peak = bumps(np.array([[3.0], [1.0], [2.0], [1.5]]))
    >>> size.tolist(), peak.tolist()
    ([0.5], [2])
    """
    before = np.minimum.accumulate(curves, axis=0)
    after = np.minimum.accumulate(curves[::-1], axis=0)[::-1]
    least = curves - np.maximum(before, after)
    return least.max(axis=0), least.argmax(axis=0)


def descent(chosen: TokenSet, series: ScoredSeries, seed: int) -> DescentRow:
    """The largest bump of a set under a run, beside those of the shifted sets; `q` is that of one test alone."""
    members = chosen.all
    count = int(members.sum())
    curve = np.array([row[members].mean(dtype=np.float64) for row in series.nats])
    (bump,), (peak,) = bumps(curve[:, None])
    shifts = shifts_of(len(members))
    null, _ = bumps(np.stack([shifted_sums(members, row.astype(np.float64))[shifts] for row in series.nats]) / count)
    p = float((1 + (null >= bump).sum()) / (1 + len(null)))
    low, end = int(curve[: peak + 1].argmin()), int(peak + curve[peak:].argmin())
    there = bump > 0
    first, last = _dated(chosen, series, seed) if there else (None, None)
    trained, flops, steps = series.along("tokens"), series.flops, series.steps
    return DescentRow(
        chosen.set_of, chosen.trend, chosen.start, count, series.model, chosen.set_of == series.model,
        bool(there and p < 0.05), float(bump), float(np.quantile(null, 0.95)), p, p,
        float(curve[peak] - curve[low]), float(curve[peak] - curve[end]),
        steps[low] if there else None, steps[peak] if there else None, first, last, steps[end] if there else None,
        float(trained[peak]) if there and trained is not None else None,
        float(flops[peak]) if there and flops is not None else None,
    )  # fmt: skip


def _dated(chosen: TokenSet, series: ScoredSeries, seed: int) -> tuple[int, int]:
    """Between which steps the peak lies when the blocks of the text are drawn again."""
    members = np.flatnonzero(chosen.all)
    sums, sizes = block_sums(series.nats[:, members].astype(np.float64), members, len(chosen.all))
    draws = np.random.default_rng([seed, 7]).integers(0, len(sizes), (DRAWS, len(sizes)))
    curves = sums[:, draws].sum(axis=2) / sizes[draws].sum(axis=1)
    _, peaks = bumps(curves)
    low, high = np.quantile(peaks, [0.025, 0.975], method="nearest")
    return series.steps[int(low)], series.steps[int(high)]
