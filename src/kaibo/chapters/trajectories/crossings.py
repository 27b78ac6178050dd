"""Where a larger model overtakes a smaller one along training FLOPs, and whether the lead is more than noise.

The lead is looked for at all FLOPs that both reach, so its largest value is above 0 where nobody leads: it is held
against the largest lead of curves that differ by noise alone.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from kaibo.chapters.trends.curves import roughness
from kaibo.uncertainty.discovery import benjamini_hochberg
from kaibo.vocabulary.scores import ScoreTable

Floats = NDArray[np.float64]

LEVEL = 0.05
"""Of the false discovery rate below which a lead is called one."""

GRID = 200
DRAWS = 999

SINGLE = 1.644854
"""The 95 % point of the normal distribution: what a lead must reach where all errors of a run are one and the same."""

CHI = 0.4549364
"""The median of χ² with one degree of freedom."""


@dataclass(frozen=True)
class Crossing:
    """Where a larger model overtakes a smaller one along training FLOPs: at `flops`, after the smaller led by up to
    `lead`, `lead_errors` standard errors of the difference.

    `p` is the share of pairs of equal curves, off by their noise alone, that have as large a lead somewhere; `q` after
    Benjamini–Hochberg over the pairs of the score. Where q is below 0.05 the lead is `clear`; `flops` is None where it
    is not, or where the smaller still leads at the last FLOPs that both reach (`still_leads`). `lead_high` is the most
    by which it may lead anywhere, with 95 %. `larger_first` says that the larger one has a clear lead at fewer FLOPs.
    """

    benchmark: str
    small: str
    large: str
    flops: float | None
    lead: float
    lead_errors: float | None
    still_leads: bool
    p: float | None = None
    q: float | None = None
    clear: bool = False
    lead_high: float | None = None
    larger_first: bool = False


def crossings(
    table: ScoreTable, name: str, y: Floats, error: Floats | None, better: float, seed: int = 0
) -> tuple[Crossing, ...]:
    """Neighbouring sizes along FLOPs, each a line between its checkpoints, smoothed over three of them.

    `y` are the scores, higher ones better where `better` is 1 and worse where it is −1; `error` their standard errors.
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        log_flops, size = np.log10(table.flops), table.fact("parameters")
    named = table.labels.get("model", table.models)
    found = []
    for place, (small, large) in enumerate(pairwise(np.unique(size))):
        rows = [np.flatnonzero((size == one) & np.isfinite(log_flops)) for one in (small, large)]
        rows = [one[np.argsort(log_flops[one])] for one in rows]
        if any(len(one) < 3 for one in rows):
            continue  # FLOPs are not known, or there are too few checkpoints to know their noise
        begin, end = max(log_flops[one[0]] for one in rows), min(log_flops[one[-1]] for one in rows)
        if not end > begin:
            continue
        grid = np.linspace(begin, end, GRID)
        bends = [_bend(log_flops[one], y[one], grid) for one in rows]
        readings = [_reading(log_flops[one], grid) for one in rows]
        noises = [_noise(log_flops[one], y[one], None if error is None else error[one]) for one in rows]
        scores = [better * y[one] for one in rows]
        who = (name, *(str(named[int(one[0])]) for one in rows))
        found.append(
            _crossing(
                who, grid, (readings, noises, scores), bends[0] + bends[1], np.random.default_rng([seed, 29, place])
            )
        )
    return _corrected(found)


def _corrected(rows: list[Crossing]) -> tuple[Crossing, ...]:
    """The crossings of a score with q over its pairs; what is not clear is overtaken nowhere."""
    rates = benjamini_hochberg([np.nan if one.p is None else one.p for one in rows])
    return tuple(_called(one, q) for one, q in zip(rows, rates, strict=True))


def _called(one: Crossing, q: float | None) -> Crossing:
    clear = q is not None and q < LEVEL
    return replace(
        one, q=q, clear=clear, flops=one.flops if clear else None, still_leads=one.still_leads and clear
    )  # fmt: skip


def _reading(x: Floats, grid: Floats) -> Floats:
    """The matrix that smooths scores at `x` and reads a line through them on a grid.

    Each score is averaged with the line between its neighbours, two parts to one: three even checkpoints weigh alike,
    and a straight climb stays as it is, however unevenly checkpoints lie.
    """
    smooth = np.eye(len(x))
    for at in range(1, len(x) - 1):
        share = (x[at + 1] - x[at]) / max(x[at + 1] - x[at - 1], 1e-12)
        smooth[at, at - 1 : at + 2] = 2 / 3 * share, 1 / 3, 2 / 3 * (1 - share)
    return np.stack([np.interp(grid, x, column) for column in smooth.T], axis=1)


def _bend(x: Floats, y: Floats, grid: Floats) -> Floats:
    """By how much a curve may lie off the line over a gap that is twice as wide as usual: h²/8 of its second
    derivative at the ends of the gap, 0 elsewhere.
    """
    gaps = np.diff(x)
    slopes = np.diff(y) / np.maximum(gaps, 1e-12)
    second = np.abs(np.diff(slopes)) / np.maximum((gaps[1:] + gaps[:-1]) / 2, 1e-12)
    ends = np.maximum(np.r_[second[:1], second], np.r_[second, second[-1:]])
    place = np.clip(np.searchsorted(x, grid, side="right") - 1, 0, len(gaps) - 1)
    within = (grid - x[place]) * np.maximum(x[place + 1] - grid, 0) / 2
    return np.asarray(np.where(gaps[place] > 2 * np.median(gaps), within * ends[place], 0.0), np.float64)


def _noise(x: Floats, y: Floats, error: Floats | None) -> Floats:
    """The noise of each checkpoint: its standard error, or how far checkpoints lie from the line between their
    neighbours (by the median) where that is more.
    """
    apart = np.unique(x, return_index=True)[1]
    rough = np.sqrt(np.median(roughness(y[apart][:, None], x[apart])[1:-1]) / CHI) if len(apart) >= 3 else 0.0
    return np.maximum(rough, np.zeros(len(x)) if error is None else np.nan_to_num(error))


def _crossing(
    who: tuple[str, ...], grid: Floats, curves: tuple[list[Floats], list[Floats], list[Floats]], bend: Floats,
    random: np.random.Generator,
) -> Crossing:  # fmt: skip
    readings, noises, scores = curves
    lead = readings[0] @ scores[0] - readings[1] @ scores[1]
    best, most = int(np.argmax(lead)), float(lead.max())
    # Checkpoints answer the same questions: at worst all errors of a run are one, and smoothing removes none.
    spread = np.sqrt(sum((reading @ noise) ** 2 for reading, noise in zip(readings, noises, strict=True)))
    benchmark, small, large = who
    if not (spread > 1e-9).all():  # neither standard errors nor noise: nothing to hold a lead against
        return Crossing(benchmark, small, large, _overtaken(grid, lead, best), max(most, 0.0), None, _leads_on(lead))
    drawn = sum(
        sign * (random.normal(size=(DRAWS, len(noise))) * noise) @ reading.T
        for sign, reading, noise in zip((1, -1), readings, noises, strict=True)
    )
    null = (drawn / spread).max(axis=1)
    highest = float(((lead - bend) / spread).max())
    limit = max(float(np.quantile(null, 0.95)), SINGLE)
    behind = np.flatnonzero((lead + bend) / spread < -limit)
    return Crossing(
        benchmark, small, large, _overtaken(grid, lead, best), max(most, 0.0), highest, _leads_on(lead),
        _chance(highest, null), None, False, float((lead + bend + limit * spread).max()),
        bool(len(behind) and behind[0] < best),
    )  # fmt: skip


def _chance(highest: float, null: Floats) -> float:
    """How often noise has as large a lead: where errors are independent, or one and the same, whichever is more."""
    from scipy.special import ndtr

    return max(float((1 + (null >= highest).sum()) / (1 + len(null))), float(ndtr(-highest)))


def _leads_on(lead: Floats) -> bool:
    return bool(lead.max() > 0 and lead[-1] > 0)


def _overtaken(grid: Floats, lead: Floats, best: int) -> float | None:
    """The first FLOPs after the smaller model's best moment at which it does not lead."""
    after = np.flatnonzero(lead[best:] <= 0)
    return float(10 ** grid[best + int(after[0])]) if lead.max() > 0 and len(after) else None
