"""A law applied to a model that is not in the table, with an interval and a warning outside the data."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from kaibo.chapters.law.laws import INTERVAL_NOTE, Laws
from kaibo.chapters.law.rows import FORECAST, ForecastRow
from kaibo.errors import UsageError
from kaibo.vocabulary import Finding
from kaibo.words import Note, note

Floats = NDArray[np.float64]


def forecast(
    laws: Laws, model: str, *, scores: Mapping[str, float] | None = None, flops: float | None = None,
    parameters: float | None = None, tokens: float | None = None,
) -> Finding[ForecastRow]:  # fmt: skip
    """The law applied to a new model, from its scores (missing ones are imputed), its FLOPs, its size, or N and D."""
    name, x = _position(laws, scores, flops, parameters, tokens)
    law_ = laws.fitted[name]
    value = float(law_.predict(x)[0])
    low, high = law_.prediction_interval(x)
    outside = bool(law_.extrapolated(x)[0])
    notes: tuple[Note, ...] = (laws.settings.split.sentence, INTERVAL_NOTE)
    if outside:
        ends = ", ".join(f"{a:.3g} … {b:.3g}" for a, b in zip(law_.low, law_.high, strict=True))
        at = ", ".join(f"{value:.3g}" for value in x[0])
        notes += (note("forecast_outside", predictor=name, at=at, range=ends),)
    row = ForecastRow(model, laws.row.target, name, value, float(low[0]), float(high[0]), outside)
    return Finding(FORECAST, (row,), notes, laws.finding.provenance)


def _position(
    laws: Laws, scores: Mapping[str, float] | None, flops: float | None, parameters: float | None, tokens: float | None
) -> tuple[str, Floats]:
    prepared = laws.prepared
    if parameters and tokens and "size+tokens" in laws.fitted:
        return "size+tokens", np.log([[parameters, tokens]])
    if scores and prepared.axes is not None and prepared.imputation is not None:
        unknown = [name for name in scores if name not in prepared.columns]
        if unknown:
            raise UsageError(
                f"the law knows no column {', '.join(unknown)}", next=f"it uses {', '.join(prepared.columns)}"
            )
        given = np.array([[scores.get(name, np.nan) for name in prepared.columns]])
        name = laws.row.chosen
        k = len(laws.fitted[name].centre)
        return name, prepared.axes.scores(prepared.imputation.apply(given))[:, :k]
    if flops is None and parameters and tokens:
        flops = 6.0 * parameters * tokens
    for name, value in (("flops", flops), ("size", parameters)):
        if value and name in laws.fitted:
            return name, np.log([[value]])
    raise UsageError("nothing to forecast from", next="--score NAME=VALUE …, --flops F, or --parameters N [--tokens D]")
