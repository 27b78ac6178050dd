"""Missing cells filled from a few principal components, by iteration; only missing cells ever move."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from kaibo.words import Note, note

Floats = NDArray[np.float64]

MOST_ITERATIONS = 10_000


@dataclass(frozen=True)
class ImputationSettings:
    """How cells are filled: `components` of the columns (standardised or not), until no missing cell moves more than
    `tolerance` (in the scale of the iteration), clipped to `low` and `high` of each column.
    """

    components: int = 1
    standardised: bool = True
    tolerance: float = 1e-9
    low: Floats | float = -np.inf
    high: Floats | float = np.inf

    @property
    def sentence(self) -> Note:
        """The settings, as the output prints them."""
        return note("filled_standardised" if self.standardised else "filled", components=self.components)


@dataclass(frozen=True)
class Imputation:
    """A fitted imputation: means and scales of the columns, the centre and the directions (columns × components)
    of the last iteration, the filled training rows, how many iterations it took, and the residual standard
    deviation of each column around its reconstruction (raw scale).
    """

    mean: Floats
    scale: Floats
    centre: Floats
    directions: Floats
    filled: Floats
    iterations: int
    residual: Floats
    settings: ImputationSettings

    def apply(self, values: Floats) -> Floats:
        """New rows with their missing cells filled by the fitted components; shape as given."""
        missing = np.isnan(values)
        if not missing.any():
            return values.copy()
        low, high = self._bounds()
        z = np.where(missing, 0.0, (np.where(missing, self.mean, values) - self.mean) / self.scale)
        for _ in range(MOST_ITERATIONS):
            near = self.centre + (z - self.centre) @ self.directions @ self.directions.T
            moved = np.where(missing, np.clip(near, low, high), z)
            change = float(np.abs(moved - z)[missing].max())
            z = moved
            if change < self.settings.tolerance:
                break
        return np.where(missing, z * self.scale + self.mean, values)

    def _bounds(self) -> tuple[Floats, Floats]:
        return (self.settings.low - self.mean) / self.scale, (self.settings.high - self.mean) / self.scale


def fit_imputation(values: Floats, settings: ImputationSettings) -> Imputation:
    """Iterative PCA imputation (Josse and Husson 2012, without shrinkage) of rows × columns with NaN.

    Every column needs a value. Standardisation uses the mean and the population σ of the cells that are there.
    """
    missing = np.isnan(values)
    mean = np.nanmean(values, axis=0)
    spread = np.nanstd(values, axis=0) if settings.standardised else np.ones(values.shape[1])
    scale = np.where(spread > 0, spread, 1.0)
    low, high = (settings.low - mean) / scale, (settings.high - mean) / scale
    z = np.where(missing, 0.0, (np.where(missing, mean, values) - mean) / scale)
    count = min(settings.components, *values.shape)
    iterations = 0
    while True:
        centre = z.mean(axis=0)
        _, _, axes = np.linalg.svd(z - centre, full_matrices=False)
        directions = axes[:count].T
        near = centre + (z - centre) @ directions @ directions.T
        iterations += 1
        if not missing.any():
            break
        moved = np.where(missing, np.clip(near, low, high), z)
        change = float(np.abs(moved - z)[missing].max())
        z = moved
        if change < settings.tolerance or iterations >= MOST_ITERATIONS:
            break
    filled = np.where(missing, z * scale + mean, values)
    around = np.where(missing, np.nan, z - near)
    residual = np.sqrt(np.nanmean(around**2, axis=0)) * scale
    return Imputation(mean, scale, centre, directions, filled, iterations, residual, settings)
