"""Whether training took: what differs between a model and the base it was made from."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from kaibo.chapters.check.rows import Fault, fault
from kaibo.vocabulary import PairRow, sums

FEW = 1e-4
"""Of the values of the tensors that changed at all: with fewer, nearly all of what training did is lost."""


def took(rows: Sequence[PairRow], base: str) -> Iterator[Fault]:
    """A model that equals its base, that is its base rounded once, or of which next to nothing changed."""
    if not rows:
        return
    touched = [row for row in rows if row.joint.changed]
    changed, n = sum(row.joint.changed for row in touched), sum(row.joint.finite for row in touched or rows)
    if not changed:
        yield fault("equals-base", None, base=base, tensors=f"{len(rows):,}", n=f"{n:,}")
        return
    if _only_rounded(rows):
        yield fault("only-rounded", None, base=base, n=f"{n:,}")
        return
    if changed < FEW * n:
        steps = sum(row.joint.one_ulp or 0 for row in rows)
        yield fault("below-rounding", None, base=base, changed=f"{changed:,}", n=f"{n:,}", steps=f"{steps:,}")


def _only_rounded(rows: Sequence[PairRow]) -> bool:
    """Whether every change is, sum for sum, the error of rounding the base once to the type it is stored in."""
    for row in rows:
        joint, census = row.joint, row.difference.census
        if not joint.changed:
            continue
        if joint.rounding_square is None or census is None:
            return False
        if abs(sums([census]).square - joint.rounding_square) > 1e-9 * joint.rounding_square:
            return False
    return True
