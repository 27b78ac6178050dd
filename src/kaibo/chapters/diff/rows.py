"""The columns of its findings; field names are the names that `--json` prints."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from kaibo.vocabulary import By

Why = Mapping[str, str]


@dataclass(frozen=True)
class Top:
    """What trimming to the largest `percent` keeps, in one scope and with one way to deal with ties.

    `threshold` is the least |Δ| kept and `threshold_high` its upper bound (equal where it is exact), `kept` how many
    values at least and `kept_high` at most; `l1` and `l2` their norms, which lie within `l1_bound` and `l2_bound`.
    In scope `tensor` each tensor is trimmed alone, and the threshold of the row is the least of theirs. `of` says which
    values the percent is of (`all`, those of `linear` layers, those that `changed`) and `d` how many they are.
    """

    percent: float
    scope: str
    ties: str
    kept: int
    kept_high: int
    threshold: float | None
    threshold_high: float | None
    l1: float
    l1_bound: float
    l2: float
    l2_bound: float
    of: str = "all"
    d: int = 0


@dataclass(frozen=True)
class TrimmedRow:
    """What the largest `percent` of one task vector or a part of it are: the table beside its norms; see `Top`."""

    tuned: str
    by: By
    key: str | int | None
    percent: float
    scope: str
    ties: str
    of: str
    d: int
    kept: int
    kept_high: int
    threshold: float | None
    l1: float
    l2: float
    why: Why = field(default_factory=dict)


@dataclass(frozen=True)
class DifferenceRow:
    """What changed in one model, layer, role or tensor; Δ = tuned − base.

    Of `n` values in `tensors` tensors (`identical` of them to the last bit) `l0` differ; `l1`, `l2`, `linf` and
    `mean_absolute` are over the finite Δ. `relative` is ‖Δ‖/‖base‖, `cosine` that between base and tuned. `changed`,
    `one_ulp` (by exactly one unit in the last place) and `flipped` (in sign) are shares of the pairs of which both
    are finite; the others are `nonfinite`. `counts` are the first digits of Δ and `mae` their distance from
    Benford's law. `resolution_l1` and `resolution_l2` are what rounding each weight once would do on average, and
    `times_resolution` is L2 as a multiple of it. Where tensors are stored in a coarser type than the base's,
    `rounding_l1` and `rounding_l2` are the error of rounding the base of those once to that type.
    """

    base: str
    tuned: str
    by: By
    key: str | int | None
    tensors: int
    identical: int
    n: int
    l0: int
    l1: float
    l2: float
    linf: float
    mean_absolute: float
    relative: float
    cosine: float
    changed: float
    one_ulp: float | None
    flipped: float
    counts: tuple[int, ...]
    mae: float
    nonfinite: int
    resolution_l1: float | None
    resolution_l2: float | None
    times_resolution: float | None
    rounding_l1: float | None
    rounding_l2: float | None
    top: tuple[Top, ...]
    why: Why = field(default_factory=dict)


@dataclass(frozen=True)
class CurveRow:
    """A point of the norm@k curve: the largest `percent` of |Δ|, how many they are, their norms and their share.

    They are the largest of the whole task vector (scope `global`) or of each of its tensors (`tensor`). The curve
    is read from the censuses: the norms lie within their bounds, which are 0 where the last bin holds one value.
    """

    base: str
    tuned: str
    scope: str
    percent: float
    kept: int
    l1: float
    l2: float
    l1_bound: float
    l2_bound: float
    l1_share: float
    l2_share: float
    l1_share_bound: float
    l2_share_bound: float
    why: Why = field(default_factory=dict)


@dataclass(frozen=True)
class DifferenceCell:
    """One role in one layer: how much it changed, as L2 and relative to the base."""

    base: str
    tuned: str
    layer: int
    role: str
    n: int
    l2: float
    relative: float
    why: Why = field(default_factory=dict)


@dataclass(frozen=True)
class PairwiseRow:
    """Two models made from one base, as a whole or in one layer, role or tensor.

    `l1`, `l2` and `linf` are the norms of b − a, formed directly; `counts` its first digits, `mae` their distance from
    Benford's law, `top` the norms of its largest entries. `cosine` is that of the two task vectors, `sign_conflict`
    the share of weights that they move in opposite directions, `sign_conflict_moved` that share among the weights
    which both move. Beyond ten pairs `linf`, `counts`, `mae` and `top` are not made.
    """

    a: str
    b: str
    by: By
    key: str | int | None
    n: int
    l1: float
    l2: float
    linf: float | None
    cosine: float
    sign_conflict: float
    sign_conflict_moved: float
    counts: tuple[int, ...]
    mae: float | None
    top: tuple[Top, ...]
    why: Why = field(default_factory=dict)


@dataclass(frozen=True)
class ConflictRow:
    """The signs of all task vectors of a base, position by position.

    Of `n` weights that at least two of the `tuned` models share, any of them moves `moved_by_any`, and two of them move
    `conflicting` in opposite directions; `conflict` is that as a share of all, `conflict_moved` of those moved.
    """

    base: str
    tuned: int
    by: By
    key: str | int | None
    n: int
    moved_by_any: int
    conflicting: int
    conflict: float
    conflict_moved: float
    why: Why = field(default_factory=dict)


@dataclass(frozen=True)
class OrderRow:
    """One model in the order of the clustering (average linkage over the direct L2 distances).

    `joins` is the height at which its cluster meets that of the model before it (None for the first), `nearest` the
    model nearest to it and `apart` how far that is.
    """

    place: int
    model: str
    joins: float | None
    nearest: str
    apart: float
    why: Why = field(default_factory=dict)


@dataclass(frozen=True)
class DistanceCell:
    """How far two models are from each other; `a_place` and `b_place` are theirs in the order of the clustering."""

    a: str
    b: str
    a_place: int
    b_place: int
    l1: float
    l2: float
    cosine: float
    sign_conflict: float
    why: Why = field(default_factory=dict)


@dataclass(frozen=True)
class SeedRow:
    """Is the distance between data sets more than that between seeds?

    `within` is the mean distance (`distance_norm` says which: l1 or l2) of models of one data set and different
    seeds, `between` that of models of different data sets and different seeds, over so many pairs. `ratio` is between
    ÷ within, `ratio_low` and `ratio_high` its 95 % bootstrap interval over models. `p` is the share of relabellings
    of the data sets whose ratio is at least as large, `relabellings` how many there were, `exact` whether these are
    all there are.
    """

    distance_norm: str
    models: int
    datasets: int
    within_pairs: int
    between_pairs: int
    within: float | None
    between: float | None
    ratio: float | None
    ratio_low: float | None
    ratio_high: float | None
    p: float | None
    relabellings: int
    exact: bool
    why: Why = field(default_factory=dict)
