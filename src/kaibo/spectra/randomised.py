"""The largest singular values of a matrix too large for all of them, read in blocks of rows a few times.

Halko, Martinsson, Tropp, "Finding structure with randomness", SIAM Review 53 (2011): Y = WΩ for a random Ω, then
rounds of Z = WᵀQ, Y = WZ, each orthonormalised. With E = W − QQᵀW, WᵀW = (QᵀW)ᵀ(QᵀW) + EᵀE, so the singular
values θᵢ of QᵀW bracket the true ones (Weyl):

    θᵢ² ≤ σᵢ² ≤ θᵢ² + ‖E‖²

‖E‖ is at most ‖E‖_F, known exactly from ‖W‖_F² − Σθ², and at most 10·√(2/π)·max ‖Eω‖ over ten Gaussian vectors ω
that had no part in finding Q, with probability 1 − 10⁻¹⁰ (their Lemma 4.1). The smaller of the two is stated.

This bracket is wide where the spectrum is flat. Beside it stands the residual ‖Wv − θ₁u‖ of the largest value: since
Wᵀu = θ₁v, a true singular value lies within it of θ₁.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from kaibo.spectra.matrices import Matrix, Real, safe_factor

RANK = 256
"""How many values are looked for; as many directions are held on each side."""

OVERSAMPLED, PROBES, ROUNDS, SEED = 16, 10, 3, 0

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Leading:
    """The largest singular values from below, descending, the bound of ‖E‖, and the residual of the first."""

    values: Floats
    error: float
    residual: float


def leading_values(matrix: Matrix, square: float, scale: float, rank: int = RANK, rounds: int = ROUNDS) -> Leading:
    """The `rank` largest singular values.

    `square` is ‖W‖_F², `scale` max |entry|, above zero. The matrix is read 3 + 2·rounds times. Seeded: the same
    matrix gives the same values.
    """
    width = min(rank + OVERSAMPLED, min(matrix.rows, matrix.columns))
    factor = safe_factor(scale)
    random = np.random.default_rng([SEED, matrix.rows, matrix.columns])
    right: Real = random.standard_normal((matrix.columns, width)).astype(np.float32)
    for _ in range(rounds):
        right = _orthonormal(_transposed_times(matrix, factor, _orthonormal(_times(matrix, factor, right))))
    probes = random.standard_normal((matrix.columns, PROBES)).astype(np.float32)
    both = _times(matrix, factor, np.concatenate([right, probes], axis=1))
    left, probed = _orthonormal(both[:, :width]), both[:, width:].astype(np.float64)
    inside = _transposed_times(matrix, factor, left).astype(np.float64)
    vectors, values, mixed = np.linalg.svd(inside, full_matrices=False)
    rounding = math.sqrt(matrix.rows + matrix.columns) * float(np.finfo(np.float32).eps) * float(values[0])
    missed = probed - left.astype(np.float64) @ (inside.T @ probes.astype(np.float64))
    likely = 10 * math.sqrt(2 / math.pi) * float(np.sqrt((missed**2).sum(axis=0)).max())
    certain = math.sqrt(max(0.0, square * factor * factor - float((values**2).sum())))
    image = _times(matrix, factor, vectors[:, :1].astype(np.float32))[:, 0].astype(np.float64)
    residual = float(np.linalg.norm(image - values[0] * (left.astype(np.float64) @ mixed[0])))
    kept: Floats = np.asarray(values[: min(rank, width)] / factor, np.float64)
    return Leading(kept, (min(likely, certain) + rounding) / factor, (residual + rounding) / factor)


def _times(matrix: Matrix, factor: float, right: Real) -> Real:
    """W·X, a block of rows at a time."""
    return np.concatenate([block @ right for block in matrix.scaled(np.float32, factor)])


def _transposed_times(matrix: Matrix, factor: float, left: Real) -> Real:
    """Wᵀ·X, added in float64 over blocks of rows in order."""
    out = np.zeros((matrix.columns, left.shape[1]))
    begin = 0
    for block in matrix.scaled(np.float32, factor):
        out += block.T @ left[begin : begin + block.shape[0]]
        begin += block.shape[0]
    return out.astype(np.float32)


def _orthonormal(columns: Real) -> Real:
    from scipy.linalg import qr

    found: Real = qr(columns, mode="economic", overwrite_a=True, check_finite=False)[0]
    return found
