"""Principal components of complete rows: directions, the share of variance each explains, scores of any row."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Axes:
    """Fitted components: `centre` and `scale` of the columns, `directions` (components × columns) with the sign that
    makes the loadings of each sum to a positive number, `explained` shares of the variance, and the condition
    number of the (scaled) centred table.
    """

    centre: Floats
    scale: Floats
    directions: Floats
    explained: Floats
    condition: float

    def scores(self, values: Floats) -> Floats:
        """The scores of complete rows, shape (rows, components)."""
        projected: Floats = (values - self.centre) / self.scale @ self.directions.T
        return projected


def fit_axes(values: Floats, components: int | None = None, standardise: bool = False) -> Axes:
    """Centred PCA of rows × columns without holes; with `standardise` every column is divided by its σ first."""
    centre = values.mean(axis=0)
    spread = values.std(axis=0, ddof=1) if standardise else np.ones(values.shape[1])
    scale = np.where(spread > 0, spread, 1.0)
    _, singular, directions = np.linalg.svd((values - centre) / scale, full_matrices=False)
    total = float((singular**2).sum())
    explained = singular**2 / total if total > 0 else np.full(len(singular), np.nan)
    count = len(singular) if components is None else min(components, len(singular))
    smallest = singular[min(values.shape[0] - 1, values.shape[1]) - 1] if len(singular) else 0.0
    condition = float(singular[0] / smallest) if smallest > 1e-12 * singular[0] else np.inf
    signs = np.where(directions.sum(axis=1) < 0, -1.0, 1.0)
    return Axes(centre, scale, (directions * signs[:, None])[:count], explained[:count], condition)


def parallel_analysis(values: Floats, draws: int, seed: int, standardise: bool, share: float = 0.95) -> Floats:
    """What components explain when the columns have nothing to do with each other: the `share` quantile over
    `draws` tables with every column permuted (Horn 1965; Buja and Eyuboglu 1992). Shape (components,).
    """
    rng = np.random.default_rng(seed)
    rows, columns = values.shape
    centred = values - values.mean(axis=0)
    if standardise:
        spread = centred.std(axis=0)
        centred = centred / np.where(spread > 0, spread, 1.0)
    out = np.zeros((draws, columns))
    for draw in range(draws):
        shuffled = rng.permuted(centred, axis=0)
        eigenvalues = np.linalg.eigvalsh(shuffled.T @ shuffled)[::-1]
        out[draw] = np.maximum(eigenvalues, 0) / eigenvalues.sum()
    quantile: Floats = np.quantile(out, share, axis=0)[: min(rows, columns)]
    return quantile
