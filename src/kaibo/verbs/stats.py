"""`kaibo stats`: moments, norms, tails, entropy, hidden grids."""

from __future__ import annotations

from collections.abc import Iterable

from kaibo import analyses
from kaibo.analyses.records import StatsRow
from kaibo.verbs.addresses import Address, OnError
from kaibo.verbs.measuring import Settings, measured, rows_of, with_notes
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
    collected = list(measured(models, settings, on_error))
    return with_notes(analyses.stats(rows_of(collected), by), collected)
