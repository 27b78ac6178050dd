"""What two tensors are together: joint sums from what a pass added up, and those that need no pass at all.

Squares of a side follow from its census, exactly; of two equal tensors everything does, and of a task vector beside
one that is zero or its equal, too.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

import numpy as np

from kaibo.counting.tallies import CrossSums, PairSums, Partial
from kaibo.vocabulary import Census, Crossed, Joint, Signs, points, sums
from kaibo.vocabulary.counts.census import SIDE
from kaibo.vocabulary.differences import exactly


def joint_of(parts: Sequence[PairSums], censuses: tuple[Census, Census]) -> Joint:
    """The joint sums of a whole pair from its spans in order and the censuses of both sides."""
    steps = [part.one_ulp for part in parts]
    base, tuned = _squares(parts, censuses)
    return Joint(
        n=sum(part.n for part in parts),
        finite=sum(part.finite for part in parts),
        dot=_added(part.dots for part in parts),
        base_square=base,
        tuned_square=tuned,
        changed=sum(part.changed for part in parts),
        one_ulp=None if None in steps else sum(step for step in steps if step is not None),
        same_sign=sum(part.same_sign for part in parts),
        flipped=sum(part.flipped for part in parts),
        rounding=_added(part.rounding[0] for part in parts) if parts[0].rounding else None,
        rounding_square=_added(part.rounding[1] for part in parts) if parts[0].rounding else None,
    )


def _added(several: Iterable[Partial]) -> float:
    return exactly(number for part in several for number in part)


def _squares(parts: Sequence[PairSums], censuses: tuple[Census, Census]) -> tuple[float, float]:
    if parts[0].squares:
        return _added(part.squares[0] for part in parts), _added(part.squares[1] for part in parts)
    found = []
    for side, census in enumerate(censuses):
        for part in parts:
            census = without(census, part.excluded[side])
        found.append(sums([census]).square)
    return found[0], found[1]


def without(census: Census, part: Census) -> Census:
    """The census less values that it holds; its extremes stay as they are.

    >>> without(Census.empty("F32"), Census.empty("F32")).n
    0
    """
    if not part.keys.size:
        return census
    place = np.searchsorted(census.keys, part.keys)
    counts = census.counts.copy()
    counts[place] -= part.counts
    if not census.wide:
        return replace(census, counts=counts)
    lo, lo2 = census.lo.copy(), census.lo2.copy()
    lo[place] -= part.lo
    borrowed = lo2[place, 1] < part.lo2[:, 1]
    lo2[place, 1] -= part.lo2[:, 1]
    lo2[place, 0] -= part.lo2[:, 0] + borrowed.astype(np.uint64)
    kept = counts > 0
    return replace(census, keys=census.keys[kept], counts=counts[kept], lo=lo[kept], lo2=lo2[kept])


def crossed_of(parts: Sequence[CrossSums]) -> Crossed:
    """The sums of two task vectors over a whole tensor from its spans in order."""
    dot, a_square, b_square, absolute, square = (_added(part.parts[place] for part in parts) for place in range(5))
    return Crossed(
        n=sum(part.n for part in parts),
        finite=sum(part.finite for part in parts),
        dot=dot,
        a_square=a_square,
        b_square=b_square,
        same_sign=sum(part.same_sign for part in parts),
        opposite=sum(part.opposite for part in parts),
        absolute=absolute,
        square=square,
    )


def no_difference(census: Census) -> Census:
    """The census of Δ between a tensor and its equal: zeros, and NaN wherever the tensor is not finite."""
    finite = census.n - census.nonfinite
    if finite == 0:
        return replace(Census.empty("F32"), nan=census.nonfinite)
    none, zero = np.zeros(1, np.uint64), 0.0
    return Census(
        dtype="F32",
        keys=np.array([SIDE], np.uint32),
        counts=np.array([finite], np.uint64),
        lo=none,
        lo2=np.zeros((1, 2), np.uint64),
        minimum=zero,
        maximum=zero,
        nan=census.nonfinite,
    )


def identical_joint(census: Census) -> Joint:
    """The joint sums of a tensor with its equal, from its census; squares are exact, rounded once."""
    found = sums([census])
    square = found.square
    return Joint(census.n, found.finite, square, square, square, 0, 0, found.finite - _zeros(census), 0)


def crossed_with_itself(delta: Census) -> Crossed:
    """The sums of a task vector with its equal, from its census."""
    found = sums([delta])
    square = found.square
    return Crossed(delta.n, found.finite, square, square, square, found.finite - _zeros(delta), 0, 0.0, 0.0)


def crossed_with_nothing(delta: Census) -> Crossed:
    """The sums of a task vector a with one that is zero wherever a is finite: the direct difference is −a."""
    found = sums([delta])
    return Crossed(delta.n, found.finite, 0.0, found.square, 0.0, 0, 0, found.absolute, found.square)


def signs_alone(deltas: Sequence[Census], n: int) -> Signs:
    """The signs where no two of the task vectors differ: one census, or none where nothing was changed at all."""
    return Signs(n, sum(sums([delta]).finite - _zeros(delta) for delta in deltas), 0)


def _zeros(census: Census) -> int:
    found = points(census)
    return int(found.counts[found.digit == 0].sum())
