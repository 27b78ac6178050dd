"""The singular values of one matrix, and how well they are known."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from kaibo.vocabulary.findings import Row


@dataclass(frozen=True, eq=False)
class Spectrum:
    """Singular values of one matrix of `rows` × `columns`, descending, in float64.

    `method` is `exact` (all min(rows, columns) of them, each within `error` of the true one), `randomised` (only
    the largest; the i-th true value lies between `values[i]` and √(values[i]² + `error`²), and a true one within
    `residual` of the first) or `none` (no values: `nonfinite` counts the NaN and infinite entries that the matrix
    holds). `square` is ‖W‖_F² over its finite
    entries, added in float64.
    """

    rows: int
    columns: int
    method: str
    values: NDArray[np.float64]
    error: float
    square: float
    nonfinite: int = 0
    residual: float = 0.0

    @property
    def whole(self) -> int:
        """How many singular values the matrix has."""
        return min(self.rows, self.columns)

    @property
    def complete(self) -> bool:
        """Whether all of them are known."""
        return self.method == "exact"


@dataclass(frozen=True, eq=False)
class SpectrumRow:
    """One matrix of one model (or of a change), and its spectrum.

    `row` says which tensor of which model it is, `part` which expert where the tensor is a stack of matrices (None
    where it is not). `spectrum` is None where there is no matrix, and `why` says why. `noise` is the standard
    deviation per entry of what storing rounded away, where that is known (a change between two models).
    """

    row: Row
    part: int | None
    spectrum: Spectrum | None
    why: str = ""
    noise: float | None = None
