"""`kaibo stats`: moments, norms, tails, entropy, hidden grids."""

from __future__ import annotations

from collections.abc import Iterable

from kaibo import analyses
from kaibo.analyses.records import MagnitudeRow, ProfileRow, StatsRow
from kaibo.verbs.addresses import Address, OnError
from kaibo.verbs.measuring import Settings, measurable, measured, rows_of, with_notes
from kaibo.vocabulary import By, Finding


def stats(
    models: Address | Iterable[Address],
    by: By = "model",
    *,
    settings: Settings | None = None,
    on_error: OnError | None = None,
) -> Finding[StatsRow]:
    """Statistics of the weights by model, layer, role or tensor.

    Raises UsageError for an unknown level, and whatever opening and reading the models raises.
    """
    collected = measurable(measured(models, settings, on_error), on_error)
    return with_notes(analyses.stats(rows_of(collected), by), collected)


def profile(
    models: Address | Iterable[Address], *, settings: Settings | None = None, on_error: OnError | None = None
) -> Finding[ProfileRow]:
    """σ, kurtosis and digit distance of every role in every layer: what the profiles over depth draw."""
    return analyses.profile(rows_of(measured(models, settings, on_error)))


def magnitudes(
    models: Address | Iterable[Address], *, settings: Settings | None = None, on_error: OnError | None = None
) -> Finding[MagnitudeRow]:
    """How the weights of each model spread over powers of two, beside Gaussians with their σ."""
    return analyses.magnitudes(rows_of(measured(models, settings, on_error)))
