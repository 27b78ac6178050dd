"""Fine-tunes of one base beside each other: how far each went, what its largest changes hold, where, in which rank."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from statistics import fmean, median
from typing import TypeVar

import numpy as np

from kaibo.chapters.diff.differences import change_map, differences, norm_curve, resolution
from kaibo.chapters.diff.rows import DIFF_MAP, ChangeSpectrum, CurveRow, DifferenceCell
from kaibo.chapters.fine_tunes.rows import (
    FINE_TUNE_KEPT,
    FINE_TUNE_RANKS,
    FINE_TUNES,
    FineTune,
    KeptRow,
    RankRow,
    TunedRow,
)
from kaibo.uncertainty.resampling import interval, row_weights
from kaibo.version import __version__
from kaibo.vocabulary import Finding, PairRow
from kaibo.words import note

DRAWS = 2000

NOTES = (
    note("fine_tunes_norms"),
    note("fine_tunes_lost"),
)
KEPT_NOTE = note("fine_tunes_kept")
RANK_NOTE = note("fine_tunes_ranks")
MAP_NOTE = note("fine_tunes_map")

Named = Mapping[str, FineTune]
Item = TypeVar("Item")


def tuned_norms(taken: Iterable[tuple[str, Sequence[PairRow]]], named: Named) -> Finding[TunedRow]:
    """A row for each fine-tune and what it is set against: pairs of "base" or "parent" and the rows of that."""
    rows = [row for against, pairs in taken for row in _norms(against, pairs, named)]
    rows.sort(key=lambda row: (row.learning_rate, row.way, row.against, row.dataset, row.seed))
    return Finding(FINE_TUNES, tuple(rows), NOTES, {"kaibo": __version__})


def _norms(against: str, pairs: Sequence[PairRow], named: Named) -> Iterator[TunedRow]:
    coarse = bf16_resolutions(pairs)
    for row in differences(pairs, "model", ()).rows:
        of, bf16 = named[row.tuned], coarse[row.tuned]
        yield TunedRow(
            cell=of.cell,
            way=of.way,
            learning_rate=of.learning_rate,
            dataset=of.dataset,
            seed=of.seed,
            tuned=row.tuned,
            against=against,
            n=row.n,
            l0=row.l0,
            l1=row.l1,
            l2=row.l2,
            linf=row.linf,
            relative=row.relative,
            resolution_l1=row.resolution_l1,
            resolution_l2=row.resolution_l2,
            bf16_l1=bf16[0],
            bf16_l2=bf16[1],
            times_bf16=row.l2 / bf16[1] if bf16[1] else None,
            why=dict(row.why),
        )


def bf16_resolutions(pairs: Sequence[PairRow]) -> dict[str, tuple[float, float]]:
    """L1 and L2 of rounding the base of each tuned model once to bfloat16, on average; each tensor is asked once."""
    known: dict[str, tuple[float, float]] = {}
    sums: dict[str, list[tuple[float, float]]] = {}
    for row in pairs:
        if row.base_content not in known:
            found = resolution([row.base_census], "BF16")
            known[row.base_content] = found.l1, found.l2**2
        sums.setdefault(row.difference.model, []).append(known[row.base_content])
    return {
        tuned: (math.fsum(l1 for l1, _ in parts), math.sqrt(math.fsum(square for _, square in parts)))
        for tuned, parts in sums.items()
    }


def kept_norms(pairs: Sequence[PairRow], named: Named) -> Finding[KeptRow]:
    """norm@k of every cell, in both scopes."""
    rows = [_kept(cell, members) for cell, members in _by_cell(norm_curve(pairs).rows, named, lambda row: row.tuned)]
    found = tuple(row for several in rows for row in several)
    return Finding(FINE_TUNE_KEPT, found, (KEPT_NOTE,), {"kaibo": __version__})


def _kept(cell: str, members: Sequence[CurveRow]) -> Iterator[KeptRow]:
    places: dict[tuple[str, float], list[CurveRow]] = {}
    for row in members:
        places.setdefault((row.scope, row.percent), []).append(row)
    for (scope, percent), rows in sorted(places.items()):
        shares = [[row.l1_share for row in rows], [row.l2_share for row in rows]]
        spread = [(fmean(several), min(several), max(several)) for several in shares]
        norms = fmean(row.l1 for row in rows), fmean(row.l2 for row in rows)
        yield KeptRow(cell, scope, percent, len(rows), *norms, *spread[0], *spread[1])


def cell_map(pairs: Sequence[PairRow], named: Named) -> Finding[DifferenceCell]:
    """How much each role changed in each layer, a map for each cell: what `diff-map` draws."""
    found: list[DifferenceCell] = []
    for cell, members in _by_cell(change_map(pairs).rows, named, lambda row: row.tuned):
        places: dict[tuple[int, str], list[DifferenceCell]] = {}
        for row in members:
            places.setdefault((row.layer, row.role), []).append(row)
        for (layer, role), rows in sorted(places.items()):
            l2, relative = (math.sqrt(fmean(one**2 for one in several)) for several in _columns(rows))
            found.append(DifferenceCell(rows[0].base, cell, layer, role, rows[0].n, l2, relative, rows[0].why))
    return Finding(DIFF_MAP, tuple(found), (MAP_NOTE,), {"kaibo": __version__})


def _columns(rows: Sequence[DifferenceCell]) -> tuple[list[float], list[float]]:
    return [row.l2 for row in rows], [row.relative for row in rows]


def cell_ranks(rows: Sequence[ChangeSpectrum], named: Named, seed: int = 0) -> Finding[RankRow]:
    """The effective rank of the changes of each cell, by role; matrices that did not change are left out."""
    rng = np.random.default_rng(seed)
    changed = [row for row in rows if row.erank is not None and row.rank]
    found = [
        _rank(cell, role, members, rng)
        for cell, of_cell in _by_cell(changed, named, lambda row: row.tuned)
        for role, members in _grouped(of_cell, lambda row: row.role).items()
    ]
    return Finding(FINE_TUNE_RANKS, tuple(found), (RANK_NOTE,), {"kaibo": __version__})


def _rank(cell: str, role: str, rows: Sequence[ChangeSpectrum], rng: np.random.Generator) -> RankRow:
    ranks = np.array([row.erank for row in rows], np.float64)
    low = high = None
    if ranks.size > 2:
        low, high = (float(end) for end in interval(row_weights(ranks.size, DRAWS, rng) @ ranks / ranks.size))
    stable = fmean(row.stable_rank for row in rows if row.stable_rank is not None)
    above = median(row.rank for row in rows if row.rank is not None)
    why = {} if low is not None else dict.fromkeys(("erank_low", "erank_high"), note("fine_tunes_few_matrices"))
    most = max(min(row.shape) for row in rows)
    return RankRow(cell, role, len(rows), float(ranks.mean()), low, high, stable, float(above), most, why)


def _by_cell(rows: Iterable[Item], named: Named, of: Callable[[Item], str]) -> list[tuple[str, list[Item]]]:
    """Rows gathered by cell, learning rates from low to high."""
    cells = _grouped(rows, lambda row: named[of(row)].cell)
    order = {named[address].cell: (named[address].learning_rate, named[address].way) for address in named}
    return sorted(cells.items(), key=lambda one: order[one[0]])


def _grouped(rows: Iterable[Item], key: Callable[[Item], str]) -> dict[str, list[Item]]:
    out: dict[str, list[Item]] = {}
    for row in rows:
        out.setdefault(key(row), []).append(row)
    return out
