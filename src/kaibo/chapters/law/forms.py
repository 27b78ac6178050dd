"""The shapes a law can have: sigmoid with a floor, plain sigmoid, line, power law, Chinchilla."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import NDArray

from kaibo.chapters.law.fitting import Form

Floats = NDArray[np.float64]


def _logistic(z: Floats) -> Floats:
    # Both halves are computed from exp of something not positive, so nothing overflows.
    small = np.exp(-np.abs(z))
    out: Floats = np.where(z >= 0, 1.0 / (1.0 + small), small / (1.0 + small))
    return out


def _names(dimensions: int) -> tuple[str, ...]:
    return (*(f"beta{k + 1}" for k in range(dimensions)), "alpha")


def _logit_starts(rng: np.random.Generator, x: Floats, y: Floats, count: int) -> Floats:
    """The line through the logits of the target first, then random slopes around what spans the data."""
    spread = np.maximum(x.std(axis=0), 1e-12)
    inside = np.clip(y, 0.01, 0.99)
    design = np.column_stack([x, np.ones(len(x))])
    line, *_ = np.linalg.lstsq(design, np.log(inside / (1 - inside)), rcond=None)
    slopes = rng.normal(0.0, 2.0, (count, x.shape[1])) / spread
    middle = rng.normal(0.0, 2.0, count)
    starts = np.column_stack([slopes, middle - slopes @ x.mean(axis=0)])
    starts[0] = line
    return starts


def sigmoid(dimensions: int, floor: float = 0.2) -> Form:
    """y = h·σ(β·x + α) + b with h = 1 − b and b between 0 and `floor` (Ruan, Maddison, Hashimoto 2024)."""
    low = np.append(np.full(dimensions + 1, -np.inf), 0.0)
    high = np.append(np.full(dimensions + 1, np.inf), floor)

    def values(theta: Floats, x: Floats) -> Floats:
        s = _logistic(theta[:, :-2] @ x.T + theta[:, -2:-1])
        out: Floats = s + theta[:, -1:] * (1 - s)
        return out

    def slopes(theta: Floats, x: Floats) -> tuple[Floats, Floats]:
        s = _logistic(theta[:, :-2] @ x.T + theta[:, -2:-1])
        steep = (1 - theta[:, -1:]) * s * (1 - s)
        jacobian = np.concatenate([steep[:, :, None] * x[None], steep[:, :, None], (1 - s)[:, :, None]], axis=2)
        return s + theta[:, -1:] * (1 - s), jacobian

    def starts(rng: np.random.Generator, x: Floats, y: Floats, count: int) -> Floats:
        return np.column_stack([_logit_starts(rng, x, y, count), rng.uniform(0, floor, count)])

    return Form("sigmoid", (*_names(dimensions), "b"), low, high, values, slopes, starts)


def plain_sigmoid(dimensions: int) -> Form:
    """y = σ(β·x + α)."""
    bounds = np.full(dimensions + 1, np.inf)

    def values(theta: Floats, x: Floats) -> Floats:
        return _logistic(theta[:, :-1] @ x.T + theta[:, -1:])

    def slopes(theta: Floats, x: Floats) -> tuple[Floats, Floats]:
        s = values(theta, x)
        steep = (s * (1 - s))[:, :, None]
        return s, np.concatenate([steep * x[None], steep], axis=2)

    return Form("plain", _names(dimensions), -bounds, bounds, values, slopes, _logit_starts)


def linear(dimensions: int) -> Form:
    """y = β·x + α."""
    bounds = np.full(dimensions + 1, np.inf)

    def values(theta: Floats, x: Floats) -> Floats:
        out: Floats = theta[:, :-1] @ x.T + theta[:, -1:]
        return out

    def slopes(theta: Floats, x: Floats) -> tuple[Floats, Floats]:
        design = np.column_stack([x, np.ones(len(x))])
        return values(theta, x), np.broadcast_to(design, (len(theta), *design.shape))

    def starts(rng: np.random.Generator, x: Floats, y: Floats, count: int) -> Floats:
        return np.zeros((min(count, 2), x.shape[1] + 1))  # a convex problem needs no second start

    return Form("linear", _names(dimensions), -bounds, bounds, values, slopes, starts)


def _power(dimensions: int, name: str, parameters: tuple[str, ...]) -> Form:
    """L = E + Σ A_d / x_d^α_d for positive x, errors counted on log L; E, A in logarithms inside.

    Predictors arrive as natural logarithms. Parameters: log E, then log A and α of each predictor.
    """
    low = np.concatenate([[-30.0], *([-30.0, 0.0] for _ in range(dimensions))])
    high = np.concatenate([[30.0], *([60.0, 4.0] for _ in range(dimensions))])

    def terms(theta: Floats, x: Floats) -> Floats:
        powers = [theta[:, 1 + 2 * d, None] - theta[:, 2 + 2 * d, None] * x[None, :, d] for d in range(dimensions)]
        return np.stack([np.broadcast_to(theta[:, :1], powers[0].shape), *powers], axis=2)

    def values(theta: Floats, x: Floats) -> Floats:
        t = terms(theta, x)
        top = t.max(axis=2)
        out: Floats = top + np.log(np.exp(t - top[:, :, None]).sum(axis=2))
        return out

    def slopes(theta: Floats, x: Floats) -> tuple[Floats, Floats]:
        t = terms(theta, x)
        top = t.max(axis=2, keepdims=True)
        shares = np.exp(t - top)
        total = shares.sum(axis=2, keepdims=True)
        shares = shares / total
        parts = [shares[:, :, :1]]
        for d in range(dimensions):
            share = shares[:, :, 1 + d : 2 + d]
            parts += [share, -share * x[None, :, d, None]]
        return (top + np.log(total))[:, :, 0], np.concatenate(parts, axis=2)

    def starts(rng: np.random.Generator, x: Floats, y: Floats, count: int) -> Floats:
        floor = np.log(max(float(y.min()), 1e-12)) + rng.uniform(-3.0, -0.01, count)
        columns = [floor]
        for d in range(dimensions):
            exponent = rng.uniform(0.05, 1.2, count)
            columns += [
                np.log(float(np.ptp(y)) + 1e-9) + exponent * float(x[:, d].min()) + rng.normal(0, 1, count),
                exponent,
            ]
        return np.column_stack(columns)

    return Form(name, parameters, low, high, values, slopes, starts, log_errors=True)


def power(dimensions: int = 1) -> Form:
    """L = E + A / x^α, x a size, a number of tokens or FLOPs."""
    return _power(1, "power", ("log_E", "log_A", "alpha"))


def chinchilla(dimensions: int = 2) -> Form:
    """L = E + A / N^α + B / D^β (Hoffmann et al. 2022, equation 2; fitted on log L as in their equation 3)."""
    return _power(2, "chinchilla", ("log_E", "log_A", "alpha", "log_B", "beta"))


FORMS: Mapping[str, Callable[[int], Form]] = {
    "sigmoid": sigmoid,
    "plain": plain_sigmoid,
    "linear": linear,
    "power": power,
    "chinchilla": chinchilla,
}
"""Every form by the name that `--form` takes; the argument is the number of predictors."""
