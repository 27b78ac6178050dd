"""The compiled loop that adds norms in few bits, value after value, as a script that never leaves its type does."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from kaibo.vocabulary.compiling import compiled


@compiled
def rounded(value: float, bits: int, least: int, most: float) -> float:
    """A number that is not negative, rounded to the nearest of a type, ties to even; past its range infinity.

    The type has so many significant bits, a least subnormal of 2 to `least` and a greatest number. Adding and taking
    away 1.5·2⁵²·step leaves the nearest multiple of the step.
    """
    if value == 0.0 or not value < np.inf:
        return value
    exponent = max(math.frexp(value)[1] - bits, least)
    shift = math.ldexp(1.5, 52 + exponent)
    near = (value + shift) - shift
    return near if near <= most else np.inf


@compiled
def running(sizes: NDArray[np.float32], total: float, bits: int, least: int, most: float) -> float:
    """The total after each of these was added to it and the sum rounded."""
    for i in range(sizes.size):
        total = rounded(total + sizes[i], bits, least, most)
    return total
