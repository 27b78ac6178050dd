"""Double descent of a set of tokens: its perplexity rises and then falls again; when, and is it more than noise makes.

The statistic of a curve is the largest bump: over all checkpoints j, the lesser of its rise from the lowest before and
its fall to the lowest after. Two nulls must both be beaten. The first are other tokens of the same level, roughness and
slope under the same run, found by pushing the set along the text: what the run does to all tokens of a checkpoint, such
as a spike of the loss, is in it, and rare tokens are held against rare ones. The second is the best monotone curve
through the set's own, with noise as rough as its own: tokens that have no like (the noisiest are all in the set) cannot
pass by that.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from kaibo.chapters.trends.curves import roughness
from kaibo.chapters.trends.rows import DescentPoint, DescentRow
from kaibo.chapters.trends.scored import ScoredSeries
from kaibo.chapters.trends.sets import TokenSet, band, block_sums
from kaibo.uncertainty.shifting import shifts_of

Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]

DRAWS = 400
"""Bootstrap draws of blocks of the text, for the date and the interval."""

SHIFTS = 499
"""Shifts of the set along the text for the null."""

NOISY = 999
"""Draws of noise around the best monotone curve."""

TINY = 1e-12
"""Variance of nats that is rounding."""

LEVELS, ROUGHNESSES, SLOPES = 5, 8, 4
"""Groups of like tokens: quantiles of their mean nats, within those of their roughness, within those of their slope."""


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
    """The largest bump of a set under a run, beside those of like tokens and of noise; `q` is that of one test."""
    members = chosen.all
    count = int(members.sum())
    curve = np.array([row[members].mean(dtype=np.float64) for row in series.nats])
    (bump,), (peak,) = bumps(curve[:, None])
    (null, p_alike, alike), (rough, p_noise) = of_like_tokens(members, series), of_noise(curve, series.steps, seed)
    p = max(p_alike, p_noise)
    low, end = int(curve[: peak + 1].argmin()), int(peak + curve[peak:].argmin())
    there = bump > 0
    dated, high = _dated(chosen, series, seed)
    lows, peaks, ends = dated if there else [(None, None)] * 3
    trained, flops, steps = series.along("tokens"), series.flops, series.steps
    turns = {low: "low", end: "end", int(peak): "peak"} if there else {}
    return DescentRow(
        chosen.set_of, chosen.trend, chosen.start, count, series.model, chosen.set_of == series.model,
        bool(there and p < 0.05), float(bump), max(null, rough), p, p,
        float(curve[peak] - curve[low]), float(curve[peak] - curve[end]),
        steps[low] if there else None, steps[peak] if there else None, peaks[0], peaks[1],
        steps[end] if there else None,
        float(trained[peak]) if there and trained is not None else None,
        float(flops[peak]) if there and flops is not None else None,
        lows[0], lows[1], ends[0], ends[1], _curve(chosen, series, curve, turns), high, p_alike, p_noise, alike,
    )  # fmt: skip


def of_like_tokens(members: Mask, series: ScoredSeries) -> tuple[float, float, float]:
    """The 95 % quantile of the bumps of like tokens, the share with as large a one, and how many of the set have any.

    Each shift pushes the set along the text; in place of what stands there the next token outside the set stands that
    has the level, roughness and slope of the member. Where the set has most tokens of a kind itself, any other token
    stands in, its curve's distance from its own line scaled to the roughness of the member.
    """
    kinds, (lines, off, rough) = kinds_of(series), _off_their_lines(series)
    places, outside = np.flatnonzero(members), np.flatnonzero(~members)
    if not len(outside):
        return float("inf"), 1.0, 0.0
    pools, lacking = [], np.zeros(len(places), bool)
    for kind in np.unique(kinds[places]):
        own, others = np.flatnonzero(kinds[places] == kind), outside[kinds[outside] == kind]
        if 2 * len(others) >= len(own):
            pools.append((others, own))
        else:
            lacking[own] = True
    pools += [(outside, np.flatnonzero(lacking))]
    shifts = shifts_of(len(members), SHIFTS)
    curves = np.empty((len(series.steps), len(shifts)))
    stand_ins = np.empty(len(places), np.int64)
    for column, shift in enumerate(shifts):
        pushed = (places + shift) % len(members)
        for others, own in pools:
            stand_ins[own] = others[np.searchsorted(others, pushed[own]) % len(others)]
        scale = np.where(lacking, np.sqrt(rough[places] / np.maximum(rough[stand_ins], TINY)), 1.0)
        curves[:, column] = lines[:, stand_ins].mean(axis=1) + off[:, stand_ins] @ scale / len(places)
    found, _ = bumps(curves)
    (bump,), _ = bumps(series.nats[:, places].mean(axis=1, dtype=np.float64)[:, None])
    p = float((1 + (found >= bump).sum()) / (1 + len(shifts)))
    return float(np.quantile(found, 0.95)), p, float(1 - lacking.mean())


def _off_their_lines(series: ScoredSeries) -> tuple[Floats, Floats, Floats]:
    """A straight line over log(step) for every token, its nats less that line, and its roughness."""
    x = np.log(np.asarray(series.steps, np.float64))
    nats = series.nats.astype(np.float64)
    centred = (x - x.mean())[:, None]
    lines = nats.mean(axis=0) + centred * ((centred * nats).sum(axis=0) / (centred**2).sum())
    return lines, nats - lines, roughness(nats, x).mean(axis=0)


def kinds_of(series: ScoredSeries) -> NDArray[np.int64]:
    """A number for each token; those of one number are alike in level, roughness and slope under this run."""
    x = np.log(np.asarray(series.steps, np.float64))
    line = (x - x.mean()) / ((x - x.mean()) ** 2).sum()
    nats = series.nats.astype(np.float64)
    kinds = np.zeros(nats.shape[1], np.int64)
    measures = (nats.mean(axis=0), roughness(nats, x).mean(axis=0), line @ nats)
    for values, groups in zip(measures, (LEVELS, ROUGHNESSES, SLOPES), strict=True):
        kinds = _split(kinds, values, groups)
    return kinds


def _split(kinds: NDArray[np.int64], values: Floats, groups: int) -> NDArray[np.int64]:
    """Each kind cut into so many groups of equal size by its values."""
    order = np.lexsort((values, kinds))
    sizes = np.bincount(kinds)
    rank = np.empty(len(kinds), np.int64)
    rank[order] = np.arange(len(kinds)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    group = rank * groups // sizes[kinds]
    return np.unique(kinds * groups + group, return_inverse=True)[1].astype(np.int64)


def of_noise(curve: Floats, steps: Sequence[int], seed: int) -> tuple[float, float]:
    """The 95 % quantile of the bumps of monotone curves with this one's noise, and the share with as large a one."""
    from scipy.optimize import isotonic_regression

    if len(curve) < 4:
        return float("inf"), 1.0
    x = np.log(np.asarray(steps, np.float64))
    level = min(
        (np.asarray(isotonic_regression(curve, increasing=up).x, np.float64) for up in (False, True)),
        key=lambda fit: float(((curve - fit) ** 2).sum()),
    )
    noise = np.sqrt(roughness(curve[:, None], x).mean())
    random = np.random.default_rng([seed, 19])
    found, _ = bumps(level[:, None] + noise * random.normal(size=(len(curve), NOISY)))
    (own,), _ = bumps(curve[:, None])
    return float(np.quantile(found, 0.95)), float((1 + (found >= own).sum()) / (1 + NOISY))


def _curve(chosen: TokenSet, series: ScoredSeries, means: Floats, turns: dict[int, str]) -> tuple[DescentPoint, ...]:
    members = np.flatnonzero(chosen.all)
    low, high = band(series.nats[:, members], members, len(chosen.all))
    ends = [[None] * len(means) if one is None else np.exp(one).tolist() for one in (low, high)]
    return tuple(
        DescentPoint(step, float(np.exp(means[place])), ends[0][place], ends[1][place], turns.get(place, ""))
        for place, step in enumerate(series.steps)
    )


def _dated(chosen: TokenSet, series: ScoredSeries, seed: int) -> tuple[list[tuple[int | None, int | None]], float]:
    """Between which steps low, peak and end lie when the blocks of the text are drawn again, and how large the bump is
    at most.
    """
    members = np.flatnonzero(chosen.all)
    sums, sizes = block_sums(series.nats[:, members].astype(np.float64), members, len(chosen.all))
    draws = np.random.default_rng([seed, 7]).integers(0, len(sizes), (DRAWS, len(sizes)))
    curves = sums[:, draws].sum(axis=2) / sizes[draws].sum(axis=1)
    sized, peaks = bumps(curves)
    place = np.arange(len(curves))[:, None]
    lows = np.where(place <= peaks, curves, np.inf).argmin(axis=0)
    ends = np.where(place >= peaks, curves, np.inf).argmin(axis=0)
    found = [np.quantile(one, [0.025, 0.975], method="nearest") for one in (lows, peaks, ends)]
    dated: list[tuple[int | None, int | None]] = [(series.steps[int(a)], series.steps[int(b)]) for a, b in found]
    return dated, float(np.quantile(sized, 0.975))
