"""What is known of two tensors together: joint sums, and the row of one pair."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from math import fsum

from kaibo.vocabulary.counts.census import Census
from kaibo.vocabulary.findings import Row


@dataclass(frozen=True)
class Joint:
    """Sums over the pairs of values (base, tuned) of which both are finite; `n` counts all pairs.

    `dot` is Σ base·tuned, `base_square` and `tuned_square` Σ base² and Σ tuned², in float64. `changed` counts the
    pairs of different value, `one_ulp` those that lie exactly one unit in the last place apart (None where the two
    are stored in different types), `same_sign` those of one sign and `flipped` those of opposite signs.
    Where the tuned values are stored in a coarser type, `rounding` is Σ|error| and `rounding_square` Σ error² of
    rounding the base once to it, over the values that stay finite; None elsewhere.
    """

    n: int
    finite: int
    dot: float
    base_square: float
    tuned_square: float
    changed: int
    one_ulp: int | None
    same_sign: int
    flipped: int
    rounding: float | None = None
    rounding_square: float | None = None


def joined(parts: Iterable[Joint]) -> Joint:
    """The sums over several sets of pairs; floats are added exactly and rounded once, so no order matters.

    >>> joined([]).n
    0
    """
    several = list(parts)
    steps = [part.one_ulp for part in several]
    return Joint(
        n=sum(part.n for part in several),
        finite=sum(part.finite for part in several),
        dot=exactly(part.dot for part in several),
        base_square=exactly(part.base_square for part in several),
        tuned_square=exactly(part.tuned_square for part in several),
        changed=sum(part.changed for part in several),
        one_ulp=None if None in steps else sum(step for step in steps if step is not None),
        same_sign=sum(part.same_sign for part in several),
        flipped=sum(part.flipped for part in several),
        rounding=_known(part.rounding for part in several),
        rounding_square=_known(part.rounding_square for part in several),
    )


def _known(numbers: Iterable[float | None]) -> float | None:
    """The sum of what is known; None where nothing is."""
    known = [number for number in numbers if number is not None]
    return exactly(known) if known else None


def exactly(numbers: Iterable[float]) -> float:
    """The sum rounded once; as ordinary addition has it where a partial sum is past the greatest float64."""
    several = list(numbers)
    try:
        return fsum(several)
    except (OverflowError, ValueError):
        return sum(several)


@dataclass(frozen=True)
class Crossed:
    """Sums over the positions of two task vectors a and b of one base, at which both are finite; `n` counts all.

    `dot` is Σab, `a_square` and `b_square` Σa² and Σb²; `same_sign` and `opposite` count the positions at which both
    are not zero. `absolute` and `square` are Σ|x| and Σx² of the direct difference of the two models, where finite.
    """

    n: int
    finite: int
    dot: float
    a_square: float
    b_square: float
    same_sign: int
    opposite: int
    absolute: float
    square: float

    @property
    def turned(self) -> Crossed:
        """The same of b and a."""
        return replace(self, a_square=self.b_square, b_square=self.a_square)


def crossed(parts: Iterable[Crossed]) -> Crossed:
    """The sums over several sets of positions; floats are added exactly and rounded once.

    >>> crossed([]).n
    0
    """
    several = list(parts)
    return Crossed(
        n=sum(part.n for part in several),
        finite=sum(part.finite for part in several),
        dot=exactly(part.dot for part in several),
        a_square=exactly(part.a_square for part in several),
        b_square=exactly(part.b_square for part in several),
        same_sign=sum(part.same_sign for part in several),
        opposite=sum(part.opposite for part in several),
        absolute=exactly(part.absolute for part in several),
        square=exactly(part.square for part in several),
    )


@dataclass(frozen=True)
class Signs:
    """Of `n` positions, at how many any of several task vectors moves a weight, at how many two move it apart."""

    n: int = 0
    moved: int = 0
    conflicting: int = 0

    def __add__(self, other: Signs) -> Signs:
        """Those of both sets of positions."""
        return Signs(self.n + other.n, self.moved + other.moved, self.conflicting + other.conflicting)


@dataclass(frozen=True)
class PairRow:
    """One tensor of a base beside the same tensor of a model made from it.

    `difference` is the row of Δ = tuned − base as a tensor of the tuned model: its census, and as its content the
    key of the pair. `base` and `base_id` are the base's address and identity, `base_content` and `tuned_content`
    the two content hashes, `base_dtype` and `tuned_dtype` how the two are stored; `base_census` is that of the
    base's values.
    """

    base: str
    base_id: str
    difference: Row
    base_content: str
    tuned_content: str
    base_dtype: str
    tuned_dtype: str
    base_census: Census
    joint: Joint

    @property
    def identical(self) -> bool:
        """Whether both tensors are the same to the last bit."""
        return self.base_content == self.tuned_content


@dataclass(frozen=True)
class CrossRow:
    """One tensor in two models made from one base: `a` and `b` are their addresses.

    `crossed` are the sums of their task vectors. `direct` is the row of b − a, where it was counted: its base is a.
    """

    base: str
    a: str
    b: str
    tensor: str
    layer: int | None
    role: str
    crossed: Crossed
    direct: PairRow | None


@dataclass(frozen=True)
class SignRow:
    """One tensor in all models made from one base that have it: the signs of their task vectors by position."""

    base: str
    tuned: tuple[str, ...]
    tensor: str
    layer: int | None
    role: str
    signs: Signs
