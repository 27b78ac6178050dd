"""The trend of every token: a line through its values at the checkpoints, with a p that autocorrelated noise keeps.

    values (checkpoints, tokens) ─▶ for each ρ: Prais–Winsten ─▶ averaged over ρ by restricted likelihood ─▶ slope, p

Noise is taken as AR(1) from checkpoint to checkpoint with a ρ that a dozen points cannot tell. So no ρ is chosen: each
in `BETWEEN` is a Prais–Winsten regression (Prais and Winsten 1954) with Student's t on n − 2 degrees of freedom,
and the p-values are averaged with the weight that the restricted likelihood gives each ρ (Harville 1977). A trend is
called only where it holds for every ρ that the token's own residuals allow.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from kaibo.errors import UsageError
from kaibo.uncertainty.autoregression_kernels import regress_lanes
from kaibo.uncertainty.student_tails import tail_polynomial

Floats = NDArray[np.float64]

BETWEEN = (-0.5, 0.95)
"""The autocorrelations between neighbouring checkpoints that are averaged over, with a density ∝ 1 − ρ before.

An even density keeps the level better where ρ is 0.9, and calls hardly anything in a dozen checkpoints: decision 0023.
"""

NODES = 10
"""Gauss–Legendre nodes of that average for up to 30 checkpoints, one for every three of more. At 30 checkpoints the
median p is off by 5e-5 of itself, the worst of 10,000 by 3 %."""

LEAST = 5
"""Checkpoints below which no trend is judged."""


@dataclass(frozen=True, eq=False)
class Regressions:
    """One entry a token: slope per unit of x, its standard error, two-sided p, and the mean ρ.

    `mean` and `square` are the mean of the values and Σ(value − mean)².
    """

    slope: Floats = field(repr=False)
    error: Floats = field(repr=False)
    p: Floats = field(repr=False)
    rho: Floats = field(repr=False)
    mean: Floats = field(repr=False)
    square: Floats = field(repr=False)

    def __len__(self) -> int:
        return len(self.p)


def regress(
    values: Floats, x: Sequence[float] | Floats, rho: float | None = None, nodes: int | None = None
) -> Regressions:
    """Regressions of every column of `values` (points, tokens) on `x` (points,).

    With a `rho` this is Prais–Winsten for that ρ alone, with 0 ordinary least squares. Raises UsageError for fewer
    than three points, an x that does not vary, or a ρ that is no autocorrelation.
    """
    points = np.asarray(x, np.float64)
    if len(points) < 3 or not np.ptp(points) > 0 or values.shape[0] != len(points):
        raise UsageError(f"{len(points)} points of {values.shape[0]} make no trend", next="a line needs three or more")
    if rho is not None and not -1 < rho < 1:
        raise UsageError(f"{rho} is no autocorrelation", next="it lies between -1 and 1")
    out = np.empty((6, values.shape[1]))
    if values.shape[1]:
        centred = points - points.mean()
        places, weights = _averaged(nodes or max(NODES, len(points) // 3)) if rho is None else ([rho], [1.0])
        table = np.stack([node_of(*node, centred) for node in zip(places, weights, strict=True)])
        regress_lanes(np.ascontiguousarray(values, np.float64), centred, table, tail_polynomial(len(points) - 2), out)
    return Regressions(*out)


def _averaged(nodes: int) -> tuple[list[float], list[float]]:
    """Where and with which weight an average over `BETWEEN` asks."""
    places, weights = np.polynomial.legendre.leggauss(nodes)
    low, high = BETWEEN
    rhos = low + (high - low) * (places + 1) / 2
    return rhos.tolist(), (weights * (1 - rhos)).tolist()


def node_of(rho: float, weight: float, x: Floats) -> Floats:
    """What the compiled loop needs of one ρ: ρ, weight·√|V|·√|G|, the entries of G = (X′VX)⁻¹, the ends of x.

    V is the inverse of the AR(1) correlation times 1 − ρ²: tridiagonal, |V| = 1 − ρ².
    """
    whiten = np.eye(len(x))
    whiten[0, 0] = np.sqrt(1 - rho * rho)
    whiten[np.arange(1, len(x)), np.arange(len(x) - 1)] = -rho
    design = whiten @ np.column_stack([np.ones(len(x)), x])
    g = np.linalg.inv(design.T @ design)
    scale = weight * np.sqrt(1 - rho * rho) * np.sqrt(np.linalg.det(g))
    return np.array([rho, scale, g[0, 0], g[0, 1], g[1, 1], x[0], x[-1]])
