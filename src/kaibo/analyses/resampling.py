"""Bootstrap draws as weights: how often each row, or each family of rows, is drawn."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


def family_numbers(families: Sequence[str]) -> NDArray[np.intp]:
    """The families as numbers from 0, in order of first appearance."""
    order = {family: place for place, family in enumerate(dict.fromkeys(families))}
    return np.array([order[family] for family in families], dtype=np.intp)


def family_weights(families: Sequence[str], draws: int, rng: np.random.Generator) -> Floats:
    """How often each row is drawn when whole families are drawn with replacement; shape (draws, rows)."""
    numbers = family_numbers(families)
    count = int(numbers.max()) + 1
    return rng.multinomial(count, np.full(count, 1 / count), size=draws).astype(np.float64)[:, numbers]


def row_weights(rows: int, draws: int, rng: np.random.Generator) -> Floats:
    """How often each row is drawn when rows are drawn with replacement; shape (draws, rows)."""
    return rng.multinomial(rows, np.full(rows, 1 / rows), size=draws).astype(np.float64)


def interval(values: Floats, level: float = 0.95, axis: int = 0) -> tuple[Floats, Floats]:
    """The percentile interval over draws, those that are not finite left out."""
    tail = (1 - level) / 2
    if np.isnan(values).any():
        low, high = np.nanquantile(values, [tail, 1 - tail], axis=axis)
    else:
        low, high = np.quantile(values, [tail, 1 - tail], axis=axis)
    return low, high
