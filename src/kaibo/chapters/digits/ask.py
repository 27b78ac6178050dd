"""`kaibo digits`: do the weights follow Benford's law?"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from kaibo.chapters.digits import benford
from kaibo.chapters.digits.families import Labelled
from kaibo.chapters.digits.families import digit_groups as analyse
from kaibo.chapters.digits.rows import DigitGroupRow, DigitsRow
from kaibo.collect import take_census
from kaibo.desk.addresses import Address, OnError
from kaibo.desk.measuring import Settings, measurable, measured, open_store, rows_of, with_notes
from kaibo.models import open_model
from kaibo.models.derived.difference import difference
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
    return with_notes(benford.digits(rows_of(collected), by), collected)


@dataclass(frozen=True)
class Grouped:
    """A model under a label of a group; with a `base` what counts is what was added to it, with `step` when."""

    address: Address
    group: str
    label: str
    base: Address | None = None
    step: int | None = None


def digit_groups(
    models: Iterable[Grouped], *, course: bool = False, settings: Settings | None = None
) -> Finding[DigitGroupRow]:
    """The distance from Benford's law of each model, or of its difference from its base, beside its nulls.

    With `course` the figure is a line for each label over the steps. Raises whatever opening and reading raises.
    """
    settings = settings or Settings()
    store = open_store(settings.store)
    options = settings.forming()
    several = []
    for one in models:
        model = open_model(one.address, trust_shards=settings.trust_shards, as_stored=settings.as_stored)
        if one.base is not None:
            model = difference(model, open_model(one.base, trust_shards=settings.trust_shards))
        collected = take_census(model, store, options)
        if collected.failures:
            raise collected.failures[0]
        several += [Labelled(one.group, one.label, one.step, row) for row in benford.digits(collected.rows).rows]
    return analyse(several, course=course)
