"""How few nats the best of all models needs, in expectation, for what was put into a text at random.

Each is the entropy of the draw: no predictor has a smaller expected loss than the entropy of what it predicts, and the
one that knows the distribution reaches it (Cover and Thomas 2006, Elements of Information Theory, theorem 2.6.3).
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray


def entropy(counts: NDArray[np.int64]) -> float:
    """Nats of one draw by these counts.

    >>> round(entropy(np.array([1, 1, 1, 1])), 6) == round(math.log(4), 6)
    True
    """
    total = int(counts.sum())
    return math.log(total) - _sum(counts) / total if total else 0.0


def entropies_without(counts: NDArray[np.int64], spared: NDArray[np.int64]) -> NDArray[np.float64]:
    """Nats of a draw by these counts that may not be the unit whose count is `spared`, for each of several.

    >>> float(np.exp(entropies_without(np.array([1, 1, 1]), np.array([1]))[0]).round(12))
    2.0
    """
    total = float(counts.sum()) - spared
    kept = np.maximum(spared, 1).astype(np.float64)
    found: NDArray[np.float64] = np.log(total) - (_sum(counts) - kept * np.log(kept)) / total
    return found


def orderings(codes: NDArray[np.int64]) -> float:
    """ln of the number of different orders of these units: n!, divided by m! for each that comes m times.

    >>> round(math.exp(orderings(np.array([7, 7, 8]))))
    3
    """
    repeated = np.unique(codes, return_counts=True)[1].tolist()
    return math.lgamma(len(codes) + 1) - math.fsum(math.lgamma(count + 1) for count in repeated)


def _sum(counts: NDArray[np.int64]) -> float:
    """Σ c ln c."""
    positive = counts[counts > 0].astype(np.float64)
    return float((positive * np.log(positive)).sum())
