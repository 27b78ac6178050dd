"""`kaibo series`: the audit of a run's checkpoints, and the trajectories of their weights."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from kaibo.chapters.series.audit import path_of
from kaibo.chapters.series.facts import distance, facts_of
from kaibo.chapters.series.following import needed
from kaibo.chapters.series.following import series as analyse
from kaibo.chapters.series.published import from_hashes, one_run
from kaibo.chapters.series.rows import (
    SERIES,
    SERIES_AUDIT,
    SERIES_CHECKPOINTS,
    SERIES_REVISIONS,
    AuditRow,
    RevisionRow,
    SeriesCheckpoint,
    SeriesRow,
)
from kaibo.chapters.spectrum.ask import decomposed, spectrum_options
from kaibo.collect import Options, take_census
from kaibo.collect.differences import take_difference, take_distances
from kaibo.desk.addresses import Address, OnError, addresses, raising
from kaibo.desk.measuring import Settings, open_store
from kaibo.errors import KaiboError
from kaibo.models import open_model
from kaibo.models.pairing import pair_models
from kaibo.models.pairing.comparing import changes
from kaibo.models.runs.checkpoints import Checkpoint, checkpoints_of
from kaibo.models.runs.published import is_pattern
from kaibo.store import Failure, Store
from kaibo.vocabulary import Finding, Model
from kaibo.vocabulary.series import CheckpointFacts, ConfigChange, Unreadable
from kaibo.words import Note, note

SHOWN = 60
"""So many characters of a value that changed are shown."""

WINDOW = 8
"""Checkpoints that are read side by side, beside the first, the last and two of the window before."""


@dataclass(frozen=True)
class Series:
    """A run's checkpoints in order with their trajectories, and what the audit found (nothing: an empty finding).

    `revisions` are those that patterns of the hub name; where only their hashes were asked for, the rest but the audit
    is empty.
    """

    checkpoints: Finding[SeriesCheckpoint]
    audit: Finding[AuditRow]
    whole: Finding[SeriesRow]
    revisions: Finding[RevisionRow] = field(default_factory=lambda: Finding(SERIES_REVISIONS, ()))

    @property
    def shown(self) -> Finding[Any]:
        """What is shown beside the audit."""
        return self.revisions if self.revisions.rows else self.checkpoints

    def records(self) -> list[dict[str, Any]]:
        """All of it as plain dictionaries for JSON."""
        if not self.revisions.rows:
            return self.whole.records()
        return [{"checkpoints": self.revisions.records(), "findings": self.audit.records()}]

    def _repr_html_(self) -> str:
        return self.audit._repr_html_() + self.shown._repr_html_()


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
    weights: bool = False,
    settings: Settings | None = None,
    on_error: OnError | None = None,
) -> Series:
    """Audits a series of checkpoints and follows its weights: norm, distances, step lengths, digits, σ by role.

    `models` is a folder of checkpoints or several addresses; `steps` give each its step where the names do not.
    With `spectrum` the effective ranks are followed, too. Of hub patterns (`hf:org/name@step*`, in braces several
    repositories) only published hashes are compared, unless `weights` or `spectrum` are asked for. Each content is
    read once for itself and once or twice beside others; nothing that the store knows is read again. A checkpoint that
    cannot be read is a finding and the others go on; `on_error` is given what keeps two readable ones from being
    compared. Raises MissingError for fewer than two checkpoints, UsageError for as many `steps` as do not fit.
    """
    settings, report = settings or Settings(), on_error or raising
    asked = addresses(models)
    if any(map(is_pattern, asked)):
        if not (weights or spectrum):
            revisions, audit = from_hashes(asked, steps)
            nothing = Finding(SERIES_CHECKPOINTS, (), revisions.notes, revisions.provenance)
            return Series(nothing, audit, Finding(SERIES, ()), revisions)
        asked = one_run(asked)
    store, options = open_store(settings.store), spectrum_options(settings)
    found = checkpoints_of(asked, steps)
    read = _read(found, store, settings, spectrum, report)
    distances = dict(_distances(read, store, options, report))
    whole = analyse(read.facts, distances, read.unreadable, tuple(_config_changes(read)))
    (row,) = whole.rows
    notes = (*whole.notes, *_notes(found))
    return Series(
        Finding(SERIES_CHECKPOINTS, row.checkpoints, notes, whole.provenance),
        Finding(SERIES_AUDIT, row.findings, (), whole.provenance),
        whole,
    )


def _notes(found: Sequence[Checkpoint]) -> Iterator[Note]:
    """What a reader should know of the steps."""
    if any(one.unit == "epoch" for one in found):
        yield note("series_epochs")
    elif all(one.step is None for one in found):
        yield (note("series_no_steps"))


def _read(found: Sequence[Checkpoint], store: Store, settings: Settings, spectrum: bool, report: OnError) -> _Read:
    models: list[Model] = []
    facts: list[CheckpointFacts] = []
    unreadable: list[Unreadable] = []
    errors: list[KaiboError] = []
    for one in found:
        try:
            model, fact = _measured(one, store, settings, spectrum)
        except KaiboError as error:
            if settings.fail_fast or error.kind in ("storage", "stopped"):
                raise
            store.record_failures([Failure(one.address, error.tensor, error.kind, error.message)])
            unreadable.append(Unreadable(one.name, one.step, error.line))
            errors.append(error)
            continue
        models.append(model)
        facts.append(fact)
    for failure in errors if not facts else ():  # nothing is left to audit
        report(failure)
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
    """The distances that the trajectories need. What cannot be compared is reported and left out.

    Checkpoints that meet tensor for tensor are read side by side, some at a time; others two by two.
    """
    options = replace(options, verify=False)  # each checkpoint was just verified by itself
    pairs = needed(path_of(read.facts)) if read.facts else []
    for places in _windows(path_of(read.facts).places) if pairs else ():
        asked = [pair for pair in pairs if set(pair) <= set(places)]
        pairs = [pair for pair in pairs if pair not in asked]
        yield from _together(places, asked, read, store, options, report)


def _windows(places: Sequence[int]) -> Iterator[tuple[int, ...]]:
    """The first place, the last, and some neighbours in between; two of them are in the next window, too."""
    first, inner, last = places[0], places[1:-1], places[-1]
    for begin in range(0, max(len(inner) - 2, 1), WINDOW):
        yield tuple(dict.fromkeys((first, *inner[begin : begin + WINDOW + 2], last)))


def _together(
    places: Sequence[int],
    asked: Sequence[tuple[int, int]],
    read: _Read,
    store: Store,
    options: Options,
    report: OnError,
) -> Iterator[tuple[tuple[int, int], float]]:
    base, *tuned = (read.models[place] for place in places)
    pairings = [pair_models(base, model) for model in tuned]
    if any(pairing.unmatched or pairing.mapping for pairing in pairings):
        yield from _two_by_two(asked, read, store, options, report)
        return
    number = {place: at - 1 for at, place in enumerate(places)}
    direct = [(number[one], number[other]) for one, other in asked if one != places[0]]
    taken = take_distances(base, list(zip(tuned, pairings, strict=True)), direct, store, options)
    failed = {at for at, one in enumerate(taken.compared) if one.failures}
    for failure in {failure.line: failure for one in taken.compared for failure in one.failures}.values():
        report(failure)
    for one, other in asked:
        at = number[one], number[other]
        if not failed & set(at):
            yield (one, other), distance(taken.compared[at[1]].rows if at[0] < 0 else taken.direct[at])


def _two_by_two(
    asked: Sequence[tuple[int, int]], read: _Read, store: Store, options: Options, report: OnError
) -> Iterator[tuple[tuple[int, int], float]]:
    for first, second in asked:
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
