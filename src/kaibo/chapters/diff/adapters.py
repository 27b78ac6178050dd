"""Adapters and grids: what an adapter is, how two overlap, what storing would delete, what a grid can tell apart."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

from kaibo.chapters.diff.adapter_rows import (
    ADAPTERS,
    OVERLAPS,
    QUANTISED,
    STORING,
    AdapterRow,
    OverlapFound,
    QuantisedRow,
    StoringRow,
)
from kaibo.vocabulary import By, Finding
from kaibo.vocabulary.counts.rounding import LowRankRow, OverlapRow, Placed, Rounding, RoundingRow
from kaibo.words import Note, note

T = TypeVar("T")

STORING_NOTES = (
    note("storing_deleted"),
    note("storing_error"),
    note("storing_grids"),
)
QUANTISED_NOTES = (note("quantised"),)
OVERLAP_NOTES = (note("overlaps"),)
AGREE = 1e-5
"""How far the norm that the factors give and the one that was counted may be apart; float32 gives 6e-8 a value."""


def _grouped(rows: Sequence[T], at: Callable[[T], Placed], by: By) -> Iterator[tuple[str | int | None, list[T]]]:
    """Rows of one base and one tuned model after another, split by the level, in the order they came."""
    found: dict[tuple[str, str, str | int | None], list[T]] = {}
    for row in rows:
        place = at(row)
        key = {"model": None, "layer": place.layer, "role": place.role, "tensor": place.tensor}[by]
        found.setdefault((place.base, place.tuned, key), []).append(row)
    for (_, _, key), members in found.items():
        yield key, members


def adapters(rows: Sequence[LowRankRow], by: By = "model") -> Finding[AdapterRow]:
    """What each adapter is, at a level. Where the two norms of a plain update disagree, a note says so."""
    found = tuple(_adapter(members, by, key) for key, members in _grouped(rows, lambda row: row.at, by))
    wrong = [row.at.tensor for row in rows if row.plain and row.streamed is not None and not _agree(row)]
    notes = [note("adapter_norm", count=len(wrong), tensor=tensor) for tensor in wrong[:1]]
    return Finding(ADAPTERS, found, tuple(notes))


def _agree(row: LowRankRow) -> bool:
    assert row.streamed is not None, "only what was counted can agree"
    return math.isclose(row.square, row.streamed, rel_tol=AGREE, abs_tol=1e-70)


def _adapter(members: Sequence[LowRankRow], by: By, key: str | int | None) -> AdapterRow:
    at = members[0].at
    counted = [row.streamed for row in members if row.streamed is not None]
    return AdapterRow(
        base=at.base,
        tuned=at.tuned,
        by=by,
        key=key,
        adapter=members[0].kind,
        tensors=len(members),
        rank=max(row.rank for row in members),
        lowest=min(row.rank for row in members),
        parameters=sum(row.parameters for row in members),
        l2=math.sqrt(math.fsum(row.square for row in members)),
        streamed=math.sqrt(math.fsum(counted)) if len(counted) == len(members) else None,
    )


def storing(rows: Sequence[RoundingRow], by: By = "model") -> Finding[StoringRow]:
    """What storing would do to each adapter's ΔW, for every grid, at a level."""
    found = [
        _storing(of_grid, by, key)
        for key, members in _grouped(rows, lambda row: row.at, by)
        for of_grid in _by_grid(members)
    ]
    sentences = tuple(dict.fromkeys(merged_sentence(row) for row in found)) if by == "model" else ()
    return Finding(STORING, tuple(found), (*sentences, *STORING_NOTES) if found else ())


def merged_sentence(row: StoringRow) -> Note:
    """What storing would do, in one sentence.

    >>> merged_sentence(StoringRow("b", "x/a", "model", None, "bf16", 9, 9, 0.7, 0.73, 0.0))
    'a merged into bf16: 70 % of its entries vanish and the error is 73 % of it.'
    """
    name = row.tuned.rstrip("/").rpartition("/")[2]
    if math.isnan(row.deleted):
        return note("storing_nothing", name=name, grid=row.grid)
    deleted, error = (f"{100 * share:.3g}" for share in (row.deleted, row.relative_error))
    return note("storing_merged", name=name, grid=row.grid, deleted=deleted, error=error)


def _by_grid(members: Sequence[RoundingRow]) -> Iterator[list[RoundingRow]]:
    for grid in dict.fromkeys(row.rounding.grid for row in members):
        yield [row for row in members if row.rounding.grid == grid]


def _storing(members: Sequence[RoundingRow], by: By, key: str | int | None) -> StoringRow:
    sums = [row.rounding for row in members]
    moved, square = sum(one.moved for one in sums), math.fsum(one.delta_square for one in sums)
    return StoringRow(
        base=members[0].at.base,
        tuned=members[0].at.tuned,
        by=by,
        key=key,
        grid=sums[0].grid,
        n=sum(one.n for one in sums),
        moved=moved,
        deleted=sum(one.deleted for one in sums) / moved if moved else math.nan,
        relative_error=_relative(sums, lambda one: one.error_square, square),
        base_error=_relative(sums, lambda one: one.base_square, square),
        why={} if square else dict.fromkeys(("deleted", "relative_error", "base_error"), note("ways_nothing")),
    )


def _relative(sums: Sequence[Rounding], of: Callable[[Rounding], float], square: float) -> float:
    return math.sqrt(math.fsum(map(of, sums)) / square) if square else math.nan


def quantised(rows: Sequence[RoundingRow], by: By = "model") -> Finding[QuantisedRow]:
    """The resolution of each grid over the base's weights, with Δ as a multiple of it, at a level."""
    found = [
        _quantised(of_grid, by, key)
        for key, members in _grouped(rows, lambda row: row.at, by)
        for of_grid in _by_grid(members)
    ]
    return Finding(QUANTISED, tuple(found), QUANTISED_NOTES if found else ())


def _quantised(members: Sequence[RoundingRow], by: By, key: str | int | None) -> QuantisedRow:
    sums = [row.rounding for row in members]
    first, second = math.fsum(one.base for one in sums), math.sqrt(math.fsum(one.base_square for one in sums))
    l1, l2 = math.fsum(one.delta for one in sums), math.sqrt(math.fsum(one.delta_square for one in sums))
    return QuantisedRow(
        base=members[0].at.base,
        tuned=members[0].at.tuned,
        by=by,
        key=key,
        grid=sums[0].grid,
        n=sum(one.n for one in sums),
        rounding_l1=first,
        rounding_l2=second,
        l1=l1,
        l2=l2,
        times_l1=l1 / first if first else None,
        times_l2=l2 / second if second else None,
        why={} if first else dict.fromkeys(("times_l1", "times_l2"), "the base lies on the grid already"),
    )


def overlaps(rows: Sequence[OverlapRow], by: By = "model") -> Finding[OverlapFound]:
    """How far every two adapters overlap, at a level: the mean over tensors, beside the mean that chance gives."""

    def place(row: OverlapRow) -> Placed:
        return Placed(row.a.tuned, row.b.tuned, row.a.tensor, row.a.layer, row.a.role)

    found = tuple(_overlap(members, by, key) for key, members in _grouped(rows, place, by))
    return Finding(OVERLAPS, found, OVERLAP_NOTES if found else ())


def _overlap(members: Sequence[OverlapRow], by: By, key: str | int | None) -> OverlapFound:
    return OverlapFound(
        a=members[0].a.tuned,
        b=members[0].b.tuned,
        by=by,
        key=key,
        tensors=len(members),
        outputs=_mean([_squared(row.outputs) for row in members]),
        outputs_by_chance=_mean([max(row.ranks) / row.dimensions[0] for row in members]),
        inputs=_mean([_squared(row.inputs) for row in members]),
        inputs_by_chance=_mean([max(row.ranks) / row.dimensions[1] for row in members]),
        closest_outputs=max((max(row.outputs, default=0.0) for row in members), default=0.0),
        closest_inputs=max((max(row.inputs, default=0.0) for row in members), default=0.0),
    )


def _squared(cosines: Sequence[float]) -> float:
    """The mean squared cosine over the angles, of which there are as many as the lesser rank.

    Of random spaces of ranks p ≤ q in n dimensions its expectation is q/n.
    """
    return _mean([cosine**2 for cosine in cosines])


def _mean(values: Sequence[float]) -> float:
    return math.fsum(values) / len(values) if values else 0.0
