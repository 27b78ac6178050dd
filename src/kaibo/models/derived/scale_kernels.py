"""The compiled loop of rescaling: a chunk of values is multiplied by the powers of two of its rows and columns."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from kaibo.vocabulary.compiling import compiled

LARGEST = 64
"""The largest exponent, up or down."""


@compiled
def multiply(
    values: NDArray[np.float32],
    begin: int,
    rows: NDArray[np.int8],
    columns: NDArray[np.int8],
    powers: NDArray[np.float32],
) -> None:
    """Multiplies, in place, the values from position `begin` of a matrix on; `powers` are 2^−64 … 2^64."""
    row, column = begin // columns.size, begin % columns.size
    for i in range(values.size):
        exponent = np.int64(rows[row]) + np.int64(columns[column])
        if exponent != 0:
            values[i] *= powers[exponent + LARGEST]
        column += 1
        if column == columns.size:
            column = 0
            row += 1
