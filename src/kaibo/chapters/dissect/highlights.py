"""What stands out in a model: the few facts that become the plain sentences at the head of its page."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from kaibo.chapters.diff.rows import DifferenceRow
from kaibo.chapters.digits.rows import DigitsRow
from kaibo.chapters.stats.rows import ProfileRow, StatsRow
from kaibo.vocabulary import DTYPES, Finding
from kaibo.vocabulary.seen import ENOUGH

FEWEST = 4096
"""A tensor with fewer values than this is not asked for its tails: a fourth moment of few values is noise."""

SENTENCES = 5


@dataclass(frozen=True)
class Highlight:
    """One fact worth a sentence: which sentence, and the values in it."""

    key: str
    values: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Changed:
    """What a model was compared with: the base's address, the whole of the difference (None: nothing met), and how
    many tensors stand in only one of the two."""

    base: str
    whole: DifferenceRow | None
    unmatched: int


def highlights(
    digits: Finding[DigitsRow],
    whole: Finding[StatsRow],
    tensors: Finding[StatsRow],
    profile: Finding[ProfileRow],
    changed: Changed | None = None,
    stored: Sequence[str] = (),
) -> tuple[Highlight, ...]:
    """The five facts about one model that matter most, from the findings about the whole and about its tensors.

    What changed from a base comes first, then damage, what the model is, its digits, a hidden grid, its tails, its
    entropy, and where the weights are widest. Each sentence holds for the whole model: nothing that was left out of
    the question could have been the answer. Where less than nine tenths of the parameters were seen, only that is said.
    `stored` says how the weights lie in their files, where some are packed.
    """
    seen = (whole.rows[0].seen if whole.rows[0].seen is not None else 1.0) if whole.rows else 0.0
    if seen < ENOUGH:
        return (Highlight("seen", {"share": seen}),)
    model = whole.rows[0]
    layers = len({row.layer for row in profile.rows}) or None
    candidates = (
        None if changed is None else _changed(changed),
        _nonfinite(tensors.rows, model),
        Highlight("size", {"parameters": model.n, "layers": layers, "dtype": stored or model.dtypes}),
        _digits(digits.rows[0]),
        _grid(tensors.rows),
        _tails(tensors.rows),
        _entropy(tensors.rows, model),
        _widest(tensors.rows),
        Highlight("zeros", {"zeros": model.zeros, "share": model.zeros / model.n if model.n else 0.0}),
        _norms(tensors.rows),
    )
    return tuple(found for found in candidates if found is not None)[:SENTENCES]


def _changed(changed: Changed) -> Highlight:
    row = changed.whole
    values: dict[str, Any] = {"base": changed.base, "unmatched": changed.unmatched}
    if row is None:
        return Highlight("changed", {**values, "n": 0})
    same = row.identical == row.tensors or (row.l0 == 0 and not row.nonfinite)
    return Highlight(
        "changed",
        {
            **values,
            "n": row.n,
            "differ": 0 if same else row.l0,
            "share": 0.0 if same else row.changed,
            "relative": None if math.isnan(row.relative) else row.relative,
            "times": row.times_resolution,
        },
    )


def _nonfinite(tensors: Sequence[StatsRow], model: StatsRow) -> Highlight | None:
    if not model.nonfinite:
        return None
    damaged = sum(row.nonfinite > 0 for row in tensors)
    return Highlight("nonfinite", {"count": model.nonfinite, "tensors": damaged})


def _digits(row: DigitsRow) -> Highlight | None:
    if math.isnan(row.mae):
        return None
    nulls = [null for null in (row.gaussian_mae, row.mixture_mae) if not math.isnan(null)]
    surely = row.mae if row.mae_high is None or math.isnan(row.mae_high) else row.mae_high
    closer = None if not nulls else "null" if row.mae >= min(nulls) else "law" if surely < min(nulls) else None
    values = {"mae": row.mae, "gaussian_mae": row.gaussian_mae, "mixture_mae": row.mixture_mae}
    return Highlight("digits", {**values, "conformity": row.conformity, "closer": closer})


def _grid(tensors: Sequence[StatsRow]) -> Highlight | None:
    """A tensor of one value lies on any grid and says nothing."""
    weights: dict[str, int] = {}
    for row in tensors:
        if row.grid is not None and row.minimum < row.maximum:
            weights[row.grid] = weights.get(row.grid, 0) + row.n
    if not weights:
        return None
    commonest = max(sorted(weights), key=lambda name: weights[name])
    return Highlight("grid", {"grid": commonest, "share": weights[commonest] / sum(row.n for row in tensors)})


def _tails(tensors: Sequence[StatsRow]) -> Highlight | None:
    large = [row for row in tensors if row.n >= FEWEST and not math.isnan(row.kurtosis)]
    if not large:
        return None
    row = max(large, key=lambda row: row.kurtosis)
    values: dict[str, Any] = {"tensor": row.key, "kurtosis": row.kurtosis, "fewest": FEWEST}
    for times, beyond, expected in ((6, row.beyond6, row.gaussian6), (3, row.beyond3, row.gaussian3)):
        if beyond > expected:
            return Highlight("tails", {**values, "sigmas": times, "beyond": beyond, "expected": expected})
    return Highlight("tails", values)


def _entropy(tensors: Sequence[StatsRow], model: StatsRow) -> Highlight | None:
    """Of narrow types only: for 32 bit the census does not see the lower half's entropy."""
    bits = {DTYPES[name].bits for name in model.dtypes}
    if len(bits) != 1 or max(bits) > 16 or math.isnan(model.entropy):
        return None
    stored = bits.pop()
    per_tensor = math.fsum(row.entropy * row.n for row in tensors) / model.n if model.n else math.nan
    return Highlight("entropy", {"bits": per_tensor, "stored_bits": stored, "saving": 1 - per_tensor / stored})


def _widest(tensors: Sequence[StatsRow]) -> Highlight | None:
    """Of all tensors, in and outside the layers, large and small: σ is exact for each."""
    known = [row for row in tensors if row.std > 0]
    if not known:
        return None
    row = max(known, key=lambda row: row.std)
    return Highlight("widest", {"tensor": row.key, "std": row.std, "n": row.n})


def _norms(tensors: Sequence[StatsRow]) -> Highlight | None:
    known = [row for row in tensors if row.l2 > 0]
    if not known:
        return None
    row = max(known, key=lambda row: row.l2)
    return Highlight("norms", {"tensor": row.key, "l1": row.l1, "l2": row.l2})
