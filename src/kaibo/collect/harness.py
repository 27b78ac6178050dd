"""Requests of lm-evaluation-harness: those that the store knows are looked up, the rest are scored once and kept."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from kaibo.collect.censuses import FLUSH_SECONDS
from kaibo.collect.evaluations import once_each
from kaibo.collect.watch.progress import Progress, quiet
from kaibo.collect.watch.stopping import Stopping
from kaibo.store import Store
from kaibo.vocabulary import Function, LogKey, TokenLog, joined_logs, no_tokens

if TYPE_CHECKING:
    from kaibo.scoring.exams.prompts import Answer, Prompted
    from kaibo.scoring.exams.requests import Request, Scored

HARNESS_VERSION = 2
"""Raised when the same requests would be scored otherwise under the same settings."""


@dataclass
class Kept:
    """Keeps the scored tokens of one model's requests; `item` is a request's place, branch 1 the model's own words.

    `settings` says what else decides the answers: where writing ends, what is read together.
    """

    store: Store
    function: Function
    settings: str
    progress: Progress = quiet

    def scored(
        self,
        task: str,
        hashed: str,
        requests: Sequence[Request],
        measure: Callable[[frozenset[int]], Iterator[Sequence[Scored]]],
    ) -> list[tuple[float, bool]]:
        """Log-likelihood and "would have been written" of each request."""
        key = self._key(hashed)
        log = once_each(self.store.token_logs({key.hash}).get(key.hash) or no_tokens(key, task))
        known = _known(requests, log)
        self.progress.begin(task, len(requests), "requests")
        if len(known) < len(requests):
            parts = (
                [row for one in batch if one.request.item not in known for row in _rows(key, task, one)]
                for batch in measure(known)
            )
            log = self._measured(log, parts)
        return _told(requests, log)

    def written(
        self,
        task: str,
        hashed: str,
        prompts: Sequence[Prompted],
        write: Callable[[frozenset[int]], Iterator[Sequence[Answer]]],
    ) -> list[list[int]]:
        """The ids that were written after each prompt."""
        key = self._key(hashed)
        log = once_each(self.store.token_logs({key.hash}).get(key.hash) or no_tokens(key, task))
        known = frozenset(log.item.tolist())
        self.progress.begin(task, len(prompts), "requests")
        if len(known) < len(prompts):
            log = self._measured(log, ([_answer_row(key, task, one) for one in batch] for batch in write(known)))
        return [log.token_id[log.item == one.item].tolist() for one in prompts]

    def _key(self, hashed: str) -> LogKey:
        settings = hashlib.sha256(f"lm-eval\0{HARNESS_VERSION}\0{self.settings}".encode()).hexdigest()[:16]
        return LogKey.of(self.function, hashed, settings)

    def _measured(self, log: TokenLog, batches: Iterator[list[TokenLog]]) -> TokenLog:
        """The log with the rows of all batches, which are kept as they come."""
        parts, pending, since = [log], [], time.monotonic()
        with Stopping() as stopping:
            try:
                for new in batches:
                    pending += new
                    parts += new
                    if new:
                        self.progress.advance(len({int(one.item[0]) for one in new}))
                    if time.monotonic() - since >= FLUSH_SECONDS:
                        self.store.record_token_logs(pending)
                        pending, since = [], time.monotonic()
                    if stopping.signal is not None:
                        break
            finally:
                self.store.record_token_logs([joined_logs(pending)] if pending else [])
            stopping.check()
        return joined_logs(parts)


def _known(requests: Sequence[Request], log: TokenLog) -> frozenset[int]:
    items, counts = np.unique(log.item, return_counts=True)
    held = dict(zip(items.tolist(), counts.tolist(), strict=True))
    return frozenset(one.item for one in requests if held.get(one.item) == 2 * one.scored)


def _rows(key: LogKey, task: str, one: Scored) -> Iterator[TokenLog]:
    request = one.request
    count, first = request.scored, request.first
    positions = np.arange(first, first + count, dtype=np.int64)
    own = request.ids[first:].astype(np.int32)
    for branch, ids, nats in ((0, own, one.nats), (1, one.best.astype(np.int32), one.best_nats)):
        yield TokenLog(
            key,
            task,
            item=np.full(count, request.item, np.int32),
            branch=np.full(count, branch, np.int32),
            window=np.zeros(count, np.int32),
            position=positions,
            token_id=ids,
            characters=request.characters[-count:],
            bytes=request.bytes[-count:],
            nats=nats,
            context_length=positions.astype(np.int32),
        )


def _answer_row(key: LogKey, task: str, answer: Answer) -> TokenLog:
    """A written answer as a part of the log; places count from the prompt's first token."""
    count, before = len(answer.ids), len(answer.prompted.ids)
    none, positions = np.zeros((count, 2), np.int64), np.arange(before, before + count, dtype=np.int64)
    numbers = np.full(count, answer.prompted.item, np.int32), np.zeros(count, np.int32), np.zeros(count, np.int32)
    ids, before_each = answer.ids.astype(np.int32), positions.astype(np.int32)
    return TokenLog(key, task, *numbers, positions, ids, none, none, answer.nats, before_each)


def _told(requests: Sequence[Request], log: TokenLog) -> list[tuple[float, bool]]:
    starts = np.searchsorted(log.item, np.arange(len(requests) + 1))
    found = []
    for one in requests:
        rows = slice(int(starts[one.item]), int(starts[one.item + 1]))
        own = log.branch[rows] == 0
        nats = log.nats[rows].astype(np.float64)
        greedy = np.array_equal(log.token_id[rows][own], log.token_id[rows][~own])
        found.append((-float(nats[own].sum()), bool(greedy)))
    return found
