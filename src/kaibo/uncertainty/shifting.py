"""The null of a set of tokens: the same set pushed along the text, by every distance, with its clusters kept.

Neighbouring tokens are alike, so shuffling them one by one would promise too much. A circular shift keeps the set's own
pattern and breaks only its tie to what stands at each place; all shifts at once are one correlation by FFT.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]

SHIFTS = 1999
"""Evenly spaced shifts that a null draws where all of them would be too many to keep."""


def shifted_sums(chosen: Mask, values: Floats) -> Floats:
    """Σ of values over the set shifted by 0, 1, 2 … places, one entry a shift; shapes (tokens,), (tokens,).

    >>> shifted_sums(np.array([True, False, True]), np.array([1.0, 2.0, 4.0])).round(9).tolist()
    [5.0, 3.0, 6.0]
    """
    spectrum = np.conj(np.fft.rfft(chosen.astype(np.float64))) * np.fft.rfft(values)
    return np.asarray(np.fft.irfft(spectrum, len(values)), np.float64)


def shifts_of(count: int, most: int = SHIFTS) -> NDArray[np.int64]:
    """The shifts of a null, evenly spaced and without 0."""
    return np.unique(np.linspace(1, count - 1, min(most, max(count - 1, 1))).astype(np.int64))
