"""`kaibo digits`: do the weights follow Benford's law?"""

from __future__ import annotations

from collections.abc import Iterable

from kaibo import analyses
from kaibo.analyses.records import DigitsRow
from kaibo.verbs.addresses import Address, OnError
from kaibo.verbs.measuring import Settings, measurable, measured, rows_of, with_notes
from kaibo.vocabulary import By, Finding


def digits(
    models: Address | Iterable[Address],
    by: By = "model",
    *,
    settings: Settings | None = None,
    on_error: OnError | None = None,
) -> Finding[DigitsRow]:
    """First digits of the weights against Benford's law and two nulls, by model, layer, role or tensor.

    Raises UsageError for an unknown level, and whatever opening and reading the models raises.
    """
    collected = measurable(measured(models, settings, on_error), on_error)
    return with_notes(analyses.digits(rows_of(collected), by), collected)
