"""What every verb that reads weights shares: its settings, and the way from addresses to measured models."""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from kaibo.collect import Collected, Options, Progress, granted_workers, quiet, take_census
from kaibo.collect.censuses import share_census
from kaibo.collect.shards import Shard, Share
from kaibo.desk.addresses import Address, OnError, addresses, raising
from kaibo.errors import KaiboError, MissingError
from kaibo.models import open_model
from kaibo.models.opening import verified
from kaibo.store import Store
from kaibo.vocabulary import Finding, Model, Row
from kaibo.vocabulary.findings import BUFFER
from kaibo.vocabulary.kinds import R
from kaibo.vocabulary.seen import seen_note, with_seen
from kaibo.words import Note, note


@dataclass(frozen=True)
class Settings:
    """How models are read and where measurements are kept.

    `store` is a folder (default: `KAIBO_STORE`, else `./kaibo-store`); `workers` threads (default: `KAIBO_WORKERS`,
    else the cores granted); `verify` reads every tensor again and compares; `trust_shards` goes by the shards where
    an index disagrees with them; `fail_fast` stops at the first tensor or model that cannot be read; `as_stored`
    measures the codes of packed weights in place of the weights.
    """

    store: str | os.PathLike[str] | None = None
    workers: int | None = None
    verify: bool = False
    trust_shards: bool = False
    fail_fast: bool = False
    as_stored: bool = False
    progress: Progress = field(default=quiet, repr=False)

    def options(self) -> Options:
        """The same as what measures weights takes them."""
        return Options(granted_workers(self.workers), self.verify, self.progress, self.fail_fast)

    def forming(self) -> Options:
        """The same as what forms weights takes them: the first failure stops it."""
        return Options(granted_workers(self.workers), self.verify, self.progress, fail_fast=True)


def open_store(path: str | os.PathLike[str] | None = None) -> Store:
    """The store at a path, else at `KAIBO_STORE`, else at `./kaibo-store`."""
    return Store(Path(path or os.environ.get("KAIBO_STORE") or "kaibo-store"))


def measured(
    models: Address | Iterable[Address], settings: Settings | None = None, on_error: OnError | None = None
) -> Iterator[Collected]:
    """Each model's rows, from the store where it knows them, else by reading the weights once.

    A model of which some tensors could not be read is yielded with the rows it has, its errors given to `on_error`.
    """
    settings = settings or Settings()
    report = on_error or raising
    store = open_store(settings.store)
    options = settings.options()
    told: set[str] = set()
    for address in addresses(models):
        try:
            model = open_model(address, trust_shards=settings.trust_shards, as_stored=settings.as_stored)
            collected = take_census(verified(model) if settings.verify else model, store, options)
        except KaiboError as error:
            if settings.fail_fast or error.kind in ("storage", "stopped"):
                raise
            report(error)
            continue
        if collected.failures and settings.fail_fast:
            raise collected.failures[0]
        for warning in store.warnings:
            if warning not in told:
                warnings.warn(warning, stacklevel=2)
        told |= set(store.warnings)
        for failure in collected.failures:
            report(failure)
        yield collected


def shared(models: Address | Iterable[Address], shard: Shard, settings: Settings, on_error: OnError) -> Iterator[Share]:
    """Counts a shard's tensors of each model, and says what was done; errors are given to `on_error`."""
    store, options = open_store(settings.store), settings.options()
    for address in addresses(models):
        try:
            model = open_model(address, trust_shards=settings.trust_shards, as_stored=settings.as_stored)
            share, failures = share_census(model, shard, store, options)
        except KaiboError as error:
            if settings.fail_fast or error.kind in ("storage", "stopped"):
                raise
            on_error(error)
            continue
        for failure in failures:
            on_error(failure)
        yield share


def rows_of(collected: Iterable[Collected]) -> list[Row]:
    """All rows of several models, in order."""
    return [row for one in collected for row in one.rows]


def with_notes(finding: Finding[R], collected: Sequence[Collected]) -> Finding[R]:
    """The finding with the share of each model that it saw, and what was noted while the models were opened."""
    shares = {one.model.address: one.model.seen for one in collected}
    found = with_seen(finding, lambda row: shares[row.model])
    notes = tuple(told for one in collected for told in notes_of(one))
    return Finding(found.kind, found.rows, (*found.notes, *notes), found.provenance)


def measurable(collected: Iterable[Collected], on_error: OnError | None = None) -> list[Collected]:
    """The models that hold weights; one that holds none, or only codes that cannot be decoded, is an error."""
    found = []
    for one in collected:
        if one.model.weights or not one.model.tensors:
            found.append(one)
            continue
        next_step = "kaibo inspect MODEL --tensors lists what it holds"
        said = seen_note(0.0, stored_in(one.model)) or ""
        (on_error or raising)(MissingError(said, file=one.model.address, next=next_step))
    return found


def stored_in(model: Model) -> Note:
    """What a model holds beside weights, in words: `3 tensors of I32, U8`."""
    others = model.not_weights
    kinds = ", ".join(sorted({tensor.dtype.name for tensor in others}))
    return note("stored_tensors", count=len(others), kinds=kinds or note("nothing"))


def notes_of(collected: Collected) -> tuple[Note, ...]:
    """What a reader of a model's numbers should know about how it was opened."""
    others = collected.model.not_weights
    kinds = ", ".join(sorted({tensor.dtype.name for tensor in others}))
    listed = (note("not_weights", count=len(others), kinds=kinds),) if others else ()
    buffers = sum(tensor.role == BUFFER for tensor in collected.model.weights)
    left_out = (note("buffers", count=buffers),)
    seen = seen_note(collected.model.seen, stored_in(collected.model))
    return (*collected.model.notes, *listed, *(left_out if buffers else ()), *((seen,) if seen else ()))
