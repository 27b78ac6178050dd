"""Where a larger model overtakes a smaller one along training FLOPs, and whether the lead is more than noise."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from kaibo.vocabulary.scores import ScoreTable

Floats = NDArray[np.float64]


CLEAR = 2.0
"""Standard errors of the difference from which a lead is called one."""


@dataclass(frozen=True)
class Crossing:
    """Where a larger model overtakes a smaller one along training FLOPs: at `flops`, after the smaller led by up to
    `lead`, `lead_errors` standard errors of the difference. `flops` is None where the smaller never led clearly, or
    where it still leads at the last FLOPs that both reach (`still_leads`).
    """

    benchmark: str
    small: str
    large: str
    flops: float | None
    lead: float
    lead_errors: float | None
    still_leads: bool


def crossings(table: ScoreTable, name: str, y: Floats, error: Floats | None, better: float) -> tuple[Crossing, ...]:
    """Neighbouring sizes along FLOPs, each a line between its checkpoints, smoothed over three of them.

    `y` are the scores, higher ones better where `better` is 1 and worse where it is −1; `error` their standard errors.
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        log_flops, size = np.log10(table.flops), table.fact("parameters")
    named = table.labels.get("model", table.models)
    found = []
    for small, large in pairwise(np.unique(size)):
        curves = []
        for one in (small, large):
            rows = np.flatnonzero(size == one)
            rows = rows[np.argsort(log_flops[rows])]
            curves.append((log_flops[rows], _smoothed(better * y[rows])))
        begin, end = max(c[0][0] for c in curves), min(c[0][-1] for c in curves)
        if not end > begin:  # nor where FLOPs are not known
            continue
        grid = np.linspace(begin, end, 400)
        lead = np.interp(grid, *curves[0]) - np.interp(grid, *curves[1])
        noise = None if error is None else float(np.sqrt(2) * np.nanmedian(error[np.isin(size, (small, large))]))
        first, second = (str(named[int(np.flatnonzero(size == one)[0])]) for one in (small, large))
        found.append(_crossing((name, first, second), grid, lead, noise))
    return tuple(found)


def _smoothed(values: Floats) -> Floats:
    padded = np.concatenate([values[:1], values, values[-1:]])
    smooth: Floats = (padded[:-2] + padded[1:-1] + padded[2:]) / 3
    return smooth


def _crossing(who: tuple[str, str, str], grid: Floats, lead: Floats, noise: float | None) -> Crossing:
    most = float(lead.max())
    errors = most / noise if noise else None
    ahead = np.flatnonzero(lead > 0)
    real = most > 0 and (errors is None or errors >= CLEAR)
    if not real or ahead[-1] == len(grid) - 1:
        return Crossing(*who, None, max(most, 0.0), errors, real)
    # the last change of lead after the smaller model's best moment
    best = int(np.argmax(lead))
    after = np.flatnonzero(lead[best:] <= 0)
    place = best + int(after[0])
    return Crossing(*who, float(10 ** grid[place]), most, errors, False)
