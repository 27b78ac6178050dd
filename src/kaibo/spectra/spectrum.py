"""The spectrum of a matrix: exactly where its size allows, else its largest values with their bracket."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np

from kaibo.spectra.exact import LARGEST, WHOLE, exact_values, is_exact
from kaibo.spectra.matrices import Matrix
from kaibo.spectra.randomised import OVERSAMPLED, PROBES, RANK, ROUNDS, SEED, leading_values
from kaibo.vocabulary.spectra import Spectrum

SETTINGS = f"exact<={LARGEST} rank={RANK} rounds={ROUNDS} seed={SEED}"
"""What a stored spectrum depends on beside the matrix."""


def spectrum_of(matrix: Matrix) -> Spectrum:
    """The spectrum of one matrix; a matrix with NaN or infinite entries has none, and they are counted.

    A matrix of zeros has singular values of zero. Raises what reading the tensor raises.
    """
    square, scale, nonfinite = _looked_over(matrix)
    if nonfinite:
        return Spectrum(matrix.rows, matrix.columns, "none", np.zeros(0), 0.0, square, nonfinite)
    if scale == 0.0:
        return Spectrum(matrix.rows, matrix.columns, "exact", np.zeros(min(matrix.rows, matrix.columns)), 0.0, 0.0)
    rows, columns = matrix.rows, matrix.columns
    if is_exact(rows, columns):
        values, error = exact_values(matrix, scale)
        return Spectrum(rows, columns, "exact", values, error, square, residual=error)
    found = leading_values(matrix, square, scale)
    return Spectrum(rows, columns, "randomised", found.values, found.error, square, residual=found.residual)


def _looked_over(matrix: Matrix) -> tuple[float, float, int]:
    """‖W‖_F² and max |entry| over the finite entries, and how many are not finite."""
    squares, scale, nonfinite = [], 0.0, 0
    for block in matrix.blocks():
        finite = np.isfinite(block)
        bad = block.size - int(np.count_nonzero(finite))
        values = np.where(finite, block, 0).astype(np.float64) if bad else block.astype(np.float64)
        nonfinite += bad
        scale = max(scale, float(np.abs(values).max()))
        with np.errstate(over="ignore"):
            squares.append(float(np.einsum("ij,ij->", values, values)))
    return math.fsum(squares), scale, nonfinite


def memory_of(rows: int, columns: int) -> int:
    """About how many bytes one worker holds while it computes a spectrum of this size."""
    if not is_exact(rows, columns):
        return 4 * 2 * (rows + columns) * (RANK + OVERSAMPLED + PROBES) + (64 << 20)
    held = rows * columns if rows * columns <= WHOLE else 5 * columns * columns
    return 2 * 4 * held * (2 if min(rows, columns) <= 1024 else 1) + (64 << 20)


@contextmanager
def one_blas_thread() -> Iterator[None]:
    """One BLAS thread for the block where threadpoolctl is installed: workers are threads of their own.

    The limit is the process's, so the block goes around all workers, not inside each.
    """
    try:
        from threadpoolctl import threadpool_limits
    except ImportError:
        yield
        return
    with threadpool_limits(1, "blas"):
        yield
