"""The token logs of a model: windows that the store knows are looked up, the rest are scored once and kept."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from kaibo.collect.censuses import FLUSH_SECONDS
from kaibo.collect.shards import Shard, Share
from kaibo.collect.watch.progress import Progress, quiet
from kaibo.collect.watch.stopping import Stopping
from kaibo.store import Store
from kaibo.vocabulary import Function, LogKey, TokenLog, joined_logs, no_tokens

if TYPE_CHECKING:
    from kaibo.scoring.causal import Causal
    from kaibo.scoring.planning import Plan


@dataclass(frozen=True)
class Scored:
    """The logs of one model over the texts of a plan, in their order, and what it took to have them.

    `measured` tokens were scored now and `known` ones looked up, in `seconds`.
    """

    function: Function
    plan: Plan
    logs: tuple[TokenLog, ...]
    measured: int
    known: int
    seconds: float

    @property
    def address(self) -> str:
        """The model's address."""
        return self.function.address

    @property
    def model_id(self) -> str:
        """What the model holds."""
        return self.function.model_id


Window = tuple[int, int]
"""A window of a plan: the number of its text, and its place in it."""


def take_scores(
    function: Function,
    plan: Plan,
    loaded: Callable[[], Causal],
    store: Store,
    progress: Progress = quiet,
    *,
    label: str | None = None,
) -> Scored:
    """The log of every text under a model. What was finished is in the store whatever happens afterwards.

    `loaded` gives the model with its weights, and is called only if something is missing; `label` is what progress
    calls it (default: its address). Raises FormatError for a
    model whose logits are not numbers, StorageError when the store cannot be written, StoppedError after a signal.
    """
    started = time.monotonic()
    keys = plan.keys(function)
    kept, known = _kept(plan, keys, store)
    looked_up = sum(len(log) for log in kept.values())
    progress.begin(label or function.address, plan.read, "tokens")
    recorder = _Recorder(store, {key: [log] for key, log in kept.items()})
    if any((job.document, job.place) not in known for batch in plan.batches for job in batch):
        _measure(plan, loaded(), keys, known, recorder, progress)
    logs = tuple(recorder.log(key, document.name) for key, document in zip(keys, plan.documents, strict=True))
    measured = sum(len(log) for log in logs) - looked_up
    return Scored(function, plan, logs, measured, looked_up, time.monotonic() - started)


def share_scores(
    function: Function,
    plan: Plan,
    shard: Shard,
    loaded: Callable[[], Causal],
    store: Store,
    progress: Progress = quiet,
    *,
    label: str | None = None,
) -> Share:
    """Scores a shard's batches of windows under a model, and says what was done; raises what `take_scores` raises.

    Batches are dealt out whole: in other company the last digits of a window's nats would differ.
    """
    keys = plan.keys(function)
    kept, known = _kept(plan, keys, store)
    windows = [[(job.document, job.place) for job in batch] for batch in plan.batches]
    names = [" ".join(f"{plan.documents[at].hash}:{place}" for at, place in batch) for batch in windows]
    costs = {name: sum(job.window.length for job in batch) for name, batch in zip(names, plan.batches, strict=True)}
    mine = shard.takes(f"{function.function_id} {plan.settings_hash}", costs)
    passed = known | {one for name, batch in zip(names, windows, strict=True) if name not in mine for one in batch}
    measured = sum(any(one not in passed for one in batch) for batch in windows)
    read = sum(costs[name] for name in mine)
    progress.begin(label or function.address, read, "tokens")
    if measured:
        _measure(plan, loaded(), keys, passed, _Recorder(store, {key: [log] for key, log in kept.items()}), progress)
    return Share(function.address, "batches", len(names), len(mine), measured, len(mine) - measured)


def _kept(plan: Plan, keys: Sequence[LogKey], store: Store) -> tuple[dict[str, TokenLog], set[Window]]:
    """What the store has of the texts, and the windows of which it has every token."""
    kept = store.token_logs({key.hash for key in keys})
    several = ((at, kept[key.hash]) for at, key in enumerate(keys) if key.hash in kept)
    return kept, {(at, place) for at, log in several for place in _complete(plan, at, log)}


def _complete(plan: Plan, at: int, log: TokenLog) -> list[int]:
    """The windows of a text of which the store has every token."""
    places, counts = np.unique(log.window, return_counts=True)
    held = dict(zip(places.tolist(), counts.tolist(), strict=True))
    wanted = [window.end - (0 if place == 0 else window.first) for place, window in enumerate(plan.windows[at])]
    return [place for place, count in enumerate(wanted) if held.get(place) == count]


def _measure(
    plan: Plan, model: Causal, keys: list[LogKey], known: set[Window], recorder: _Recorder, progress: Progress
) -> None:
    from kaibo.scoring.engine import check_vocabulary, score

    check_vocabulary(plan, model.vocabulary, model.address)
    with Stopping() as stopping:
        try:
            for batch, parts in zip(plan.batches, score(plan, model, keys, known), strict=True):
                recorder.add(parts)
                progress.advance(sum(job.window.length for job in batch))
                if stopping.signal is not None:
                    break
        finally:
            recorder.flush()
        stopping.check()


class _Recorder:
    """Scored windows: together here, and on their way to the store."""

    def __init__(self, store: Store, parts: dict[str, list[TokenLog]]) -> None:
        self._store = store
        self._parts = parts
        self._pending: list[TokenLog] = []
        self._since = time.monotonic()

    def add(self, parts: Sequence[TokenLog]) -> None:
        self._pending += parts
        for part in parts:
            self._parts.setdefault(part.key.hash, []).append(part)
        if time.monotonic() - self._since >= FLUSH_SECONDS:
            self.flush()

    def flush(self) -> None:
        self._store.record_token_logs(self._pending)
        self._pending, self._since = [], time.monotonic()

    def log(self, key: LogKey, document: str) -> TokenLog:
        """All that is known of a text now, under the name it was asked by; empty for a text without tokens."""
        parts = self._parts.get(key.hash)
        return replace(joined_logs(parts), document=document) if parts else no_tokens(key, document)
