"""`kaibo.digit_groups`: first digits of models that differ in one thing, of what a fine-tune added, and along runs."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from kaibo import analyses
from kaibo.analyses.digit_groups import DigitGroupRow, Labelled
from kaibo.analyses.digit_groups import digit_groups as analyse
from kaibo.collect import Options, granted_workers, take_census
from kaibo.models import open_model
from kaibo.models.derived.difference import difference
from kaibo.verbs.addresses import Address
from kaibo.verbs.measuring import Settings, open_store
from kaibo.vocabulary import Finding


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
    options = Options(granted_workers(settings.workers), settings.verify, settings.progress, True)
    several = []
    for one in models:
        model = open_model(one.address, trust_shards=settings.trust_shards)
        if one.base is not None:
            model = difference(model, open_model(one.base, trust_shards=settings.trust_shards))
        collected = take_census(model, store, options)
        if collected.failures:
            raise collected.failures[0]
        several += [Labelled(one.group, one.label, one.step, row) for row in analyses.digits(collected.rows).rows]
    return analyse(several, course=course)
