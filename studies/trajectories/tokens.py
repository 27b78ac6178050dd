"""What trends of tokens and corrupted texts say to the claims.

Each outcome is true only where an interval says so, false only where one excludes it, and open otherwise; the worlds in
which each must hold and must fail are simulated in the tests, and the rates stand in docs/howto/trends.md.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import kaibo

MARGIN = 0.02
"""A change of a share by less than two points of a hundred is called none."""

NESTED = 0.5
"""Of what could lie in both sets beyond chance, the share from which one is said to lie in the other."""

BUMP = 0.05
"""Nats below which a rise and fall is called none."""

SOME = 0.01
"""The share of tokens that must be shown to move, so that a few false calls do not make a run unfinished."""

UNFINISHED = 0.9
"""The share of finished tokens from which a run is said to have finished them."""


def of_trends(found: Any, scale: str) -> list[kaibo.Outcome]:
    """What the shares, the windows, the sets and the bumps of several runs say."""
    order = list(dict.fromkeys(row.model for row in found.shares.rows))
    own = [row for row in found.windows.rows if row.first == row.second]
    ends = [row for row in found.windows.rows if (row.first, row.second) == (order[0], order[-1])]
    return [
        each("moving-falls", own, lambda row: changed(row, "moving", -1), scale),
        each("finished-grows", own, lambda row: changed(row, "stagnated", 1), scale),
        each("larger-faster", ends if len(order) > 1 else [], lambda row: changed(row, "stagnated", 1), scale),
        each("none-finished", last_starts(found.shares.rows), unfinished, scale),
        contained(found, order, scale),
        double_descent(found, order, scale),
    ]


def unmeasured() -> list[kaibo.Outcome]:
    """The outcomes where nothing was given that answers them: what to give."""
    return [kaibo.Outcome(name, None, why=what) for name, what in NEEDS.items()]


def each(
    name: str, rows: Sequence[Any], says: Callable[[Any], bool | None], scale: str, why: str = ""
) -> kaibo.Outcome:
    """Whether all rows say so: false where one says the opposite, open where one cannot tell or there is none."""
    said = [says(row) for row in rows]
    if rows and all(one is True for one in said):
        return kaibo.Outcome(name, True, scale=scale, n=len(rows))
    if any(one is False for one in said):
        return kaibo.Outcome(name, False, scale=scale, n=len(rows))
    reasons = [text for row in rows for text in getattr(row, "why", {}).values()]
    told = why or next(iter(reasons), "") or OPEN.get(name, "")
    return kaibo.Outcome(name, None, scale=scale, why=told if rows else NEEDS[name])


OPEN = {
    "moving-falls": kaibo.note("trajectory_open_moving_falls"),
    "finished-grows": kaibo.note("trajectory_open_finished_grows"),
    "larger-faster": kaibo.note("trajectory_open_larger_faster"),
    "none-finished": kaibo.note("trajectory_open_none_finished"),
    "contained": kaibo.note("trajectory_open_contained"),
    "double-descent": kaibo.note("trajectory_open_double_descent"),
}
NEEDS = {
    "moving-falls": kaibo.note("trajectory_needs_windows"),
    "finished-grows": kaibo.note("trajectory_needs_windows"),
    "larger-faster": kaibo.note("trajectory_needs_larger_faster"),
    "none-finished": kaibo.note("trajectory_needs_none_finished"),
    "contained": kaibo.note("trajectory_needs_contained"),
    "double-descent": kaibo.note("trajectory_needs_double_descent"),
    "noise-falls": kaibo.note("trajectory_needs_noise_falls"),
    "wrong-options-fall": kaibo.note("trajectory_needs_wrong_options_fall"),
}


def changed(row: Any, name: str, sign: int) -> bool | None:
    """Whether a share changes by more than the margin in the direction of `sign`."""
    if name not in row.change:
        return None
    low, high = sorted((sign * row.change_low[name], sign * row.change_high[name]))
    return True if low > MARGIN else False if high < MARGIN else None


def last_starts(rows: Any) -> list[Any]:
    """The row of the latest start of each run that has shares."""
    last = {row.model: row for row in sorted(rows, key=lambda row: row.start) if row.shares["stagnated"] is not None}
    return list(last.values())


def unfinished(row: Any) -> bool | None:
    """Whether some tokens still move after correction, or nearly all have settled."""
    if row.shares_low["upward"] is None:
        return None
    moving = max(row.shares_low["upward"], row.shares_low["downward"])
    return True if moving > SOME else False if row.shares_low["stagnated"] > UNFINISHED else None


def contained(found: Any, order: Sequence[str], scale: str) -> kaibo.Outcome:
    """Whether what smaller runs have finished lies in what larger ones have, which have finished more."""
    change = {(row.first, row.second): row for row in found.windows.rows}

    def nested(row: Any) -> bool | None:
        larger = changed(change[row.set_of, row.inside], "stagnated", 1)
        if row.nested_low is None or row.nested_high is None:
            return None
        if row.nested_high < NESTED or larger is False:
            return False
        return True if row.nested_low > NESTED and row.p < 0.05 and larger else None

    rows = [
        row for row in found.containment.rows
        if row.trend == "stagnated" and order.index(row.set_of) < order.index(row.inside)
    ]  # fmt: skip
    return each("contained", rows, nested, scale)


def double_descent(found: Any, order: Sequence[str], scale: str) -> kaibo.Outcome:
    """Whether what the smallest run forgets rises and falls again in the largest: one set, one run, one test."""
    rows = [
        row for row in found.descent.rows
        if row.trend == "upward" and (row.set_of, row.model) == (order[0], order[-1]) and not row.own
    ]  # fmt: skip

    def bump(row: Any) -> bool | None:
        if row.p < 0.05:
            return True
        return False if row.bump_high is not None and row.bump_high < BUMP else None

    return each("double-descent", rows, bump, scale)


def of_noise(corrupted: Any, sizes: dict[str, int], scale: str) -> list[kaibo.Outcome]:
    """Whether perplexity on random tokens falls with size even where all are random: smallest against largest."""
    rows = sorted((row for row in corrupted.rows if row.share == 1.0), key=lambda row: sizes.get(row.model, 0))
    if len({sizes.get(row.model) for row in rows}) < 2:
        return []
    small, large = rows[0], rows[-1]
    if None in (small.ppl_low, small.ppl_high, large.ppl_low, large.ppl_high):
        return [kaibo.Outcome("noise-falls", None, scale=scale, why=kaibo.note("trajectory_short_noise"))]
    falls = large.ppl_high < small.ppl_low
    if falls or large.ppl_low > small.ppl_high:
        return [kaibo.Outcome("noise-falls", falls, scale=scale, n=len(rows))]
    return [kaibo.Outcome("noise-falls", None, scale=scale, why=kaibo.note("trajectory_open_noise"))]
