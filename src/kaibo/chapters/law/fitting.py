"""Least squares for many starts and many weightings at once: Levenberg–Marquardt in batches, analytic Jacobians.

All starts (and all bootstrap draws) of one law take their steps together, as stacked small matrices. Fifty starts
cost little more than one.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Form:
    """A law's shape: names of its parameters, their bounds, its values (S, n) and derivatives (S, n, P) at S points
    of the parameter space for predictors (n, d), and where a fit may start from.

    `transform` maps the target to the scale the errors are counted on (None: as it is).
    """

    name: str
    parameters: tuple[str, ...]
    low: Floats
    high: Floats
    values: Callable[[Floats, Floats], Floats]
    slopes: Callable[[Floats, Floats], tuple[Floats, Floats]]
    starts: Callable[[np.random.Generator, Floats, Floats, int], Floats]
    log_errors: bool = False


@dataclass(frozen=True)
class Fits:
    """The ends of a batch of fits: parameters (S, P), cost of each (S,) and how many steps it took."""

    parameters: Floats
    cost: Floats
    steps: int


@dataclass(frozen=True)
class Loss:
    """Ordinary squares (`delta` None) or Huber's loss, quadratic up to `delta` and linear beyond."""

    delta: float | None = None

    @property
    def name(self) -> str:
        """As the output prints it."""
        return "squares" if self.delta is None else f"huber {self.delta:g}"

    def cost(self, residuals: Floats, weights: Floats) -> Floats:
        """Σ w·ρ(r) over the last axis; ρ = r²/2 inside."""
        size = np.abs(residuals)
        if self.delta is None:
            return (weights * size**2).sum(axis=-1) / 2  # type: ignore[no-any-return]
        inside = size <= self.delta
        each = np.where(inside, size**2 / 2, self.delta * (size - self.delta / 2))
        return (weights * each).sum(axis=-1)  # type: ignore[no-any-return]

    def reweighted(self, residuals: Floats, weights: Floats) -> Floats:
        """The weights with which squares have the gradient of this loss."""
        if self.delta is None:
            return weights
        return weights * np.minimum(1.0, self.delta / np.maximum(np.abs(residuals), 1e-300))


def fit_batch(
    form: Form, x: Floats, y: Floats, starts: Floats, weights: Floats | None = None, loss: Loss | None = None,
    most_steps: int = 300, tolerance: float = 1e-13,
) -> Fits:  # fmt: skip
    """Levenberg–Marquardt from each row of `starts` (S, P), with row weights (S, n) or (n,) (1 by default).

    A fit ends when a step gains less than the share `tolerance` of its cost. Bounds are kept by freezing parameters
    that would leave through one and by clipping the step.
    """
    loss = loss or Loss()
    target = np.log(y) if form.log_errors else y
    count = len(starts)
    weighting = np.broadcast_to(np.ones(len(y)) if weights is None else weights, (count, len(y)))
    theta = np.clip(starts, form.low, form.high)
    damping = np.full(count, 1e-3)
    residuals = form.values(theta, x) - target
    cost = loss.cost(residuals, weighting)
    active = np.isfinite(cost)
    cost = np.where(active, cost, np.inf)
    step = 0
    while active.any() and step < most_steps:
        step += 1
        index = np.flatnonzero(active)
        trial, trial_cost, stalled = _step(form, x, target, theta[index], damping[index], weighting[index], loss)
        better = trial_cost < cost[index]
        gain = np.where(better, cost[index] - np.where(better, trial_cost, 0.0), 0.0)
        done = stalled | (better & (gain <= tolerance * cost[index] + 1e-300)) | (~better & (damping[index] > 1e10))
        theta[index[better]] = trial[better]
        cost[index[better]] = trial_cost[better]
        damping[index] = np.where(better, np.maximum(damping[index] / 5, 1e-12), damping[index] * 4)
        active[index[done]] = False
    return Fits(theta, cost, step)


def _step(
    form: Form, x: Floats, target: Floats, theta: Floats, damping: Floats, weights: Floats, loss: Loss
) -> tuple[Floats, Floats, NDArray[np.bool_]]:
    values, slopes = form.slopes(theta, x)
    residuals = values - target
    rows = loss.reweighted(residuals, weights)
    gradient = np.matmul((rows * residuals)[:, None, :], slopes)[:, 0]
    normal = np.matmul((slopes * rows[:, :, None]).transpose(0, 2, 1), slopes)
    frozen = ((theta <= form.low) & (gradient > 0)) | ((theta >= form.high) & (gradient < 0))
    gradient = np.where(frozen, 0.0, gradient)
    normal = np.where(frozen[:, :, None] | frozen[:, None, :], 0.0, normal)
    diagonal = np.einsum("sii->si", normal)
    scale = np.maximum(diagonal, 1e-10 * np.maximum(diagonal.max(axis=1, keepdims=True), 1e-30))
    place = np.arange(theta.shape[1])
    normal[:, place, place] += damping[:, None] * scale + 1e-300
    normal[:, place, place] = np.where(frozen, 1.0, normal[:, place, place])
    good: NDArray[np.bool_] = np.asarray(np.isfinite(normal).all(axis=(1, 2)) & np.isfinite(gradient).all(axis=1))
    normal[~good] = np.eye(theta.shape[1])
    change = -np.linalg.solve(normal, np.where(good[:, None], gradient, 0.0)[:, :, None])[:, :, 0]
    trial = np.clip(theta + change, form.low, form.high)
    cost = loss.cost(form.values(trial, x) - target, weights)
    small: NDArray[np.bool_] = np.asarray((np.abs(trial - theta) <= 1e-13 * (1e-6 + np.abs(theta))).all(axis=1))
    return trial, np.where(np.isfinite(cost), cost, np.inf), small | ~good


def fit_best(form: Form, x: Floats, y: Floats, *, starts: int = 50, seed: int = 0, loss: Loss | None = None) -> Floats:
    """The parameters (P,) of the lowest training loss over many starts."""
    begin = form.starts(np.random.default_rng(seed), x, y, starts)
    fits = fit_batch(form, x, y, begin, loss=loss)
    best: Floats = fits.parameters[int(np.argmin(fits.cost))]
    return best


def fit_weighted(
    form: Form, x: Floats, y: Floats, around: Floats, weights: Floats, *, starts: int = 3, seed: int = 0,
    loss: Loss | None = None,
) -> Floats:  # fmt: skip
    """The parameters (B, P) for each of B weightings (B, n), each from the whole fit and a few other starts."""
    draws = len(weights)
    begin = form.starts(np.random.default_rng(seed), x, y, max(starts - 1, 1))
    begin = np.vstack([around[None], begin])[:starts]
    stacked = np.repeat(begin[None], draws, axis=0).reshape(draws * len(begin), -1)
    fits = fit_batch(form, x, y, stacked, np.repeat(weights, len(begin), axis=0), loss, most_steps=60, tolerance=1e-8)
    cost = fits.cost.reshape(draws, len(begin))
    best = np.argmin(cost, axis=1)
    chosen: Floats = fits.parameters.reshape(draws, len(begin), -1)[np.arange(draws), best]
    return chosen
