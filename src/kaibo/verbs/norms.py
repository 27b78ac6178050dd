"""`kaibo norms`: can these be the norms of one vector?"""

from __future__ import annotations

from collections.abc import Iterable

from kaibo.analyses import consistent_norms
from kaibo.analyses.distance_records import NormsRow
from kaibo.vocabulary import Finding

NOTES = ("L1 ≤ √n·L2, L2 ≤ L1 and L2 ≤ √(L1·L∞) hold for every vector of n values.",)


def norms(reported: Iterable[tuple[int, float, float]]) -> Finding[NormsRow]:
    """Whether norms that somebody reported are possible: (number of values, L1, L2) for each vector.

    Raises UsageError for a number that is no norm.

    >>> [row.holds for row in norms([(8_030_261_248, 283154.5, 2.7612), (4, 2.0, 1.0)])]
    [False, True]
    """
    return Finding("norms", tuple(consistent_norms(n, l1, l2) for n, l1, l2 in reported), NOTES)
