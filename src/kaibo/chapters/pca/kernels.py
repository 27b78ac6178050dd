"""The compiled bootstrap of imputation and components: a draw is a vector of row weights, and sums are updated.

Only rows with holes change between iterations, so a step of the imputation costs a few outer products and one
small eigenproblem, whatever the number of rows. 2,000 draws of 77 × 8 take about a second on one core.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kaibo.vocabulary.compiling import compiled

Floats = NDArray[np.float64]


def _bootstrap(
    values: Any, weights: Any, low: Any, high: Any, components: int, scaled: bool, standardise: bool, tolerance: float,
    explained: Any, loadings: Any,
) -> None:  # fmt: skip
    rows, columns = values.shape
    kept = explained.shape[1]
    for draw in range(weights.shape[0]):
        weight = weights[draw]
        total = weight.sum()
        mean = np.zeros(columns)
        scale = np.ones(columns)
        valid = True
        for j in range(columns):
            seen = 0.0
            first = 0.0
            for i in range(rows):
                if weight[i] > 0 and not np.isnan(values[i, j]):
                    seen += weight[i]
                    first += weight[i] * values[i, j]
            if seen == 0:
                valid = False
                break
            mean[j] = first / seen
            second = 0.0
            for i in range(rows):
                if weight[i] > 0 and not np.isnan(values[i, j]):
                    second += weight[i] * (values[i, j] - mean[j]) ** 2
            if scaled and second > 0:
                scale[j] = np.sqrt(second / seen)
        if not valid:
            explained[draw] = np.nan
            loadings[draw] = np.nan
            continue
        z = np.zeros((rows, columns))
        holes = np.zeros(rows, dtype=np.int64)
        count = 0
        sums = np.zeros(columns)
        products = np.zeros((columns, columns))
        for i in range(rows):
            if weight[i] == 0:
                continue
            whole = True
            for j in range(columns):
                if np.isnan(values[i, j]):
                    whole = False
                else:
                    z[i, j] = (values[i, j] - mean[j]) / scale[j]
            if not whole:
                holes[count] = i
                count += 1
                continue
            for j in range(columns):
                sums[j] += weight[i] * z[i, j]
                for k in range(j + 1):
                    products[j, k] += weight[i] * z[i, j] * z[i, k]
        covariance = np.zeros((columns, columns))
        for _ in range(10_000):
            centre = sums.copy()
            second_moments = products.copy()
            for h in range(count):
                i = holes[h]
                for j in range(columns):
                    centre[j] += weight[i] * z[i, j]
                    for k in range(j + 1):
                        second_moments[j, k] += weight[i] * z[i, j] * z[i, k]
            for j in range(columns):
                centre[j] /= total
            for j in range(columns):
                for k in range(j + 1):
                    covariance[j, k] = second_moments[j, k] / total - centre[j] * centre[k]
                    covariance[k, j] = covariance[j, k]
            if count == 0:
                break
            _, vectors = np.linalg.eigh(covariance)
            change = 0.0
            for h in range(count):
                i = holes[h]
                near = centre.copy()
                for c in range(components):
                    score = 0.0
                    for j in range(columns):
                        score += (z[i, j] - centre[j]) * vectors[j, columns - 1 - c]
                    for j in range(columns):
                        near[j] += score * vectors[j, columns - 1 - c]
                for j in range(columns):
                    if np.isnan(values[i, j]):
                        new = min(max(near[j], (low[j] - mean[j]) / scale[j]), (high[j] - mean[j]) / scale[j])
                        change = max(change, abs(new - z[i, j]))
                        z[i, j] = new
            if change < tolerance:
                break
        for j in range(columns):
            for k in range(columns):
                covariance[j, k] *= scale[j] * scale[k]
        if standardise:
            spread = np.sqrt(np.maximum(np.diag(covariance), 1e-300))
            for j in range(columns):
                for k in range(columns):
                    covariance[j, k] /= spread[j] * spread[k]
        variances, vectors = np.linalg.eigh(covariance)
        whole_variance = variances.sum()
        for c in range(kept):
            explained[draw, c] = variances[columns - 1 - c] / whole_variance
            for j in range(columns):
                loadings[draw, c, j] = vectors[j, columns - 1 - c]


@cache
def _kernel() -> Callable[..., None]:
    return compiled(_bootstrap)


def bootstrap_components(
    values: Floats, weights: Floats, bounds: tuple[Floats, Floats], kept: int,
    *, impute: int = 1, scaled: bool = True, standardise: bool = False, tolerance: float = 1e-6,
) -> tuple[Floats, Floats]:  # fmt: skip
    """Explained shares (draws, kept) and loadings (draws, kept, columns) of PCA after imputation, for each draw.

    `values` is rows × columns with NaN, `weights` draws × rows, `bounds` the valid range of each column. Signs of
    loadings are left as they fall; a draw in which a column has no value gives NaN.
    """
    draws, columns = len(weights), values.shape[1]
    explained, loadings = np.empty((draws, kept)), np.empty((draws, kept, columns))
    low, high = (np.ascontiguousarray(np.broadcast_to(bound, columns), dtype=np.float64) for bound in bounds)
    _kernel()(
        np.ascontiguousarray(values), np.ascontiguousarray(weights), low, high, min(impute, columns), scaled,
        standardise, tolerance, explained, loadings,
    )  # fmt: skip
    return explained, loadings
