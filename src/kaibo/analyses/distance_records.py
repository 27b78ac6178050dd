"""The columns of findings about several models made from one base; field names are what `--json` prints."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from kaibo.analyses.records import Top
from kaibo.vocabulary import By

Why = Mapping[str, str]


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
    all there are, `p_least` the smallest p that so few models can give: with three to five seeds of two data sets it
    is 0.25 to 0.06, and no p can fall below it.
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
    p_least: float | None
    relabellings: int
    exact: bool
    why: Why = field(default_factory=dict)


@dataclass(frozen=True)
class NormsRow:
    """Whether L1, L2 and L∞ can be norms of one vector of `n` values: `holds` says possible, never that they are.

    `l1_most` is √n·L2, the greatest L1 that any vector with this L2 has, and `times` L1 as a multiple of it; `needed`
    is how many values a vector with these two norms has at least. `l1_step` and `square_step` are the largest powers
    of two of which L1 and the square of L2 are whole multiples, None where they have no step that means anything, and
    `by_chance` how likely an L2 of full precision would show such a step; `vector` is what it is called.
    """

    n: int
    l1: float
    l2: float
    linf: float | None
    holds: bool
    l1_most: float
    times: float | None
    needed: int | None
    l1_step: float | None
    square_step: float | None
    by_chance: float | None
    vector: str | None = None
    why: Why = field(default_factory=dict)

    @property
    def possible(self) -> bool:
        """`holds` as tables call it."""
        return self.holds


@dataclass(frozen=True)
class WayRow:
    """L1 and L2 of one difference of `n` values in `tensors` tensors, reckoned in the way that `way` says.

    `quotient` is L1 ÷ L2, which is at most `root`, √n, for every vector, and `times` the one as a multiple of the
    other; `holds` says whether these can be norms of one vector at all. `l1_error` and `l2_error` are how far the two
    are from the right ones, as shares of them. The steps are those of `NormsRow`.
    """

    pair: str
    way: str
    n: int
    tensors: int
    l1: float
    l2: float
    quotient: float
    root: float
    times: float
    holds: bool | None
    l1_error: float
    l2_error: float
    l1_step: float | None
    square_step: float | None
    why: Why = field(default_factory=dict)


@dataclass(frozen=True)
class SizeRow:
    """What `times` of a `WayRow` is for the same difference times `factor`, at a mean |Δ| of `mean_absolute`.

    A row that somebody reported (`factor` None) stands beside them at L1 ÷ n.
    """

    pair: str
    way: str
    factor: float | None
    mean_absolute: float
    l1: float
    l2: float
    times: float
    holds: bool | None
    why: Why = field(default_factory=dict)
