"""Early against late, small against large: the same test on both sides, so that only the tokens can differ.

A later start has fewer checkpoints and a shorter stretch of log(step), so that the same slope is found less often and
tokens look finished. Here both sides have the same number of checkpoints at the same distances in log(step), and the
quieter side is given noise until both are equally noisy.

    steps ─▶ two windows of equal log width ─▶ checkpoints paired by distance ─▶ equal noise ─▶ classes ─▶ change
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from kaibo.chapters.trends.classes import (
    CLASSES,
    DOWNWARD,
    UPWARD,
    Codes,
    block_edges,
    classified,
    named_shares,
)
from kaibo.chapters.trends.curves import roughness
from kaibo.chapters.trends.rows import WindowRow
from kaibo.chapters.trends.scored import ScoredSeries
from kaibo.uncertainty.autoregression import LEAST
from kaibo.uncertainty.intervals import student
from kaibo.words import note

Floats = NDArray[np.float64]
Places = NDArray[np.intp]

NOTES = (
    note("trends_windows_alike"),
    note("trends_windows_moving"),
    note("trends_windows_change"),
)
NEAREST = 0.1
"""How far apart two paired checkpoints may lie, as a part of the width of the windows."""

ENOUGH = 8
"""Checkpoints a window with which the beginning is not looked for earlier."""

TINY = 1e-12
"""Variance of nats that is rounding."""

BINS = 20
"""Groups of tokens of like roughness in which the noise of both sides is made equal."""

EARLIER = (1.0, 0.5, 0.2, 0.1, 0.0)
"""Parts of the first start that are tried as the beginning until both windows have enough checkpoints."""


@dataclass(frozen=True, eq=False)
class Alike:
    """Classes of all tokens on two sides that were made alike, and the checkpoints that were used."""

    first: Codes = field(repr=False)
    second: Codes = field(repr=False)
    places: tuple[Places, Places] = field(repr=False)


def early_and_late(one: ScoredSeries, start: float, seed: int) -> tuple[WindowRow, Alike | None]:
    """A run in two halves of log(step), from a start on, or from earlier where that leaves too few checkpoints."""
    x = np.log(np.asarray(one.steps, np.float64))

    def halves(part: float) -> tuple[Places, Places] | None:
        begin = float(x[one.begins(part * start)])
        middle = (begin + float(x[-1])) / 2
        return paired(x - begin, x - middle, middle - begin)

    return _most((one, one), [halves(part) for part in EARLIER], seed)


def late(small: ScoredSeries, large: ScoredSeries, start: float, seed: int) -> tuple[WindowRow, Alike | None]:
    """Two runs over the later half of log(step), each counted back from its own last step."""
    both = (small, large)
    back = [np.log(np.asarray(one.steps, np.float64) / one.steps[-1]) for one in both]

    def halves(part: float) -> tuple[Places, Places] | None:
        width = -max(float(x[one.begins(part * start)]) for x, one in zip(back, both, strict=True)) / 2
        return paired(back[0] + width, back[1] + width, width)

    return _most(both, [halves(part) for part in EARLIER], seed)


def _most(
    series: tuple[ScoredSeries, ScoredSeries], tried: Sequence[tuple[Places, Places] | None], seed: int
) -> tuple[WindowRow, Alike | None]:
    """The latest windows with enough checkpoints, else those with the most; a row that says why where none has five."""
    known = [one for one in tried if one is not None]
    if not known:
        why = note("trends_few_places", least=LEAST)
        return WindowRow(series[0].model, series[1].model, 0, len(series[0].tokens), why={"change": why}), None
    most = max(len(one[0]) for one in known)
    return _compared(series, next(one for one in known if len(one[0]) >= min(ENOUGH, most)), seed)


def paired(first: Floats, second: Floats, width: float) -> tuple[Places, Places] | None:
    """Checkpoints of two windows [0, width] at the same offsets; None where fewer than five pairs are found.

    >>> early, late = paired(np.arange(12.0), np.arange(12.0) - 6.0, 5.0)
    >>> early.tolist(), late.tolist()
    ([0, 1, 2, 3, 4, 5], [6, 7, 8, 9, 10, 11])
    """
    slack = 1e-9 * max(width, 1.0)
    inside = [np.flatnonzero((x >= -slack) & (x <= width + slack)) for x in (first, second)]
    if min(len(one) for one in inside) < LEAST:
        return None
    gaps = np.abs(first[inside[0]][:, None] - second[inside[1]][None, :])
    pairs, taken = [], -1
    for row, near in enumerate(gaps):
        free = near[taken + 1 :]
        if not len(free):
            break
        place = taken + 1 + int(free.argmin())
        if near[place] <= NEAREST * width and gaps[:, place].argmin() == row:
            pairs.append((int(inside[0][row]), int(inside[1][place])))
            taken = place
    if len(pairs) < LEAST:
        return None
    both = np.asarray(pairs, np.intp)
    return both[:, 0], both[:, 1]


def _compared(
    series: tuple[ScoredSeries, ScoredSeries], places: tuple[Places, Places], seed: int
) -> tuple[WindowRow, Alike]:
    nats = [one.nats[at].astype(np.float64) for one, at in zip(series, places, strict=True)]
    steps = [np.asarray(one.steps, np.float64)[at] for one, at in zip(series, places, strict=True)]
    x = [np.log(one / one[0]) for one in steps]
    as_noisy(nats, x, np.random.default_rng([seed, 17]))
    codes = [classified(values, at).uncorrected for values, at in zip(nats, x, strict=True)]
    first, second = (_with_moving(code) for code in codes)
    change, low, high, p = _changes(*codes)
    row = WindowRow(
        series[0].model, series[1].model, len(places[0]), nats[0].shape[1],
        int(steps[0][0]), int(steps[0][-1]), int(steps[1][0]), int(steps[1][-1]), first, second, change, low, high, p,
    )  # fmt: skip
    return row, Alike(codes[0], codes[1], places)


def as_noisy(nats: Sequence[Floats], x: Sequence[Floats], random: np.random.Generator) -> None:
    """Adds noise to the quieter of two sides (checkpoints, tokens): checkpoint by checkpoint, in each group of tokens
    of like roughness.

    Tokens are grouped by every other checkpoint and the noise of a group is measured at those between: groups that were
    chosen for little noise would otherwise be given too little.
    """
    rough = [roughness(values, at) for values, at in zip(nats, x, strict=True)]
    profiles = [one.mean(axis=1) for one in rough]
    order = np.argsort(sum(one[1:-1:2].mean(axis=0) / max(one.mean(), TINY) for one in rough), kind="stable")
    for group in np.array_split(order, min(BINS, max(1, len(order) // 20))):
        levels = [
            profile * (one[2:-1:2, group].mean() / max(one[2:-1:2].mean(), TINY))
            for one, profile in zip(rough, profiles, strict=True)
        ]
        for side, lacking in enumerate((levels[1] - levels[0], levels[0] - levels[1])):
            scale = np.sqrt(np.maximum(lacking, 0.0))[:, None]
            nats[side][:, group] += scale * random.normal(size=(len(scale), len(group)))


def _with_moving(codes: Codes) -> dict[str, float]:
    shares = named_shares(codes)
    return {**shares, "moving": shares["upward"] + shares["downward"]}


def _changes(
    first: Codes, second: Codes
) -> tuple[dict[str, float], dict[str, float], dict[str, float], dict[str, float]]:
    """The paired change of every share, its interval over blocks of neighbouring tokens, and its p."""
    masks = {name: [codes == place for codes in (first, second)] for place, name in enumerate(CLASSES)}
    masks["moving"] = [(codes == UPWARD) | (codes == DOWNWARD) for codes in (first, second)]
    found: tuple[dict[str, float], ...] = ({}, {}, {}, {})
    for name, (before, after) in masks.items():
        said = _paired_change(after.astype(np.float64) - before)
        for into, value in zip(found, said, strict=True):
            into[name] = value
    return found[0], found[1], found[2], found[3]


def _paired_change(difference: Floats) -> tuple[float, float, float, float]:
    """Mean, 95 % interval and p of paired differences over blocks; never narrower than three blocks would allow."""
    from scipy.special import stdtr

    edges = block_edges(len(difference))
    blocks, mean = len(edges), float(difference.mean())
    if blocks < 4:
        return mean, -1.0, 1.0, 1.0
    sizes = np.diff([*edges, len(difference)])
    left = np.add.reduceat(difference, edges) - sizes * mean
    error = float(np.sqrt(blocks / (blocks - 1) * (left**2).sum())) / len(difference)
    floor = 1.0 / len(difference)  # where no token changed, one more or less could have
    error = max(error, floor)
    reach = student(blocks - 1) * error
    p = 2 * float(stdtr(blocks - 1, -abs(mean) / error))
    return mean, max(mean - reach, -1.0), min(mean + reach, 1.0), p
