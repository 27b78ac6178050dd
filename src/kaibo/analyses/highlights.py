"""What stands out in a model: the few facts that become the plain sentences at the head of its page."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from kaibo.analyses.records import DigitsRow, ProfileRow, StatsRow
from kaibo.analyses.seen import ENOUGH
from kaibo.vocabulary import DTYPES, Finding

FEWEST = 4096
"""A tensor with fewer values than this is not called the one with the heaviest tails."""

SENTENCES = 5


@dataclass(frozen=True)
class Highlight:
    """One fact worth a sentence: which sentence, and the values in it."""

    key: str
    values: Mapping[str, Any] = field(default_factory=dict)


def highlights(
    digits: Finding[DigitsRow],
    whole: Finding[StatsRow],
    tensors: Finding[StatsRow],
    profile: Finding[ProfileRow],
    seen: float = 1.0,
) -> tuple[Highlight, ...]:
    """The five facts about one model that matter most, from the findings about the whole and about its tensors.

    Damage comes first, then what the model is, its digits, its tails, its entropy, and a hidden grid or where the
    weights are widest. Where less than nine tenths of the parameters were seen, only that is said.
    """
    if not whole.rows or seen < ENOUGH:
        return (Highlight("seen", {"share": seen}),)
    model = whole.rows[0]
    layers = len({row.layer for row in profile.rows}) or None
    candidates = (
        _nonfinite(tensors.rows, model),
        Highlight("size", {"parameters": model.n, "layers": layers, "dtype": model.dtypes}),
        _digits(digits.rows[0]),
        _grid(tensors.rows),
        _tails(tensors.rows),
        _entropy(tensors.rows, model),
        _widest(profile.rows),
        Highlight("zeros", {"zeros": model.zeros, "share": model.zeros / model.n if model.n else 0.0}),
        _norms(tensors.rows),
    )
    return tuple(found for found in candidates if found is not None)[:SENTENCES]


def _nonfinite(tensors: Sequence[StatsRow], model: StatsRow) -> Highlight | None:
    if not model.nonfinite:
        return None
    damaged = sum(row.nonfinite > 0 for row in tensors)
    return Highlight("nonfinite", {"count": model.nonfinite, "tensors": damaged})


def _digits(row: DigitsRow) -> Highlight | None:
    if math.isnan(row.mae):
        return None
    nulls = [null for null in (row.gaussian_mae, row.mixture_mae) if not math.isnan(null)]
    closer = None if not nulls else "law" if row.mae < min(nulls) else "null"
    values = {"mae": row.mae, "gaussian_mae": row.gaussian_mae, "mixture_mae": row.mixture_mae}
    return Highlight("digits", {**values, "conformity": row.conformity, "closer": closer})


def _grid(tensors: Sequence[StatsRow]) -> Highlight | None:
    grids = [row.grid for row in tensors if row.grid is not None]
    if not grids:
        return None
    commonest = max(sorted(set(grids)), key=grids.count)
    return Highlight("grid", {"grid": commonest, "share": grids.count(commonest) / len(tensors)})


def _tails(tensors: Sequence[StatsRow]) -> Highlight | None:
    large = [row for row in tensors if row.n >= FEWEST and not math.isnan(row.kurtosis)]
    if not large:
        return None
    row = max(large, key=lambda row: row.kurtosis)
    values = {"tensor": row.key, "kurtosis": row.kurtosis, "beyond6": row.beyond6, "expected": row.gaussian6}
    return Highlight("tails", values)


def _entropy(tensors: Sequence[StatsRow], model: StatsRow) -> Highlight | None:
    """Of narrow types only: for 32 bit the census does not see the lower half's entropy."""
    bits = {DTYPES[name].bits for name in model.dtypes}
    if len(bits) != 1 or max(bits) > 16 or math.isnan(model.entropy):
        return None
    stored = bits.pop()
    per_tensor = math.fsum(row.entropy * row.n for row in tensors) / model.n if model.n else math.nan
    return Highlight("entropy", {"bits": per_tensor, "stored_bits": stored, "saving": 1 - per_tensor / stored})


def _widest(profile: Sequence[ProfileRow]) -> Highlight | None:
    cells = [row for row in profile if row.n >= FEWEST and not math.isnan(row.std)]
    if not cells:
        return None
    row = max(cells, key=lambda row: row.std)
    return Highlight("widest", {"role": row.role, "layer": row.layer, "std": row.std})


def _norms(tensors: Sequence[StatsRow]) -> Highlight | None:
    if not tensors:
        return None
    row = max(tensors, key=lambda row: row.l2)
    return Highlight("norms", {"tensor": row.key, "l1": row.l1, "l2": row.l2})
