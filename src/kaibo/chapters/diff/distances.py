"""Models made from one base beside each other: how far apart, in which directions, in which order.

Distances are those of the direct difference of two models. The Gram matrix of the task vectors serves cosines only:
an L2 from ‖a‖² + ‖b‖² − 2ab would cancel to nothing for near-equal models.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from kaibo.chapters.census.groups import Group, Key, key_order
from kaibo.chapters.diff.differences import Trimming, tops
from kaibo.chapters.diff.pair_rows import (
    CONFLICT,
    DISTANCES,
    ORDER,
    PAIRS,
    ConflictRow,
    DistanceCell,
    OrderRow,
    PairwiseRow,
)
from kaibo.chapters.diff.rows import Top
from kaibo.chapters.digits.benford import mean_absolute_error
from kaibo.chapters.stats.statistics import norms_hold
from kaibo.errors import UsageError
from kaibo.vocabulary import LEVELS, By, Crossed, CrossRow, Finding, SignRow, Signs, crossed, sums
from kaibo.vocabulary.counts.points import digit_counts
from kaibo.vocabulary.findings import BUFFER
from kaibo.words import note

Placed = TypeVar("Placed", CrossRow, SignRow)

FEW = note("diff_more")

NOTES = (
    note("diff_pairs"),
    note("diff_conflict"),
)


def pairs(
    rows: Sequence[CrossRow], by: By = "model", percents: Sequence[float] = (), of: str = "all"
) -> Finding[PairwiseRow]:
    """Every two tuned models: as a whole, or by layer, role or tensor.

    `percents` are those of the largest |b − a| whose norms are given, of the values that `of` says, within bounds.
    Raises UsageError for an unknown level.
    """
    trimming = Trimming(tuple(percents), of, {})
    kept = [row for row in rows if row.role != BUFFER]
    found = [
        _pair(couple, by, key, members, trimming)
        for couple, of_couple in groupby(kept, lambda row: (row.a, row.b))
        for key, members in _by_key(list(of_couple), by)
    ]
    return Finding(PAIRS, tuple(found), NOTES[:1] if found else ())


def _by_key(rows: Sequence[Placed], by: By) -> Iterator[tuple[Key, list[Placed]]]:
    """Rows gathered at a level, layers by number and what lies outside them last."""
    if by not in LEVELS:
        raise UsageError(f'no level "{by}"', next=f"choose one of {', '.join(LEVELS)}")
    members: dict[Key, list[Placed]] = {}
    for row in rows:
        key: Key = {"model": None, "layer": row.layer, "role": row.role, "tensor": row.tensor}[by]
        members.setdefault(key, []).append(row)
    for key in sorted(members, key=key_order):
        yield key, members[key]


def _pair(couple: tuple[str, str], by: By, key: Key, members: Sequence[CrossRow], trimming: Trimming) -> PairwiseRow:
    whole = crossed(row.crossed for row in members)
    direct = [row.direct.difference for row in members if row.direct is not None]
    cosine, moved = _cosine(whole), whole.same_sign + whole.opposite
    counted = len(direct) == len(members)
    norms = _counted(Group(couple[1], by, key, tuple(direct)), trimming) if counted else _summed(whole)
    return PairwiseRow(
        a=couple[0],
        b=couple[1],
        by=by,
        key=key,
        n=whole.n,
        cosine=cosine,
        sign_conflict=whole.opposite / whole.finite if whole.finite else math.nan,
        sign_conflict_moved=whole.opposite / moved if moved else math.nan,
        l1=norms.l1,
        l2=norms.l2,
        linf=norms.linf,
        counts=norms.counts,
        mae=norms.mae,
        top=norms.top,
        why=_why(cosine, moved, norms, counted),
    )


@dataclass(frozen=True)
class _Norms:
    l1: float
    l2: float
    linf: float | None = None
    counts: tuple[int, ...] = ()
    mae: float | None = None
    top: tuple[Top, ...] = ()


def _counted(group: Group, trimming: Trimming) -> _Norms:
    """Norms, digits and the largest entries, from censuses."""
    censuses = group.censuses()
    found = sums(censuses)
    ends = [abs(end) for census in censuses for end in (census.minimum, census.maximum) if end is not None]
    l1, l2, linf = found.absolute, math.sqrt(found.square), max(ends, default=math.nan)
    assert not found.finite or norms_hold(l1, l2, linf, found.finite), "these cannot be norms of one vector"
    counts = sum((digit_counts(census) for census in censuses), np.zeros(10, np.int64))[1:]
    mae = float(mean_absolute_error(counts / counts.sum())) if counts.sum() else None
    return _Norms(l1, l2, linf, tuple(map(int, counts)), mae, tuple(tops(group, trimming)))


def _summed(whole: Crossed) -> _Norms:
    """The norms alone, from sums."""
    l1, l2 = whole.absolute, math.sqrt(whole.square)
    slack = 1 + 1e-9  # float sums, not integers
    assert l2 <= l1 * slack and l1 <= math.sqrt(whole.n) * l2 * slack, "these cannot be norms of one vector"  # noqa: PT018
    return _Norms(l1, l2)


def _why(cosine: float, moved: int, norms: _Norms, counted: bool) -> dict[str, str]:
    why = {"cosine": "one of the task vectors is zero"} if math.isnan(cosine) else {}
    if not moved:
        why["sign_conflict_moved"] = "no weight is moved by both"
    if not counted:
        return why | dict.fromkeys(("linf", "mae", "top"), FEW)
    return why | ({"mae": "the two are equal"} if norms.mae is None else {})


def _cosine(whole: Crossed) -> float:
    if not (whole.a_square and whole.b_square):
        return math.nan
    return max(-1.0, min(1.0, whole.dot / (math.sqrt(whole.a_square) * math.sqrt(whole.b_square))))


def conflict(rows: Sequence[SignRow], by: By = "model") -> Finding[ConflictRow]:
    """Where the task vectors of a base disagree: by model, layer, role or tensor. Raises as `pairs` does."""
    kept = [row for row in rows if row.role != BUFFER]
    found = [_conflict(members, by, key) for key, members in _by_key(kept, by)]
    return Finding(CONFLICT, tuple(found), NOTES[1:] if found else ())


def _conflict(members: Sequence[SignRow], by: By, key: Key) -> ConflictRow:
    signs = sum((row.signs for row in members), Signs())
    models = {address for row in members for address in row.tuned}
    return ConflictRow(
        members[0].base,
        len(models),
        *(by, key, signs.n, signs.moved, signs.conflicting),
        conflict=signs.conflicting / signs.n if signs.n else math.nan,
        conflict_moved=signs.conflicting / signs.moved if signs.moved else math.nan,
        why={} if signs.moved else {"conflict_moved": note("ways_nothing")},
    )


def order(found: Sequence[PairwiseRow]) -> Finding[OrderRow]:
    """The tuned models in the order of their clustering; none where there are fewer than two."""
    whole = [row for row in found if row.by == "model"]
    models, matrix = distance_matrix(whole, "l2")
    if len(models) < 2:
        return Finding(ORDER, ())
    places, heights = _clustered(matrix)
    rows = []
    for place, at in enumerate(places):
        others = [other for other in range(len(models)) if other != at]
        nearest = min(others, key=lambda other: (matrix[at, other], other))
        joins = None if place == 0 else float(heights[places[place - 1], at])
        rows.append(OrderRow(place, models[at], joins, models[nearest], float(matrix[at, nearest])))
    return Finding(ORDER, tuple(rows))


def distance_matrix(rows: Sequence[PairwiseRow], norm: str) -> tuple[list[str], NDArray[np.float64]]:
    """The models in the order in which they are named, and their distances from each other; NaN where unknown."""
    models = list(dict.fromkeys(address for row in rows for address in (row.a, row.b)))
    matrix = np.full((len(models), len(models)), math.nan)
    np.fill_diagonal(matrix, 0.0)
    for row in rows:
        a, b = models.index(row.a), models.index(row.b)
        matrix[a, b] = matrix[b, a] = getattr(row, norm)
    return models, matrix


def _clustered(
    matrix: NDArray[np.float64],
) -> tuple[list[int], NDArray[np.float64]]:
    """The order of the leaves under average linkage, and the height at which each two meet."""
    from scipy.cluster.hierarchy import average, cophenet, leaves_list
    from scipy.spatial.distance import squareform

    known = np.where(np.isfinite(matrix), matrix, np.nanmax(matrix))
    tree = average(squareform(known, checks=False))
    return [int(leaf) for leaf in leaves_list(tree)], squareform(cophenet(tree))


def distances(found: Sequence[PairwiseRow], ordered: Sequence[OrderRow]) -> Finding[DistanceCell]:
    """Every two tuned models with their places in the order, for the heat map."""
    places = {row.model: row.place for row in ordered}
    cells = [
        DistanceCell(
            *(row.a, row.b, places[row.a], places[row.b], row.l1, row.l2, row.cosine, row.sign_conflict), row.why
        )
        for row in found
        if row.by == "model"
    ]
    return Finding(DISTANCES, tuple(cells))
