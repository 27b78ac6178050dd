"""Models beside each other: records and kinds; field names are the names that `--json` prints."""

from __future__ import annotations

from dataclasses import dataclass, field

from kaibo.chapters.diff.rows import Top, Why
from kaibo.vocabulary import By
from kaibo.vocabulary.kinds import Drawing, Kind


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


CONFLICT = Kind(
    "conflict",
    ConflictRow,
    __package__,
    columns=(
        "by",
        "key",
        "n",
        "moved_by_any",
        "conflicting",
        "conflict",
        "conflict_moved",
    ),
)


DISTANCES = Kind(
    "distances",
    DistanceCell,
    __package__,
    figures={"map": Drawing("distance_map", "diff.distances_title", "diff.distances_caption")},
)


ORDER = Kind(
    "order",
    OrderRow,
    __package__,
    columns=(
        "place",
        "model",
        "joins",
        "nearest",
        "apart",
    ),
)


PAIRS = Kind(
    "pairs",
    PairwiseRow,
    __package__,
    columns=(
        "a",
        "b",
        "by",
        "key",
        "n",
        "l1",
        "l2",
        "linf",
        "mae",
        "cosine",
        "sign_conflict",
        "sign_conflict_moved",
    ),
)


SEEDS = Kind(
    "seeds",
    SeedRow,
    __package__,
    columns=(
        "distance_norm",
        "models",
        "datasets",
        "within_pairs",
        "between_pairs",
        "within",
        "between",
        "ratio",
        "ratio_low",
        "ratio_high",
        "p",
        "p_least",
        "relabellings",
    ),
)
