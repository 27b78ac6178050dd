"""The second pass that makes thresholds exact: bins that the store knows value by value are not read again."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass

from kaibo.collect.censuses import Options
from kaibo.collect.engine import named, ordered
from kaibo.collect.shards import Shard, Share
from kaibo.collect.watch.stopping import Stopping
from kaibo.counting import resolve
from kaibo.errors import KaiboError
from kaibo.store import Store
from kaibo.vocabulary import Tensor
from kaibo.vocabulary.counts.resolved import Resolved

ENOUGH = 16 << 20
"""Bytes of resolved bins that one part of the store holds at least."""

Found = dict[tuple[str, int], Resolved]


@dataclass(frozen=True)
class _Task:
    content: str
    tensor: Tensor
    uppers: tuple[int, ...]


def resolved_bins(
    tensors: Mapping[str, Tensor], wanted: Mapping[str, set[int]], store: Store, options: Options | None = None
) -> Found:
    """Each wanted bin, by the content of its tensor and its upper half.

    `tensors` are the differences by their content. Only those with an unknown bin are read. Raises what reading
    raises, StorageError when the store cannot be written, StoppedError after a signal (what was finished is kept).
    """
    options = options or Options()
    known = store.resolved(set(wanted)) if wanted else {}
    tasks = list(_tasks(tensors, wanted, known))
    if tasks:
        options.progress.begin("thresholds", sum(4 * task.tensor.size for task in tasks))
        known = {**known, **_read(tasks, store, options)}
    return {key: one for key, one in known.items() if key[1] in wanted.get(key[0], ())}


def share_bins(
    work: str,
    tensors: Mapping[str, Tensor],
    wanted: Mapping[str, set[int]],
    shard: Shard,
    store: Store,
    options: Options | None = None,
) -> Share:
    """Resolves the wanted bins of a shard's tensors, and says what was done. Raises what `resolved_bins` raises."""
    mine = shard.takes(work, {content: tensors[content].size for content in wanted})
    ours = {content: uppers for content, uppers in wanted.items() if content in mine}
    known = store.resolved(set(ours)) if ours else {}
    measured = len(list(_tasks(tensors, ours, known)))
    resolved_bins(tensors, ours, store, options)
    return Share(work, "thresholds", len(wanted), len(ours), measured, len(ours) - measured)


def _tasks(tensors: Mapping[str, Tensor], wanted: Mapping[str, set[int]], known: Found) -> Iterator[_Task]:
    for content, uppers in wanted.items():
        left = tuple(sorted(upper for upper in uppers if (content, upper) not in known))
        if left:
            yield _Task(content, tensors[content], left)


def _read(tasks: Sequence[_Task], store: Store, options: Options) -> Found:
    found: Found = {}
    pending: Found = {}
    with Stopping() as stopping, closing(ordered(tasks, _resolved, options.workers)) as under_way:
        try:
            for task, outcome in under_way:
                options.progress.advance(4 * task.tensor.size)
                if isinstance(outcome, KaiboError):
                    raise outcome
                pending.update(((task.content, one.upper), one) for one in outcome)
                if sum(one.lows.nbytes + one.counts.nbytes for one in pending.values()) > ENOUGH:
                    store.record_resolved(pending)
                    found, pending = {**found, **pending}, {}
                if stopping.signal is not None:
                    break
        finally:
            if pending:
                store.record_resolved(pending)
        stopping.check()
    return {**found, **pending}


def _resolved(task: _Task) -> tuple[_Task, list[Resolved] | KaiboError]:
    try:
        return task, resolve(task.tensor, task.uppers)
    except KaiboError as error:
        return task, named(error, task.tensor)
