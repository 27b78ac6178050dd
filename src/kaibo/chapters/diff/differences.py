"""What changed between a base and a model made from it: norms, direction, digits, and what rounding alone would do.

Norms are those of Δ = tuned − base, formed in float32 and censused; what needs both sides together comes from the
joint sums. Each row must pass L1 ≤ √n·L2 and L2 ≤ √(L1·L∞), which no two norms of one vector can break.

The resolution of a type over these weights is what one rounding of each would do on average, were its error uniform
over ±ulp/2: L2² = Σ ulp(w)²/12 and L1 = Σ ulp(w)/4.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from kaibo.chapters.census.groups import Group, groups
from kaibo.chapters.census.moments import MANTISSA_BITS
from kaibo.chapters.census.provenance import provenance
from kaibo.chapters.diff.largest import TIES, by_size, counted, exactly, largest, sizes_of, together
from kaibo.chapters.diff.rows import (
    DIFF,
    DIFF_MAP,
    NORM_CURVE,
    TRIMMED,
    CurveRow,
    DifferenceCell,
    DifferenceRow,
    Top,
    TrimmedRow,
)
from kaibo.chapters.digits.benford import mean_absolute_error
from kaibo.chapters.stats.statistics import norms_hold
from kaibo.vocabulary import By, Census, Finding, Joint, PairRow, Points, joined, points, sums
from kaibo.vocabulary.counts.points import digit_counts
from kaibo.vocabulary.counts.resolved import ByContent

PERCENTS = (20.0,)

CURVE = (0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 15.0, 20.0, 30.0, 40.0, 50.0, 60.0, 70.0, 80.0, 90.0, 100.0)
"""Percents at which the norm@k curve is drawn."""

NOTES = (
    "Δ = tuned − base, formed in float32 from the stored values; relative is ‖Δ‖ ÷ ‖base‖.",
    "Differences of 16-bit models are full of ties: `reference` keeps all ties, `exact` what is asked, never a zero.",
    "The resolution of a type is what rounding each weight once would do on average: L2² = Σ ulp²/12, L1 = Σ ulp/4.",
)

CURVE_NOTE = "The curve is read from the census: each norm lies within the bound beside it; --top resolves it exactly."

# The exponent of the least subnormal of each type; ulp is never less than 2 to it.
_LEAST = {
    "F64": -1074,
    "F32": -149,
    "F16": -24,
    "BF16": -133,
    "F8_E4M3": -9,
    "F8_E5M2": -16,
    "F8_E4M3FNUZ": -10,
    "F8_E5M2FNUZ": -17,
}


@dataclass(frozen=True)
class Resolution:
    """The average effect of rounding every weight once to its own type: Σ ulp/4 and √(Σ ulp²/12)."""

    l1: float
    l2: float


@dataclass(frozen=True)
class Trimming:
    """Which largest values are asked for, of which values, and what is known of the bins their thresholds fall in."""

    percents: tuple[float, ...]
    of: str
    resolved: ByContent


def differences(
    rows: Sequence[PairRow],
    by: By = "model",
    percents: Sequence[float] = PERCENTS,
    *,
    of: str = "all",
    resolved: ByContent | None = None,
) -> Finding[DifferenceRow]:
    """What changed, for every base and tuned model, by model, layer, role or tensor.

    `percents` are those of the largest |Δ| whose norms are given, `of` says of which values, and `resolved` holds
    the bins that thresholds fall in value by value: without them bounds are given. Raises UsageError for an unknown
    level.
    """
    trimming = Trimming(tuple(percents), of, resolved or {})
    found = tuple(_row(group, members, trimming) for group, members in _groups(rows, by))
    source = provenance([row.difference for row in rows], percents=list(percents), of=of)
    return Finding(DIFF, found, NOTES, source)


def _groups(rows: Sequence[PairRow], by: By) -> Iterator[tuple[Group, list[PairRow]]]:
    """Each base with each tuned model, split by the level."""
    for base in dict.fromkeys(row.base for row in rows):
        of_base = [row for row in rows if row.base == base]
        pairs = {(row.difference.model, row.difference.tensor): row for row in of_base}
        for group in groups([row.difference for row in of_base], by):
            yield group, [pairs[group.model, row.tensor] for row in group.rows]


def resolution(censuses: Iterable[Census], dtype: str | None = None) -> Resolution:
    """The resolution of each census's own type, or of `dtype`, over its finite values.

    >>> resolution([Census.empty("BF16")]).l2
    0.0
    """
    l1, square = 0.0, 0.0
    for census in censuses:
        found = points(census)
        counts = found.counts.astype(np.float64)
        steps = np.ldexp(1.0, _ulp_exponents(found, dtype or census.dtype))
        l1 += float((counts * steps).sum())
        square += float((counts * steps * steps).sum())
    return Resolution(l1 / 4, math.sqrt(square / 12))


def _ulp_exponents(found: Points, dtype: str) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    exponents = np.frexp(np.maximum(np.abs(found.low), np.abs(found.high)))[1].astype(np.int64) - 1
    bits = {"F32": 23, "F64": 52, **MANTISSA_BITS}[dtype]
    zero = (found.low == 0) & (found.high == 0)
    return np.where(zero, _LEAST[dtype], np.maximum(exponents - bits, _LEAST[dtype]))


def _row(group: Group, members: Sequence[PairRow], trimming: Trimming) -> DifferenceRow:
    censuses = group.censuses()
    found = sums(censuses)
    joint = joined(row.joint for row in members)
    counts = sum((digit_counts(census) for census in censuses), np.zeros(10, np.int64))
    l1, l2, linf = found.absolute, math.sqrt(found.square), _greatest(censuses)
    assert not found.finite or norms_hold(l1, l2, linf, found.finite), "these cannot be norms of one vector"
    own = _own_resolution(members)
    nonzero = int(counts[1:].sum())
    return DifferenceRow(
        base=members[0].base,
        tuned=group.model,
        by=group.by,
        key=group.key,
        tensors=len(members),
        identical=sum(row.identical for row in members),
        n=joint.n,
        l0=nonzero,
        l1=l1,
        l2=l2,
        linf=linf,
        mean_absolute=l1 / found.finite if found.finite else math.nan,
        relative=l2 / math.sqrt(joint.base_square) if joint.base_square else math.nan,
        cosine=_cosine(joint),
        changed=joint.changed / joint.finite if joint.finite else math.nan,
        one_ulp=None if joint.one_ulp is None or not joint.finite else joint.one_ulp / joint.finite,
        flipped=joint.flipped / joint.finite if joint.finite else math.nan,
        counts=tuple(int(count) for count in counts[1:]),
        mae=float(mean_absolute_error(counts[1:] / nonzero)) if nonzero else math.nan,
        nonfinite=joint.n - joint.finite,
        resolution_l1=None if own is None else own.l1,
        resolution_l2=None if own is None else own.l2,
        times_resolution=None if own is None or not own.l2 else l2 / own.l2,
        rounding_l1=joint.rounding,
        rounding_l2=None if joint.rounding_square is None else math.sqrt(joint.rounding_square),
        top=tuple(tops(group, trimming)),
        why=_why(joint, nonzero, own),
    )


def _greatest(censuses: Sequence[Census]) -> float:
    ends = [abs(end) for census in censuses for end in (census.minimum, census.maximum) if end is not None]
    return max(ends, default=math.nan)


def _cosine(joint: Joint) -> float:
    if not (joint.base_square and joint.tuned_square):
        return math.nan
    return max(-1.0, min(1.0, joint.dot / (math.sqrt(joint.base_square) * math.sqrt(joint.tuned_square))))


def _own_resolution(members: Sequence[PairRow]) -> Resolution | None:
    """The resolution, where all tensors are stored in the type that their base has."""
    if any(row.base_dtype != row.tuned_dtype for row in members):
        return None
    return resolution(row.base_census for row in members)


def tops(group: Group, trimming: Trimming) -> Iterator[Top]:
    """What trimming to each percent keeps.

    Global trimming of the whole task vector stands on the row of the model; trimming by tensor on every row.
    """
    if not trimming.percents:
        return
    rows = [row for row in counted(group.rows, trimming.of) if row.census is not None]
    alone = [([row], sizes_of([row], trimming.of)) for row in rows]
    whole = sizes_of(rows, trimming.of)
    for percent in trimming.percents:
        for ties in TIES:
            if group.by == "model":
                sizes = exactly(rows, whole, percent, ties, trimming.resolved)
                yield replace(largest(sizes, percent, ties), of=trimming.of)
            parts = [
                largest(exactly(row, sizes, percent, ties, trimming.resolved), percent, ties, "tensor")
                for row, sizes in alone
            ]
            yield replace(together(parts) if parts else largest(whole, percent, ties, "tensor"), of=trimming.of)


def trimmed_norms(norms: Finding[DifferenceRow]) -> Finding[TrimmedRow]:
    """The largest n % of every row, a row each: how many values are kept, from which threshold, and their norms."""
    rows = tuple(
        TrimmedRow(
            *(row.tuned, row.by, row.key, top.percent, top.scope, top.ties, top.of, top.d, top.kept, top.kept_high),
            *(top.threshold, top.l1, top.l2),
        )
        for row in norms.rows
        for top in row.top
    )
    return Finding(TRIMMED, rows, (), norms.provenance)


def _why(joint: Joint, nonzero: int, own: Resolution | None) -> dict[str, str]:
    why: dict[str, str] = {}
    if not joint.finite:
        names = ("linf", "mean_absolute", "relative", "cosine", "changed", "flipped")
        why = dict.fromkeys(names, "no pair of finite values")
    elif not (joint.base_square and joint.tuned_square):
        why = dict.fromkeys(("relative", "cosine"), "one of the two is zero everywhere")
    if not nonzero:
        why["mae"] = "nothing changed"
    if joint.one_ulp is None:
        why["one_ulp"] = "stored in different types"
    if own is None:
        why |= dict.fromkeys(("resolution_l1", "resolution_l2", "times_resolution"), "stored in different types")
    return why


def change_map(rows: Sequence[PairRow]) -> Finding[DifferenceCell]:
    """How much each role changed in each layer, by depth: the cells of the heat map."""
    inside = [row for row in rows if row.difference.layer is not None]
    found = [
        DifferenceCell(layer.base, layer.tuned, layer.key, str(cell.key), cell.n, cell.l2, cell.relative, cell.why)
        for layer, members in _layers(inside)
        for cell in differences(members, "role", ()).rows
    ]
    return Finding(DIFF_MAP, tuple(found), (), provenance([row.difference for row in rows]))


@dataclass(frozen=True)
class _Layer:
    base: str
    tuned: str
    key: int


def _layers(rows: Sequence[PairRow]) -> Iterator[tuple[_Layer, list[PairRow]]]:
    for group, members in _groups(rows, "layer"):
        assert isinstance(group.key, int), "only tensors inside layers have a place in the depth"
        yield _Layer(members[0].base, group.model, group.key), members


def norm_curve(rows: Sequence[PairRow]) -> Finding[CurveRow]:
    """The norm@k curve of each task vector, in both scopes: the share of L1 and of L2 that its largest k % hold."""
    found = [row for group, members in _groups(rows, "model") for row in _curve(group, members[0].base)]
    notes = (CURVE_NOTE,) if any(row.l1_bound or row.l2_bound for row in found) else ()
    return Finding(NORM_CURVE, tuple(found), notes, provenance([row.difference for row in rows]))


def _curve(group: Group, base: str) -> Iterator[CurveRow]:
    whole = by_size(group.censuses())
    l1, square = math.fsum(whole.l1), math.fsum(whole.square)
    each = [by_size([row.census]) for row in group.rows if row.census is not None]
    for percent in CURVE if square else ():
        tops = largest(whole, percent, "exact"), together([largest(sizes, percent, "exact") for sizes in each])
        yield from (_point((base, group.model), top, l1, math.sqrt(square)) for top in tops)


def _point(models: tuple[str, str], top: Top, l1: float, l2: float) -> CurveRow:
    norms = top.l1, top.l2, top.l1_bound, top.l2_bound
    shares = top.l1 / l1, top.l2 / l2, top.l1_bound / l1, top.l2_bound / l2
    return CurveRow(*models, top.scope, top.percent, top.kept, *norms, *shares)
