"""The eigenvalue tails of chosen matrices as points to draw: how many eigenvalues lie at or above each."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from kaibo.chapters.census.provenance import provenance
from kaibo.chapters.spectrum.effective_ranks import key_of
from kaibo.chapters.spectrum.gaussian_matrix import gaussian
from kaibo.chapters.spectrum.rows import SPECTRUM_TAILS, TailRow
from kaibo.chapters.spectrum.singular_values import measures_of
from kaibo.vocabulary import Finding, SpectrumRow

POINTS = 160
"""About so many points of a tail are drawn, evenly in the logarithm of their rank."""

CHOSEN = 6


def tails(rows: Sequence[SpectrumRow], count: int = CHOSEN) -> Finding[TailRow]:
    """The tails of the matrices with the smallest exponents, at most `count` for each model."""
    found = [tail for row in rows if (tail := _tail(row)) is not None]
    models = dict.fromkeys(tail.model for tail in found)
    chosen = [
        tail
        for model in models
        for tail in sorted((one for one in found if one.model == model), key=lambda one: (one.alpha, one.tensor))[
            :count
        ]
    ]
    return Finding(SPECTRUM_TAILS, tuple(chosen), (), provenance([row.row for row in rows]))


def _tail(row: SpectrumRow) -> TailRow | None:
    spectrum = row.spectrum
    if spectrum is None:
        return None
    found = measures_of(spectrum)
    if found.alpha is None or found.alpha_distance is None or found.alpha_from is None or found.alpha_tail is None:
        return None
    values = spectrum.values[spectrum.values > 0] ** 2
    places = np.unique(np.geomspace(1, values.size, POINTS).astype(int)) - 1
    points = tuple((float(values[place]), float(place + 1) / spectrum.whole) for place in places)
    share = found.alpha_tail / spectrum.whole
    null = gaussian(spectrum.rows, spectrum.columns, (found.frobenius or 0.0) ** 2)
    return TailRow(
        row.row.model, key_of(row), found.alpha, found.alpha_distance, found.alpha_from, share, null.norm**2, points
    )
