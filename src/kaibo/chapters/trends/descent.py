"""Double descent of a set of tokens: its perplexity rises and then falls again; when, and is it more than any set does.

The statistic of a curve is the largest bump: over all checkpoints j, the lesser of its rise from the lowest before and
its fall to the lowest after. The null is the same set pushed along the text: what the run does to all tokens of a
checkpoint, such as a spike of the loss, is in the null as well.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from kaibo.chapters.trends.rows import DescentPoint, DescentRow
from kaibo.chapters.trends.scored import ScoredSeries
from kaibo.chapters.trends.sets import TokenSet, band, block_sums
from kaibo.uncertainty.shifting import shifted_sums, shifts_of

Floats = NDArray[np.float64]

DRAWS = 400
"""Bootstrap draws of blocks of the text, for the date."""


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
    lows, peaks, ends = _dated(chosen, series, seed) if there else [(None, None)] * 3
    trained, flops, steps = series.along("tokens"), series.flops, series.steps
    turns = {low: "low", end: "end", int(peak): "peak"} if there else {}
    return DescentRow(
        chosen.set_of, chosen.trend, chosen.start, count, series.model, chosen.set_of == series.model,
        bool(there and p < 0.05), float(bump), float(np.quantile(null, 0.95)), p, p,
        float(curve[peak] - curve[low]), float(curve[peak] - curve[end]),
        steps[low] if there else None, steps[peak] if there else None, peaks[0], peaks[1],
        steps[end] if there else None,
        float(trained[peak]) if there and trained is not None else None,
        float(flops[peak]) if there and flops is not None else None,
        lows[0], lows[1], ends[0], ends[1], _curve(chosen, series, curve, turns),
    )  # fmt: skip


def _curve(chosen: TokenSet, series: ScoredSeries, means: Floats, turns: dict[int, str]) -> tuple[DescentPoint, ...]:
    members = np.flatnonzero(chosen.all)
    low, high = band(series.nats[:, members], members, len(chosen.all))
    ends = [[None] * len(means) if one is None else np.exp(one).tolist() for one in (low, high)]
    return tuple(
        DescentPoint(step, float(np.exp(means[place])), ends[0][place], ends[1][place], turns.get(place, ""))
        for place, step in enumerate(series.steps)
    )


def _dated(chosen: TokenSet, series: ScoredSeries, seed: int) -> list[tuple[int | None, int | None]]:
    """Between which steps low, peak and end lie when the blocks of the text are drawn again."""
    members = np.flatnonzero(chosen.all)
    sums, sizes = block_sums(series.nats[:, members].astype(np.float64), members, len(chosen.all))
    draws = np.random.default_rng([seed, 7]).integers(0, len(sizes), (DRAWS, len(sizes)))
    curves = sums[:, draws].sum(axis=2) / sizes[draws].sum(axis=1)
    _, peaks = bumps(curves)
    place = np.arange(len(curves))[:, None]
    lows = np.where(place <= peaks, curves, np.inf).argmin(axis=0)
    ends = np.where(place >= peaks, curves, np.inf).argmin(axis=0)
    found = [np.quantile(one, [0.025, 0.975], method="nearest") for one in (lows, peaks, ends)]
    return [(series.steps[int(low)], series.steps[int(high)]) for low, high in found]
