"""`kaibo series`: the audit of a run's checkpoints, and the trajectories of their weights."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from kaibo.analyses.series import SeriesCheckpoint, SeriesRow, needed
from kaibo.analyses.series import series as analyse
from kaibo.analyses.series_audit import AuditRow, path_of
from kaibo.analyses.series_facts import distance, facts_of
from kaibo.collect import Options, take_census
from kaibo.collect.differences import take_difference
from kaibo.errors import KaiboError
from kaibo.models import open_model
from kaibo.models.checkpoints import Checkpoint, checkpoints_of
from kaibo.models.comparing import changes
from kaibo.models.pairing import pair_models
from kaibo.store import Failure, Store
from kaibo.verbs.addresses import Address, OnError, addresses, raising
from kaibo.verbs.measuring import Settings, open_store
from kaibo.verbs.spectrum import decomposed, spectrum_options
from kaibo.vocabulary import Finding, Model
from kaibo.vocabulary.series import CheckpointFacts, ConfigChange, Unreadable

SHOWN = 60
"""So many characters of a value that changed are shown."""


@dataclass(frozen=True)
class Series:
    """A run's checkpoints in order with their trajectories, and what the audit found (nothing: an empty finding)."""

    checkpoints: Finding[SeriesCheckpoint]
    audit: Finding[AuditRow]
    whole: Finding[SeriesRow]

    def _repr_html_(self) -> str:
        return self.audit._repr_html_() + self.checkpoints._repr_html_()


@dataclass(frozen=True)
class _Read:
    """The checkpoints that could be read, in order, and those that could not."""

    models: tuple[Model, ...]
    facts: tuple[CheckpointFacts, ...]
    unreadable: tuple[Unreadable, ...]


def series(
    models: Address | Iterable[Address],
    *,
    steps: Sequence[int | None] | None = None,
    spectrum: bool = False,
    settings: Settings | None = None,
    on_error: OnError | None = None,
) -> Series:
    """Audits a series of checkpoints and follows its weights: norm, distances, step lengths, digits, σ by role.

    `models` is a folder of checkpoints or several addresses; `steps` give each its step where the names do not.
    With `spectrum` the effective ranks are followed, too. Each content is read once for itself and once for each
    distance it is part of; nothing that the store knows is read again. A checkpoint that cannot be read is a
    finding, is given to `on_error`, and the others go on. Raises MissingError for fewer than two checkpoints,
    UsageError for as many `steps` as do not fit.
    """
    settings, report = settings or Settings(), on_error or raising
    store, options = open_store(settings.store), spectrum_options(settings)
    found = checkpoints_of(addresses(models), steps)
    read = _read(found, store, settings, spectrum, report)
    distances = dict(_distances(read, store, options, report))
    whole = analyse(read.facts, distances, read.unreadable, tuple(_config_changes(read)))
    (row,) = whole.rows
    return Series(
        Finding("series-checkpoints", row.checkpoints, whole.notes, whole.provenance),
        Finding("series-audit", row.findings, (), whole.provenance),
        whole,
    )


def _read(found: Sequence[Checkpoint], store: Store, settings: Settings, spectrum: bool, report: OnError) -> _Read:
    models: list[Model] = []
    facts: list[CheckpointFacts] = []
    unreadable: list[Unreadable] = []
    for one in found:
        try:
            model, fact = _measured(one, store, settings, spectrum)
        except KaiboError as error:
            if settings.fail_fast or error.kind in ("storage", "stopped"):
                raise
            store.record_failures([Failure(one.address, error.tensor, error.kind, error.message)])
            unreadable.append(Unreadable(one.name, one.step, error.line))
            report(error)
            continue
        models.append(model)
        facts.append(fact)
    return _Read(tuple(models), tuple(facts), tuple(unreadable))


def _measured(one: Checkpoint, store: Store, settings: Settings, spectrum: bool) -> tuple[Model, CheckpointFacts]:
    """A checkpoint's facts; its censuses are let go. Raises the first tensor's error where one cannot be read."""
    options = spectrum_options(settings)
    collected = take_census(open_model(one.address, trust_shards=settings.trust_shards), store, options)
    if collected.failures:
        raise collected.failures[0]
    rows = collected.rows
    ranks = decomposed(collected, store, settings) if spectrum else None
    if ranks is not None and ranks.failures:
        raise ranks.failures[0]
    return collected.model, facts_of(rows, one.name, one.step, one.saved_step, ranks.rows if ranks else ())


def _distances(read: _Read, store: Store, options: Options, report: OnError) -> Iterator[tuple[tuple[int, int], float]]:
    """The distances that the trajectories need. A pair that cannot be compared is reported and left out."""
    options = replace(options, verify=False)  # each checkpoint was just verified by itself
    for first, second in needed(path_of(read.facts)) if read.facts else ():
        before, after = read.models[first], read.models[second]
        try:
            compared = take_difference(before, after, pair_models(before, after), store, options)
        except KaiboError as error:
            if options.fail_fast or error.kind in ("storage", "stopped"):
                raise
            report(error)
            continue
        for failure in compared.failures:
            report(failure)
        if not compared.failures:
            yield (first, second), distance(compared.rows)


def _config_changes(read: _Read) -> Iterator[ConfigChange]:
    for at in range(len(read.models) - 1):
        names = read.facts[at].name, read.facts[at + 1].name
        for change in changes(read.models[at], read.models[at + 1]):
            yield ConfigChange(*names, change.what, _short(change.before), _short(change.after))


def _short(value: Any) -> str:
    text = "nothing" if value is None else value if isinstance(value, str) else json.dumps(value, default=str)
    return text if len(text) <= SHOWN else text[: SHOWN - 1] + "…"


def run_name(models: Address | Iterable[Address]) -> str:
    """What to call the run: the folder that was named, or that of the first address."""
    named = addresses(models)
    if len(named) > 1 and not named[0].startswith("hf:"):
        return os.path.basename(os.path.dirname(os.path.abspath(named[0])))
    return (
        named[0].removeprefix("hf:").partition("@")[0]
        if named[0].startswith("hf:")
        else os.path.basename(os.path.abspath(named[0]))
    )
