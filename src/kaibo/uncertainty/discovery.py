"""Many tests at once: the smallest false discovery rate at which each would be called (Benjamini and Hochberg 1995)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


def false_discovery(p: Floats) -> Floats:
    """q for every p of an array; NaN where there was no test, which counts as none."""
    from scipy.stats import false_discovery_control

    tested = ~np.isnan(p)
    q = np.full(p.shape, np.nan)
    if tested.any():
        q[tested] = false_discovery_control(p[tested])
    return q


def benjamini_hochberg(p: Sequence[float | None]) -> list[float | None]:
    """q for every p of a finding; None where there was no test.

    >>> benjamini_hochberg([0.01, 0.04, None, 0.03])
    [0.03, 0.04, None, 0.04]
    """
    q = false_discovery(np.array([np.nan if one is None else one for one in p], np.float64))
    return [None if np.isnan(one) else float(one) for one in q]
