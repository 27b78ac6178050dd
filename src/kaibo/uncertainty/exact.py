"""Exact tests of two sides that should be right, or higher, equally often."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def sign_test(first: int, second: int) -> float:
    """Two-sided p of so uneven a count if each of the two were as likely every time: McNemar's exact test (1947).

    >>> sign_test(0, 0), sign_test(5, 0)
    (1.0, 0.0625)
    """
    from scipy.special import bdtr

    total = first + second
    return min(1.0, 2 * float(bdtr(min(first, second), total, 0.5))) if total else 1.0


def clustered_sign_test(differences: NDArray[np.float64], clusters: NDArray[np.intp]) -> float:
    """Two-sided p of Σ differences (−1, 0, 1) if in each cluster the two sides could be exchanged, all at once.

    Answers to questions about one passage go together, so each cluster is one toss, of its own size; the distribution
    of Σ ±size over clusters is built up exactly. With a question a cluster this is `sign_test`.

    >>> clustered_sign_test(np.ones(5), np.arange(5)), clustered_sign_test(np.ones(6), np.array([0, 0, 0, 1, 1, 1]))
    (0.0625, 0.5)
    """
    _, numbers = np.unique(clusters, return_inverse=True)
    sums = np.abs(np.rint(np.bincount(numbers, differences))).astype(np.int64)
    sizes = sums[sums > 0]
    if not len(sizes):
        return 1.0
    if sizes.max() == 1:
        won = (len(sizes) + round(float(differences.sum()))) // 2
        return sign_test(won, len(sizes) - won)
    total = int(sizes.sum())
    chances = np.zeros(2 * total + 1)
    chances[total] = 1.0
    for size in sizes.tolist():
        chances = (np.roll(chances, size) + np.roll(chances, -size)) / 2
    least = abs(round(float(differences.sum())))
    far = np.abs(np.arange(-total, total + 1)) >= least
    return min(1.0, float(chances[far].sum()))
