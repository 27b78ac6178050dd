"""The columns of its findings; field names are the names that `--json` prints."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from kaibo.vocabulary.kinds import Drawing, Kind

Why = Mapping[str, str]


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


NORM_SIZES = Kind(
    "norm-sizes",
    SizeRow,
    __package__,
    columns=(
        "pair",
        "way",
        "factor",
        "mean_absolute",
        "l1",
        "l2",
        "times",
        "holds",
    ),
    figures={"sizes": Drawing("sizes", "norms.sizes_title", "norms.sizes_caption")},
)
NORM_WAYS = Kind(
    "norm-ways",
    WayRow,
    __package__,
    columns=(
        "pair",
        "way",
        "l1",
        "l2",
        "l1_error",
        "l2_error",
        "quotient",
        "root",
        "times",
        "holds",
        "l1_step",
        "square_step",
    ),
    figures={"ways": Drawing("ways", "norms.ways_title", "norms.ways_caption")},
)
NORMS = Kind(
    "norms",
    NormsRow,
    __package__,
    columns=(
        "vector",
        "n",
        "l1",
        "l2",
        "possible",
        "l1_most",
        "times",
        "l1_step",
        "square_step",
        "needed",
    ),
    figures={"norms": Drawing("reported", "norms.title", "norms.caption")},
)
