"""The null of a spectrum: a Gaussian matrix of the same shape and norm, its edge and its ranks."""

from __future__ import annotations

import math
from dataclasses import dataclass

TRACY_WIDOM = 2.0234
"""The 99 % quantile of the Tracy–Widom law (β = 1): how far past the edge a Gaussian matrix strays once in 100."""


@dataclass(frozen=True)
class Gaussian:
    """A Gaussian matrix in the same units: its largest singular value, how far that may stray, and two ranks."""

    norm: float
    limit: float
    stable_rank: float
    entropy_rank: float


def gaussian(rows: int, columns: int, square: float) -> Gaussian:
    """The null for a matrix of this shape with ‖W‖_F² = `square`.

    `limit` is where its largest singular value lies below in 99 of 100 draws (Johnstone, Annals of Statistics 29,
    2001, with Tracy–Widom's law).

    >>> round(gaussian(100, 100, 100.0).stable_rank, 6)
    25.0
    """
    spread = math.sqrt(square / (rows * columns))
    edge = math.sqrt(rows) + math.sqrt(columns)
    small, large = sorted((rows, columns))
    root = math.sqrt(max(large - 1, 0.5))
    centre, width = root + math.sqrt(small), (root + math.sqrt(small)) * (1 / root + 1 / math.sqrt(small)) ** (1 / 3)
    limit = spread * math.sqrt(centre**2 + TRACY_WIDOM * width)
    return Gaussian(spread * edge, limit, rows * columns / edge**2, small * math.exp(-small / (2 * large)))
