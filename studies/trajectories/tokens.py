"""What trends of tokens and corrupted texts say to the claims."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import kaibo

SCALE = "nursery"
"""What is measured here are the members of a small family; the source's claims are about OPT."""


def of_shares(rows: Any) -> list[kaibo.Outcome]:
    """How the shares of the classes move with the start and with size."""
    by_run: dict[str, list[Any]] = {}
    for row in rows:
        if row.shares.get("stagnated") is not None:
            by_run.setdefault(row.model, []).append(row)
    if not by_run:
        return []
    runs = [sorted(several, key=lambda row: float(row.start)) for several in by_run.values()]
    smallest, largest = runs[0][-1], runs[-1][-1]
    return [
        rises("finished-grows", runs[-1][0], largest),
        rises("larger-faster", smallest, largest),
        holds("moving-falls", all(moving(run[-1]) < moving(run[0]) for run in runs)),
        holds("none-finished", all(run[-1].shares["stagnated"] < 1.0 for run in runs)),
    ]


def rises(name: str, before: Any, after: Any) -> kaibo.Outcome:
    """Whether the share of finished tokens is higher after than before; nothing where the intervals overlap."""
    if after.shares_low["stagnated"] > before.shares_high["stagnated"]:
        return holds(name, True)
    if after.shares_high["stagnated"] < before.shares_low["stagnated"]:
        return holds(name, False)
    why = "the shares of finished tokens have intervals that overlap: too few checkpoints"
    return kaibo.Outcome(name, None, scale=SCALE, why=why)


def moving(row: Any) -> float:
    """The share of tokens that are learned or forgotten."""
    return float(row.shares["upward"] + row.shares["downward"])


def of_sets(found: Any) -> list[kaibo.Outcome]:
    """Whether larger runs contain what smaller ones learned, and whether what rises in small ones falls again."""
    out = []
    order = list(dict.fromkeys(row.model for row in found.shares.rows))
    learned = [row for row in found.containment.rows if row.trend == "downward"]
    up = [row.contained for row in learned if order.index(row.set_of) < order.index(row.inside)]
    down = [row.contained for row in learned if order.index(row.set_of) > order.index(row.inside)]
    if up and down:
        out.append(holds("contained", sum(up) / len(up) > sum(down) / len(down)))
    others = [row for row in found.descent.rows if row.trend == "upward" and not row.own]
    if others:
        out.append(holds("double-descent", any(row.found for row in others)))
    return out


def of_noise(corrupted: Any, sizes: Mapping[str, int]) -> list[kaibo.Outcome]:
    """Whether perplexity on random tokens falls with size even where all are random."""
    rows = [row for row in corrupted.rows if row.share == 1.0]
    ordered = [row.nats / row.tokens for row in sorted(rows, key=lambda row: sizes.get(row.model, 0))]
    return [holds("noise-falls", ordered[-1] < ordered[0])] if len(ordered) > 1 else []


def holds(name: str, value: bool) -> kaibo.Outcome:
    """Whether something holds in the family."""
    return kaibo.Outcome(name, bool(value), scale=SCALE)
