"""A model's answers to a paper: questions that the store knows are looked up, the rest are put to it once and kept."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from kaibo.collect.censuses import FLUSH_SECONDS
from kaibo.collect.shards import Shard, Share
from kaibo.collect.watch.progress import Progress, quiet
from kaibo.collect.watch.stopping import Stopping
from kaibo.store import Failure, Store
from kaibo.vocabulary import Function, LogKey, TokenLog, joined_logs, no_tokens
from kaibo.vocabulary.evaluations import Sitting

if TYPE_CHECKING:
    from kaibo.llama import Causal
    from kaibo.scoring.exams.exams import Exam
    from kaibo.scoring.exams.trees import Among


@dataclass(frozen=True)
class Sat:
    """A sitting, and what it took: `measured` questions were put to the model now, `known` ones looked up."""

    exam: Exam
    sitting: Sitting
    measured: int
    known: int


def take_exam(
    label: str,
    taker: Function,
    found: Exam,
    loaded: Callable[[], Causal],
    store: Store,
    batch: int,
    progress: Progress = quiet,
) -> Sat:
    """The answers of a model to every question that can be asked of it; what was finished is kept whatever follows.

    `loaded` gives the model with its weights, and is called only if something is missing; `label` is what its progress
    is shown under. Raises FormatError for a model whose logits are not numbers, StorageError when the store cannot be
    written, StoppedError after a signal.
    """
    from kaibo.scoring.exams.exams import answered

    key = found.key(taker)
    log, known, asked = _kept(found, key, store)
    progress.begin(f"{label}: {found.paper.task.name}", len(asked), "questions")
    if asked - known:
        log = _measure(found, key, loaded(), known, _Recorder(store, log), batch, progress)
    _record_refused(taker.address, found, store)
    task = found.paper.task
    sitting = Sitting(
        *(
            taker.address,
            taker.model_id,
            task.name,
            task.language,
            found.paper.variant,
            found.paper.shots,
            task.metrics,
        ),
        chance=task.chance,
        answers=tuple(answered(found, log)),
        grouped=task.data.map.group is not None,
        failed=len(found.refused),
        step=taker.step,
        origin=f"{taker.function_id} {found.paper.hash[:16]}",
    )
    return Sat(found, sitting, len(asked - known), len(asked & known))


def share_exam(
    label: str,
    taker: Function,
    found: Exam,
    shard: Shard,
    loaded: Callable[[], Causal],
    store: Store,
    batch: int,
    progress: Progress = quiet,
) -> Share:
    """Puts a shard's questions to a model, and says what was done; raises what `take_exam` raises.

    Questions that are read together are dealt out together. Which these are the model alone can say, so it is loaded
    unless the store has the answers to all.
    """
    key = found.key(taker)
    log, known, asked = _kept(found, key, store)
    mine: set[int] = set()

    def among(packs: Sequence[Sequence[int]]) -> set[int]:
        names = {" ".join(map(str, items)): place for place, items in enumerate(packs)}
        taken = shard.takes(key.hash, {name: len(packs[place]) for name, place in names.items()})
        chosen = {names[name] for name in taken}
        mine.update(item for place in chosen for item in packs[place])
        return chosen

    progress.begin(f"{label}: {found.paper.task.name}", -(-len(asked) // shard.count), "questions")
    if asked - known:
        _measure(found, key, loaded(), known, _Recorder(store, log), batch, progress, among)
    else:
        mine |= asked
    _record_refused(taker.address, found, store)
    work = f"{taker.address}: {found.paper.task.name}"
    return Share(work, "questions", len(asked), len(mine), len(mine - known), len(mine & known))


def _kept(found: Exam, key: LogKey, store: Store) -> tuple[TokenLog, frozenset[int], set[int]]:
    """What the store has of an exam, the questions of which that is everything, and all questions."""
    from kaibo.scoring.exams.exams import known_items

    kept = store.token_logs({key.hash}).get(key.hash)
    log: TokenLog = no_tokens(key, found.paper.task.name) if kept is None else once_each(kept)
    return log, known_items(found, log), {one.item for one in found.requests} | {one.item for one in found.prompts}


def once_each(log: TokenLog) -> TokenLog:
    """A log in which every token stands once: two runs at the same time may both have kept it."""
    places = np.stack([log.item, log.branch, log.position]).astype(np.int64)
    first = np.unique(places, axis=1, return_index=True)[1]
    return log if len(first) == len(log) else log.taken(np.sort(first))


def _record_refused(address: str, found: Exam, store: Store) -> None:
    name = found.paper.task.name
    store.record_failures([Failure(address, f"{name}:{one.id}", "question", one.why) for one in found.refused])


def _measure(
    found: Exam, key: LogKey, model: Causal, known: frozenset[int], recorder: _Recorder, batch: int,
    progress: Progress, among: Among | None = None,
) -> TokenLog:  # fmt: skip
    with Stopping() as stopping:
        try:
            for part in _parts(found, key, model, known, batch, among):
                recorder.add(part)
                if len(part):
                    progress.advance(len(set(part.item.tolist())))
                if stopping.signal is not None:
                    break
        finally:
            recorder.flush()
        stopping.check()
    return recorder.log()


def _parts(
    found: Exam, key: LogKey, model: Causal, known: frozenset[int], batch: int, among: Among | None
) -> Iterator[TokenLog]:
    """Parts of the log as they are measured; questions that are known are measured again only in others' company."""
    from kaibo.scoring.exams.answering import answers
    from kaibo.scoring.exams.exams import log_of_answers, log_of_scored
    from kaibo.scoring.exams.generating import write_answers
    from kaibo.scoring.exams.trees import together

    among = among or together
    if found.paper.task.written:
        task = found.paper.task
        for several in write_answers(model, found.prompts, task.max_tokens, task.stop, known, batch, among):
            yield log_of_answers(found, key, several)
        return
    for scored in answers(model, found.requests, batch, known, among):
        yield log_of_scored(found, key, [one for one in scored if one.request.item not in known])


class _Recorder:
    """Answers: together here, and on their way to the store."""

    def __init__(self, store: Store, log: TokenLog) -> None:
        self._store, self._parts = store, [log]
        self._pending: list[TokenLog] = []
        self._since = time.monotonic()

    def add(self, part: TokenLog) -> None:
        if not len(part):
            return
        self._parts.append(part)
        self._pending.append(part)
        if time.monotonic() - self._since >= FLUSH_SECONDS:
            self.flush()

    def flush(self) -> None:
        self._store.record_token_logs(self._pending)
        self._pending, self._since = [], time.monotonic()

    def log(self) -> TokenLog:
        return joined_logs(self._parts)
