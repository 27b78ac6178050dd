"""Student's t, two-sided, as a polynomial: what a compiled loop can ask a million times a second, also far out.

With ν degrees of freedom and s² = t²/(ν + t²), the two-sided p is (1 − s²)^(ν/2) · h(s), where h is smooth on [0, 1].
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

MOST = 120
"""The highest degree that is tried; a hundred checkpoints need 33."""

SMALL = 1e-11
"""Coefficients below this, beside the largest, are left out."""


@lru_cache(maxsize=64)
def tail_polynomial(freedom: int) -> Floats:
    """Coefficients of h in powers of 2s − 1, the highest first.

    >>> h = float(np.polyval(tail_polynomial(10), 2 * 0.5 - 1))  # s = 1/2 is t = √(10/3)
    >>> round((1 - 0.25) ** 5 * h, 6)
    0.097855
    """
    degree = 12
    while True:
        fit = np.polynomial.Chebyshev.interpolate(lambda v: _smooth(v, freedom / 2), degree)
        if degree >= MOST or np.abs(fit.coef[-3:]).max() < SMALL * np.abs(fit.coef).max():
            break
        degree += 6
    return np.ascontiguousarray(np.polynomial.chebyshev.cheb2poly(fit.trim(SMALL).coef)[::-1], np.float64)


def _smooth(v: Floats, half: float) -> Floats:
    """h at s = (v + 1)/2: the incomplete beta function I_z(ν/2, 1/2) ÷ z^(ν/2) with z = 1 − s²."""
    from scipy.special import betainc

    s = (v + 1) / 2
    z = 1 - s * s
    with np.errstate(invalid="ignore", divide="ignore", under="ignore"):
        near = betainc(half, 0.5, z) / z**half
    return np.where(z > 0.5, near, _far(z, s, half))


def _far(z: Floats, s: Floats, half: float) -> Floats:
    """The same where z^(ν/2) may be too small to divide by: DLMF 8.17.7 and 15.2.1, term by term."""
    from scipy.special import beta

    total, term = np.zeros_like(z), np.ones_like(z)
    for place in range(80):  # each term is less than half the one before where this is used
        total += term
        term = term * np.minimum(z, 0.5) * (half + 0.5 + place) / (half + 1 + place)
    return np.asarray(s * total / (half * beta(half, 0.5)), np.float64)
