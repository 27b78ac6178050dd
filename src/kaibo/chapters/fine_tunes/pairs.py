"""Fine-tunes of one base two by two: data against seed within a cell, and method against method at one learning rate.

Distances are those of direct differences. The cosine of a change on top of another fine-tune with one from the base
comes from the cosines of task vectors: ⟨a − p, b⟩ = ⟨a, b⟩ − ⟨p, b⟩.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from statistics import fmean

import numpy as np

from kaibo.chapters.diff.distances import pairs as pairs_of
from kaibo.chapters.diff.seeds import seeds
from kaibo.chapters.fine_tunes.rows import (
    FINE_TUNE_METHODS,
    FINE_TUNE_PAIRS,
    FINE_TUNE_RATIOS,
    ApartRow,
    FineTune,
    MethodRow,
    RatioRow,
)
from kaibo.uncertainty.intervals import mean_interval
from kaibo.uncertainty.resampling import interval, row_weights
from kaibo.version import __version__
from kaibo.vocabulary import CrossRow, Finding, crossed
from kaibo.words import note

DRAWS = 2000
LEAST_PAIRS = 3
WHOLE = "all"

NOTES = (note("fine_tunes_apart"),)
RATIO_NOTES = (
    note("seeds_ratio"),
    note("fine_tunes_tensors"),
)
METHOD_NOTES = (note("fine_tunes_methods"),)

Named = Mapping[str, FineTune]
Crosses = Sequence[CrossRow]


def apart(crosses: Crosses, named: Named, coarse: Mapping[str, tuple[float, float]]) -> Finding[ApartRow]:
    """Every two fine-tunes of one cell; `coarse` has L1 and L2 of the resolution of bfloat16 for each."""
    found = []
    for row in pairs_of(crosses).rows:
        a, b = named[row.a], named[row.b]
        if a.cell != b.cell or (a.dataset == b.dataset and a.seed == b.seed):
            continue
        both = a.dataset != b.dataset and a.seed != b.seed
        data, seed = (" / ".join(dict.fromkeys(pair)) for pair in ((a.dataset, b.dataset), (a.seed, b.seed)))
        apart_by = "both" if both else "data" if a.seed == b.seed else "seed"
        bf16 = math.hypot(coarse[row.a][1], coarse[row.b][1])
        numbers = row.n, row.l1, row.l2, row.cosine, row.sign_conflict
        why = {name: reason for name, reason in row.why.items() if name in ApartRow.__dataclass_fields__}
        found.append(ApartRow(a.cell, apart_by, row.a, row.b, data, seed, *numbers, bf16, why))
    found.sort(key=lambda row: (_order(named)[row.cell], ("seed", "data", "both").index(row.apart_by)))
    return Finding(FINE_TUNE_PAIRS, tuple(found), NOTES, {"kaibo": __version__})


def _order(named: Named) -> dict[str, tuple[float, str]]:
    """Cells by learning rate, then by method."""
    return {one.cell: (one.learning_rate, one.way) for one in named.values()}


def ratios(crosses: Crosses, named: Named, seed: int = 0) -> Finding[RatioRow]:
    """Between data sets ÷ between seeds, for every cell: the whole model in both norms, its roles in L2."""
    order = _order(named)
    rng = np.random.default_rng(seed)
    found: list[RatioRow] = []
    for cell in sorted(order, key=lambda one: order[one]):
        own = {address: one for address, one in named.items() if one.cell == cell}
        inside = [row for row in crosses if row.a in own and row.b in own]
        parts = {WHOLE: inside} | {role: [row for row in inside if row.role == role] for role in _roles(inside)}
        for part, rows in parts.items():
            found += _ratios(cell, part, rows, own, rng)
    return Finding(FINE_TUNE_RATIOS, tuple(found), RATIO_NOTES if found else (), {"kaibo": __version__})


def _roles(rows: Crosses) -> list[str]:
    return list(dict.fromkeys(row.role for row in rows if row.crossed.a_square and row.crossed.b_square))


def _ratios(cell: str, part: str, rows: Crosses, own: Named, rng: np.random.Generator) -> Iterator[RatioRow]:
    whole = pairs_of(rows).rows
    for row in seeds(whole, {address: one.label for address, one in own.items()}).rows:
        if part != WHOLE and (row.distance_norm != "l2" or row.ratio is None):
            continue  # why there is none is said once, of the whole model
        low, high = (None, None) if row.ratio is None else _over_tensors(rows, own, row.distance_norm, rng)
        why = dict(row.why)
        if low is None:
            why |= dict.fromkeys(("tensors_low", "tensors_high"), note("fine_tunes_few_tensors"))
        by_seed = {own[one.a].seed: getattr(one, row.distance_norm) for one in whole if _other_data(own, one.a, one.b)}
        yield RatioRow(
            cell=cell,
            role=part,
            distance_norm=row.distance_norm,
            models=row.models,
            within_pairs=row.within_pairs,
            between_pairs=row.between_pairs,
            within=row.within,
            between=row.between,
            ratio=row.ratio,
            ratio_low=row.ratio_low,
            ratio_high=row.ratio_high,
            p=row.p,
            p_least=row.p_least,
            tensors=len(_changed(rows)),
            tensors_low=low,
            tensors_high=high,
            spread=_spread(list(by_seed.values())),
            why=why,
        )


def _other_data(own: Named, a: str, b: str) -> bool:
    return own[a].seed == own[b].seed and own[a].dataset != own[b].dataset


def _spread(distances: Sequence[float]) -> float | None:
    mean = math.fsum(distances) / len(distances) if distances else 0.0
    return (max(distances) - min(distances)) / mean if len(distances) > 1 and mean else None


def _changed(rows: Crosses) -> list[str]:
    return list(dict.fromkeys(row.tensor for row in rows if row.crossed.square))


def _over_tensors(
    rows: Crosses, own: Named, norm: str, rng: np.random.Generator
) -> tuple[float, float] | tuple[None, None]:
    """The percentile interval of the ratio over tensors drawn with replacement."""
    tensors = _changed(rows)
    couples = list(dict.fromkeys((row.a, row.b) for row in rows if own[row.a].seed != own[row.b].seed))
    if len(tensors) < LEAST_PAIRS:
        return None, None
    sums = np.zeros((len(tensors), len(couples)))
    places = {tensor: place for place, tensor in enumerate(tensors)}
    columns = {couple: place for place, couple in enumerate(couples)}
    for row in rows:
        if row.tensor in places and (row.a, row.b) in columns:
            sums[places[row.tensor], columns[row.a, row.b]] = (
                row.crossed.square if norm == "l2" else row.crossed.absolute
            )
    drawn = row_weights(len(tensors), DRAWS, rng) @ sums
    distances = np.sqrt(drawn) if norm == "l2" else drawn
    same = np.array([own[a].dataset == own[b].dataset for a, b in couples])
    with np.errstate(invalid="ignore", divide="ignore"):
        low, high = interval(distances[:, ~same].mean(axis=1) / distances[:, same].mean(axis=1))
    return float(low), float(high)


@dataclass(frozen=True)
class _Gram:
    """Inner products of task vectors, from which those of their differences follow."""

    dots: Mapping[frozenset[str], float]
    lengths: Mapping[str, float]
    conflicts: Mapping[frozenset[str], float]

    def dot(self, a: str, b: str) -> float:
        """⟨a, b⟩; of a vector with itself its square."""
        return self.lengths[a] ** 2 if a == b else self.dots[frozenset((a, b))]

    def on_top(self, a: str, parent: str, b: str) -> tuple[float, float]:
        """‖a − parent‖, and the cosine of that with b."""
        square = self.dot(a, a) + self.dot(parent, parent) - 2 * self.dot(a, parent)
        length = math.sqrt(max(square, 0.0))
        cosine = (self.dot(a, b) - self.dot(parent, b)) / (length * self.lengths[b]) if length else math.nan
        return length, max(-1.0, min(1.0, cosine))


def _gram(crosses: Crosses) -> _Gram:
    members: dict[tuple[str, str], list[CrossRow]] = {}
    for row in crosses:
        members.setdefault((row.a, row.b), []).append(row)
    dots: dict[frozenset[str], float] = {}
    lengths: dict[str, float] = {}
    conflicts: dict[frozenset[str], float] = {}
    for (a, b), rows in members.items():
        whole = crossed(row.crossed for row in rows)
        dots[frozenset((a, b))] = whole.dot
        lengths |= {a: math.sqrt(whole.a_square), b: math.sqrt(whole.b_square)}
        conflicts[frozenset((a, b))] = whole.opposite / whole.finite if whole.finite else math.nan
    return _Gram(dots, lengths, conflicts)


def methods(crosses: Crosses, named: Named) -> Finding[MethodRow]:
    """At each learning rate: every two methods from the base, and a method on top of another against it from the base.

    Fine-tunes are paired by data set and seed.
    """
    gram = _gram(crosses)
    known = {address: one for address, one in named.items() if gram.lengths.get(address)}
    found = [
        row
        for rate in sorted({one.learning_rate for one in known.values()})
        for row in _at_rate(rate, [one for one in known.values() if one.learning_rate == rate], gram)
    ]
    return Finding(FINE_TUNE_METHODS, tuple(found), METHOD_NOTES if found else (), {"kaibo": __version__})


def _at_rate(rate: float, members: Sequence[FineTune], gram: _Gram) -> Iterator[MethodRow]:
    ways: dict[str, dict[tuple[str, str], FineTune]] = {}
    for one in members:
        ways.setdefault(one.way, {})[one.dataset, one.seed] = one
    plain = sorted(way for way in ways if "→" not in way)
    for a, b in combinations(plain, 2):
        met = [(ways[a][key], ways[b][key]) for key in ways[a] if key in ways[b]]
        each = [
            (gram.lengths[one.address] / gram.lengths[other.address], _alike(one, other, gram)) for one, other in met
        ]
        conflict = [gram.conflicts[frozenset((one.address, other.address))] for one, other in met]
        if each:
            yield _method(a, b, rate, each, fmean(conflict))
    for a in sorted(way for way in ways if "→" in way):
        b = a.rpartition("→")[2]
        met = [
            (one, ways[b][key]) for key, one in ways[a].items() if key in ways.get(b, {}) and one.parent in gram.lengths
        ]
        tops = [(gram.on_top(one.address, one.parent, other.address), other) for one, other in met]
        each = [(length / gram.lengths[other.address], cosine) for (length, cosine), other in tops if length]
        if each:
            yield _method(a, b, rate, each, None)


def _alike(one: FineTune, other: FineTune, gram: _Gram) -> float:
    cosine = gram.dot(one.address, other.address) / (gram.lengths[one.address] * gram.lengths[other.address])
    return max(-1.0, min(1.0, cosine))


def _method(a: str, b: str, rate: float, each: Sequence[tuple[float, float]], conflict: float | None) -> MethodRow:
    ratios, cosines = tuple(ratio for ratio, _ in each), tuple(cosine for _, cosine in each)
    logs = [math.log(ratio) for ratio in ratios]
    low, high = _student(logs)
    ends = _student(cosines, (-1.0, 1.0))
    why = (
        {}
        if low is not None
        else dict.fromkeys(("ratio_low", "ratio_high", "cosine_low", "cosine_high"), note("fine_tunes_few_pairs"))
    )
    if conflict is None:
        why["sign_conflict"] = note("fine_tunes_other_start")
    return MethodRow(
        a=a,
        b=b,
        learning_rate=rate,
        pairs=len(each),
        ratio=math.exp(fmean(logs)),
        ratio_low=None if low is None else math.exp(low),
        ratio_high=None if high is None else math.exp(high),
        cosine=fmean(cosines),
        cosine_low=ends[0],
        cosine_high=ends[1],
        sign_conflict=conflict,
        ratios=ratios,
        cosines=cosines,
        why=why,
    )


def _student(
    values: Sequence[float], bounds: tuple[float, float] | None = None
) -> tuple[float, float] | tuple[None, None]:
    """The 95 % interval of a mean by Student's t, within bounds where it has some; none of fewer than three values."""
    if len(values) < LEAST_PAIRS:
        return None, None
    found = mean_interval(values) if bounds is None else mean_interval(values).within(*bounds)
    return found.low, found.high
