"""All singular values of a matrix by LAPACK, without ever forming WᵀW, whose small values would be lost to rounding.

A matrix that is much taller than wide is first brought to a triangle, one block of rows after the other
(sequential TSQR; Demmel, Grigori, Hoemmen, Langou, "Communication-optimal parallel and sequential QR and LU
factorizations", SIAM J. Sci. Comput. 34, 2012): R of [R; block] has the singular values of all rows read so far.

LAPACK's divide and conquer is backward stable: each computed value lies within p·ε·σ₁ of the true one, p a modest
function of the sizes. The bound stated is p = √(rows + columns), several times what random matrices show.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from kaibo.spectra.matrices import Matrix, Real, safe_factor

WHOLE = 1 << 26
"""Matrices of so many values are held whole: 256 MiB in float32."""

LARGEST = 4096
"""The largest smaller side for which all singular values are computed."""

DOUBLE = 1024
"""Up to this smaller side in float64, in float32 above: four seconds instead of eight for 4096 × 4096."""


def is_exact(rows: int, columns: int) -> bool:
    """Whether a matrix is of a size for which all singular values are computed."""
    return min(rows, columns) <= LARGEST and (rows * columns <= WHOLE or rows > columns)


def precision_of(matrix: Matrix) -> type[np.float32] | type[np.float64]:
    """The type in which a matrix is computed with."""
    wide = matrix.tensor.dtype.name == "F64" or min(matrix.rows, matrix.columns) <= DOUBLE
    return np.float64 if wide else np.float32


def exact_values(matrix: Matrix, scale: float) -> tuple[NDArray[np.float64], float]:
    """All singular values, descending, and a bound of the error of each. `scale` is the largest |entry|, above zero."""
    from scipy.linalg import svdvals

    kind, factor = precision_of(matrix), safe_factor(scale)
    small = _whole(matrix, kind, factor) if matrix.size <= WHOLE else _triangle(matrix, kind, factor)
    found: NDArray[np.float64] = svdvals(small, overwrite_a=True, check_finite=False).astype(np.float64) / factor
    bound = math.sqrt(matrix.rows + matrix.columns) * float(np.finfo(kind).eps) * float(found[0])
    return found, bound


def _whole(matrix: Matrix, kind: type[np.floating], factor: float) -> Real:
    out = np.empty((matrix.rows, matrix.columns), kind)
    filled = 0
    for block in matrix.scaled(kind, factor):
        out[filled : filled + block.shape[0]] = block
        filled += block.shape[0]
    return out


def _triangle(matrix: Matrix, kind: type[np.floating], factor: float) -> Real:
    """R of the QR factorisation, columns × columns; about five such squares are held at a time."""
    from scipy.linalg import qr

    triangle = np.zeros((0, matrix.columns), kind)
    for block in matrix.scaled(kind, factor, 2 * matrix.columns):
        stacked = np.concatenate([triangle, block])
        triangle = qr(stacked, mode="r", overwrite_a=True, check_finite=False)[0][: matrix.columns]
    return triangle
