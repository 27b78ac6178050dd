"""Low-rank updates from their factors: singular values, norms and principal angles, without ever forming B·A.

With QR of both factors, B = Q₁R₁ and Aᵀ = Q₂R₂, the singular values of s·B·A are those of the small matrix s·R₁R₂ᵀ
(r × r), and Q₁U and Q₂V span its outputs and inputs. The cosines of the principal angles between two spaces are the
singular values of the product of their bases (Björck and Golub 1973).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Spaces:
    """What a low-rank update acts on: orthonormal bases of its outputs and inputs, singular values descending."""

    outputs: Floats
    inputs: Floats
    spectrum: Floats

    @property
    def rank(self) -> int:
        """The numerical rank: singular values above the greatest times the longer side times 2⁻⁵²."""
        return int(self.spectrum.size)


def spaces(outer: NDArray[np.floating], inner: NDArray[np.floating], scale: float) -> Spaces:
    """The spaces of scale·outer·inner; of shapes (outputs, r) and (r, inputs).

    >>> found = spaces(np.array([[3.0], [4.0]]), np.array([[1.0, 0.0, 0.0]]), 2.0)
    >>> found.rank, found.spectrum.round(6).tolist()
    (1, [10.0])
    """
    first, small = np.linalg.qr(outer.astype(np.float64))
    second, other = np.linalg.qr(inner.astype(np.float64).T)
    left, spectrum, right = np.linalg.svd(scale * (small @ other.T), full_matrices=False)
    longest = max(outer.shape[0], inner.shape[1])
    rank = int((spectrum > (spectrum[0] if spectrum.size else 0.0) * longest * 2.0**-52).sum())
    return Spaces(first @ left[:, :rank], second @ right[:rank].T, spectrum[:rank])


def frobenius_square(outer: NDArray[np.floating], inner: NDArray[np.floating], scale: float) -> float:
    """‖scale·outer·inner‖² = scale²·Σ (BᵀB)∘(AAᵀ), from the Gram matrices of the factors."""
    left, right = outer.astype(np.float64), inner.astype(np.float64)
    return float(scale**2 * ((left.T @ left) * (right @ right.T)).sum())


def angle_cosines(a: Floats, b: Floats) -> tuple[float, ...]:
    """Cosines of the principal angles between the spaces of two orthonormal bases, descending, within [0, 1]."""
    if not (a.shape[1] and b.shape[1]):
        return ()
    return tuple(float(value) for value in np.clip(np.linalg.svd(a.T @ b, compute_uv=False), 0.0, 1.0))
