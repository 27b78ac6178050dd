"""One law fitted to one set of predictors: parameters on the scale people read, bootstrap, prediction intervals."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from kaibo.chapters.law.fitting import Form, Loss, fit_best, fit_weighted
from kaibo.chapters.law.forms import FORMS, sigmoid
from kaibo.uncertainty.resampling import family_weights, interval, row_weights

Floats = NDArray[np.float64]

FEWEST_FAMILIES = 5
"""With fewer families than this a bootstrap over families has too few outcomes; models are drawn instead."""


@dataclass(frozen=True)
class FitSettings:
    """The form of a law and how it is fitted: `floor` bounds the sigmoid's b (0: plain sigmoid), `huber` is δ (None:
    squares), `draws` bootstrap draws.
    """

    form: str = "sigmoid"
    floor: float = 0.2
    huber: float | None = 1.0
    starts: int = 50
    draws: int = 1000
    seed: int = 0

    def shape(self, dimensions: int) -> Form:
        """The form for that many predictors."""
        if self.form == "sigmoid":
            return sigmoid(dimensions, self.floor) if self.floor > 0 else FORMS["plain"](dimensions)
        return FORMS[self.form](dimensions)

    @property
    def loss(self) -> Loss:
        """The loss; power laws count errors on log L, where Hoffmann et al. take δ = 1e-3."""
        return Loss(1e-3 if self.huber is not None and self.form in ("power", "chinchilla") else self.huber)


@dataclass(frozen=True)
class Fitted:
    """A fitted law of one predictor set. `theta` and `draws` (B, P) are on standardised predictors; use the methods.

    `scatter` are the training residuals the prediction interval draws from (over √(p(1−p)) for sigmoids, inflated
    for the parameters fitted). `low` and `high` are the range of each predictor in training.
    """

    form: Form
    centre: Floats
    scale: Floats
    theta: Floats
    draws: Floats
    scatter: Floats
    low: Floats
    high: Floats
    seed: int

    def predict(self, x: Floats) -> Floats:
        """The law at predictors (n, d): shape (n,)."""
        curve: Floats = self._curve(self.theta[None], x)[0]
        return curve

    def _curve(self, theta: Floats, x: Floats) -> Floats:
        values = self.form.values(theta, (x - self.centre) / self.scale)
        return np.exp(values) if self.form.log_errors else values

    def index(self, x: Floats) -> Floats:
        """β·x + α, the inside of the law, at predictors (n, d); only for sigmoids and lines."""
        count = len(self.centre)
        z: Floats = (x - self.centre) / self.scale @ self.theta[:count] + self.theta[count]
        return z

    def prediction_interval(self, x: Floats, level: float = 0.95) -> tuple[Floats, Floats]:
        """Where a new model's value lies: every bootstrap law at x plus a drawn residual; shapes (n,)."""
        rng = np.random.default_rng(self.seed + 7)
        curves = self._curve(self.draws, x)
        noise = rng.choice(self.scatter, size=curves.shape)
        if self.form.log_errors:
            values = curves * np.exp(noise)
        elif self.form.name == "linear":
            values = curves + noise
        else:
            values = np.clip(curves + noise * _binomial(curves), 0.0, 1.0)
        return interval(values, level)

    def extrapolated(self, x: Floats) -> NDArray[np.bool_]:
        """Which rows lie outside the training range of any predictor; shape (n,)."""
        outside: NDArray[np.bool_] = np.asarray(((x < self.low) | (x > self.high)).any(axis=1))
        return outside

    def readable(self, theta: Floats) -> Floats:
        """Parameters (…, P) on the predictors as they are instead of standardised ones."""
        count = len(self.centre)
        out = theta.copy()
        if self.form.log_errors:  # A / x^α with log x centred: log A moves by α times the centre
            out[..., 1::2] = theta[..., 1::2] + theta[..., 2::2] * self.centre
            return out
        out[..., :count] = theta[..., :count] / self.scale
        out[..., count] = theta[..., count] - (out[..., :count] * self.centre).sum(axis=-1)
        return out

    def parameters(self) -> dict[str, float]:
        """The parameters by name, on the predictors as they are."""
        return dict(zip(self.form.parameters, self.readable(self.theta).tolist(), strict=True))

    def intervals(self) -> dict[str, tuple[float, float]]:
        """The 95 % bootstrap interval of each parameter."""
        low, high = interval(self.readable(self.draws))
        return {name: (float(a), float(b)) for name, a, b in zip(self.form.parameters, low, high, strict=True)}


def _binomial(curves: Floats) -> Floats:
    inside = np.clip(curves, 0.02, 0.98)
    return np.sqrt(inside * (1 - inside))


def fit(x: Floats, y: Floats, families: Sequence[str], settings: FitSettings) -> Fitted:
    """The law of targets y (n,) on predictors x (n, d), with its bootstrap."""
    form = settings.shape(x.shape[1])
    centre = x.mean(axis=0)
    spread = np.ones(x.shape[1]) if form.log_errors else x.std(axis=0)
    scale = np.where(spread > 0, spread, 1.0)
    z = (x - centre) / scale
    theta = fit_best(form, z, y, starts=settings.starts, seed=settings.seed, loss=settings.loss)
    rng = np.random.default_rng(settings.seed + 1)
    many = len(set(families)) >= FEWEST_FAMILIES
    weights = family_weights(families, settings.draws, rng) if many else row_weights(len(y), settings.draws, rng)
    weights = weights[(weights > 0).sum(axis=1) >= min(len(y), x.shape[1] + 2)]
    draws = (
        fit_weighted(form, z, y, theta, weights, seed=settings.seed + 2, loss=settings.loss)
        if len(weights)
        else theta[None]
    )
    values = form.values(theta[None], z)[0]
    residuals = (np.log(y) if form.log_errors else y) - values
    if not form.log_errors and form.name != "linear":
        residuals = residuals / _binomial(values)
    free = max(len(y) - len(theta), 1)
    scatter = residuals * np.sqrt(len(y) / free)
    return Fitted(form, centre, scale, theta, draws, scatter, x.min(axis=0), x.max(axis=0), settings.seed)


def fold_errors(x: Floats, y: Floats, families: Sequence[str], settings: FitSettings) -> Floats:
    """The out-of-fold prediction of every row, each family predicted by a law fitted on the others; shape (n,)."""
    form = settings.shape(x.shape[1])
    centre = x.mean(axis=0)
    scale = np.ones(x.shape[1]) if form.log_errors else np.where(x.std(axis=0) > 0, x.std(axis=0), 1.0)
    z = (x - centre) / scale
    names = list(dict.fromkeys(families))
    weights = np.array([[float(family != name) for family in families] for name in names])
    theta = fit_best(form, z, y, starts=settings.starts, seed=settings.seed, loss=settings.loss)
    each = fit_weighted(form, z, y, theta, weights, starts=4, seed=settings.seed + 3, loss=settings.loss)
    place = np.array([names.index(family) for family in families])
    values = form.values(each, z)[place, np.arange(len(y))]
    predicted: Floats = np.exp(values) if form.log_errors else values
    return predicted


@dataclass(frozen=True)
class Chosen:
    """How many components nested cross-validation over families chose: `k`, the error of each k, and the honest
    error of the whole procedure (k chosen anew without the family that is predicted).
    """

    k: int
    errors: tuple[float, ...]
    nested_error: float


def choose_components(scores: Floats, y: Floats, families: Sequence[str], settings: FitSettings, most: int) -> Chosen:
    """Nested leave-one-family-out choice of the number of components among 1 … `most`."""
    names = list(dict.fromkeys(families))
    place = np.array([names.index(family) for family in families])
    count = len(names)
    outer = np.zeros((most, len(y)))
    inner = np.zeros((most, count))
    for k in range(1, most + 1):
        form = settings.shape(k)
        z = scores[:, :k] / np.maximum(scores[:, :k].std(axis=0), 1e-12)
        theta = fit_best(form, z, y, starts=settings.starts, seed=settings.seed, loss=settings.loss)
        pairs = [(i, j) for i in range(count) for j in range(i, count)]  # families i and j both left out
        weights = np.array([(place != i) & (place != j) for i, j in pairs], dtype=np.float64)
        each = fit_weighted(form, z, y, theta, weights, starts=1, seed=settings.seed, loss=settings.loss)
        squared = (form.values(each, z) - y) ** 2
        of = {pair: row for row, pair in enumerate(pairs)}
        for i in range(count):
            outer[k - 1, place == i] = squared[of[i, i], place == i]
            rows = [squared[of[min(i, j), max(i, j)], place == j] for j in range(count) if j != i]
            inner[k - 1, i] = float(np.concatenate(rows).mean()) if rows else np.nan
    picked = np.argmin(inner, axis=0)
    nested = float(np.mean([outer[picked[place[row]], row] for row in range(len(y))]))
    errors = outer.mean(axis=1)
    return Chosen(int(np.argmin(errors)) + 1, tuple(errors.tolist()), nested)
