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
    """BIG-bench's linearity I / √mean(Δy²) of scores in order of scale; I is signed by where the extremes lie
    (Srivastava et al. 2022, appendix B). NaN for fewer than three scores or none that differ.
    """
    return _shape(values, np.mean)


def breakthroughness(values: Floats) -> float:
    """BIG-bench's breakthroughness I / √median(Δy²): large where a score jumps at one scale."""
    return _shape(values, np.median)


def _shape(values: Floats, middle: object) -> float:
    steps = np.diff(values) ** 2
    if len(values) < 3 or np.isnan(values).any() or np.ptp(values) == 0:
        return float("nan")
    improvement = np.sign(np.argmax(values) - np.argmin(values)) * np.ptp(values)
    below = float(np.sqrt(middle(steps)))  # type: ignore[operator]
    return float(improvement / below) if below > 0 else float(np.sign(improvement) * np.inf)
