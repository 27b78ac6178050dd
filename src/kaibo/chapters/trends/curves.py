"""Smooth curves of one variable by a few numbers: natural cubic splines, their R², and shapes along a scale."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


def knots_of(x: Floats, count: int = 5) -> Floats:
    """Knots at even quantiles of x, repeated ones dropped; shape (≤ count,)."""
    quantiles = np.quantile(x, np.linspace(0.03, 0.97, count)).tolist()
    return np.array(sorted(set(quantiles)), dtype=np.float64)


def natural_basis(x: Floats, knots: Floats) -> Floats:
    """The natural cubic spline basis at x: constant, line and one column a knot beyond two (Hastie, Tibshirani and
    Friedman, Elements of Statistical Learning, 5.2.1); linear beyond the outer knots. Shape (n, max(2, knots)).
    """
    scale = max(float(knots[-1] - knots[0]), 1e-12)
    z, k = (x - knots[0]) / scale, (knots - knots[0]) / scale

    def bend(place: int) -> Floats:
        cubes = np.maximum(z - k[place], 0) ** 3 - np.maximum(z - k[-1], 0) ** 3
        return np.asarray(cubes / float(k[-1] - k[place]), dtype=np.float64)

    last = bend(max(len(k) - 2, 0))
    bends = [bend(place) - last for place in range(len(k) - 2)]
    basis: Floats = np.column_stack([np.ones_like(z), z, *bends])
    return basis


def fitted(design: Floats, y: Floats) -> Floats:
    """Least squares coefficients of y on the columns of a design, by SVD."""
    return np.asarray(np.linalg.lstsq(design, y, rcond=None)[0], dtype=np.float64)


def r_squared(y: Floats, predicted: Floats) -> float:
    """1 − Σ(y − ŷ)² / Σ(y − ȳ)²; NaN where y does not vary."""
    spread = float(((y - y.mean()) ** 2).sum())
    return 1 - float(((y - predicted) ** 2).sum()) / spread if spread > 0 else float("nan")


def cross_validated(design: Floats, y: Floats, folds: Sequence[object]) -> float:
    """R² of predictions made without the fold they belong to."""
    labels = np.array([str(fold) for fold in folds])
    predicted = np.full(len(y), np.nan)
    for label in np.unique(labels):
        out = labels == label
        predicted[out] = design[out] @ fitted(design[~out], y[~out])
    return r_squared(y, predicted)


def linearity(values: Floats) -> float:
    """BIG-bench's linearity I / √mean(Δy²) of scores in order of scale, Δy between neighbours.

    I is the largest score minus the smallest, negative where the largest comes first (Srivastava et al. 2022, Beyond
    the Imitation Game, appendix B). √(n − 1) for an even climb of n scores, less the more it wavers. NaN for fewer than
    three scores or none that differ.
    """
    return float(shapes_of(values[None])[0][0])


def breakthroughness(values: Floats) -> float:
    """BIG-bench's breakthroughness I / √median(Δy²): large where a score jumps at one scale."""
    return float(shapes_of(values[None])[1][0])


def shapes_of(rows: Floats) -> tuple[Floats, Floats]:
    """Linearity and breakthroughness of each row of scores in order of scale; shape (rows, scales)."""
    if rows.shape[1] < 3:
        return np.full(len(rows), np.nan), np.full(len(rows), np.nan)
    steps = np.diff(rows, axis=1) ** 2
    improvement = np.sign(np.argmax(rows, axis=1) - np.argmin(rows, axis=1)) * np.ptp(rows, axis=1)
    with np.errstate(divide="ignore", invalid="ignore"):  # 0/0 is NaN: no two differ
        found = [improvement / np.sqrt(middle) for middle in (np.mean(steps, axis=1), np.median(steps, axis=1))]
    return found[0], found[1]


def exponential_average(values: Floats, keep: float) -> Floats:
    """Each value averaged with those before it: s₀ = y₀, sₖ = keep·sₖ₋₁ + (1 − keep)·yₖ; along the last axis.

    >>> exponential_average(np.array([0.0, 1.0, 1.0]), 0.5).tolist()
    [0.0, 0.5, 0.75]
    """
    out = np.array(values, np.float64)
    for place in range(1, out.shape[-1]):
        out[..., place] = keep * out[..., place - 1] + (1 - keep) * out[..., place]
    return out


def roughness(values: Floats, x: Floats) -> Floats:
    """The variance of each column's noise at each checkpoint: how far a value lies from the line between its
    neighbours; at the ends that of the next. A line has none, whatever its slope; a smooth curve has little.

    >>> roughness(np.array([[0.0], [1.0], [2.0], [3.0]]), np.arange(4.0)).ravel().tolist()
    [0.0, 0.0, 0.0, 0.0]
    """
    before, after = x[1:-1] - x[:-2], x[2:] - x[1:-1]
    weight = (after / (before + after))[:, None]  # of the value before
    off = values[1:-1] - weight * values[:-2] - (1 - weight) * values[2:]
    inner = off**2 / (1 + weight**2 + (1 - weight) ** 2)
    return np.asarray(np.concatenate([inner[:1], inner, inner[-1:]]), np.float64)
