"""The difference of two models: pairs that the store knows are looked up, the rest are read once, side by side."""

from __future__ import annotations

import hashlib
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field

from kaibo.census import (
    PairPart,
    PairWorkspace,
    content_hash,
    count_pair,
    identical_joint,
    merged_pair,
    merged_sides,
    no_difference,
    pair_spans,
)
from kaibo.collect.censuses import FLUSH_BYTES, FLUSH_SECONDS, Collected, Options, take_census
from kaibo.collect.engine import named, ordered
from kaibo.collect.stopping import Stopping
from kaibo.errors import FormatError, KaiboError
from kaibo.models.pairing import Pair, Pairing
from kaibo.store import Counted, Failure, Paired, Store
from kaibo.vocabulary import Census, Joint, Model, PairRow, Row, Tensor


@dataclass(frozen=True)
class Compared:
    """The rows of two models' pairs, and what it took to have them.

    `measured` pairs were read, `known` ones looked up, `bytes` read for them. `base` and `tuned` are the censuses
    of the two models, of which only what the pairs left over was read for them.
    """

    base: Collected
    tuned: Collected
    pairing: Pairing
    rows: tuple[PairRow, ...]
    measured: int
    known: int
    bytes: int
    seconds: float
    failures: tuple[KaiboError, ...] = ()


@dataclass
class _Sides:
    """What is known of the tensors of all pairs: contents by (place, side), censuses by content."""

    contents: dict[tuple[int, int], str] = field(default_factory=dict)
    censuses: dict[str, Census] = field(default_factory=dict)


@dataclass(frozen=True)
class _Task:
    place: int
    pair: Pair
    begin: int
    end: int
    last: bool
    counting: tuple[bool, bool]

    @property
    def bytes(self) -> int:
        return (self.end - self.begin) * (self.pair.base.dtype.itemsize + self.pair.tuned.dtype.itemsize)


@dataclass(frozen=True)
class _Done:
    task: _Task
    part: PairPart | None
    error: KaiboError | None


def take_difference(
    base: Model, tuned: Model, pairing: Pairing, store: Store, options: Options | None = None
) -> Compared:
    """The rows of every pair. What was finished is in the store whatever happens afterwards.

    A pair of which a side cannot be read is recorded as a failure and the others go on. Raises StorageError when
    the store cannot be written, StoppedError after a signal (everything finished is kept).
    """
    options = options or Options()
    started = time.monotonic()
    known = _known(pairing.pairs, store)
    found = {} if options.verify else _looked_up(pairing.pairs, known, store)
    todo = [place for place in range(len(pairing.pairs)) if place not in found]
    size = sum(_bytes(pairing.pairs[place]) for place in todo)
    options.progress.begin(f"{tuned.name} - {base.name}", size)
    looked_up = len(found)
    failures = _measure(tuned, pairing.pairs, todo, store, options, known, found)
    taken = take_census(base, store, _rest(options)), take_census(tuned, store, _rest(options))
    rows = tuple(_rows(taken, pairing.pairs, known, found))
    seconds = time.monotonic() - started
    failed = (*failures, *taken[0].failures, *taken[1].failures)
    return Compared(*taken, pairing, rows, len(todo) - len(failures), looked_up, size, seconds, _each_once(failed))


def _rest(options: Options) -> Options:
    """The census of what the pairs left over: the pairs themselves were just verified."""
    return Options(options.workers, False, options.progress, options.fail_fast)


def _each_once(failures: Sequence[KaiboError]) -> tuple[KaiboError, ...]:
    return tuple({failure.line: failure for failure in failures}.values())


def pair_content(base: str, tuned: str) -> str:
    """The key of a pair: 32 hex digits of SHA-256 over `difference`, base content and tuned content.

    >>> pair_content("0a", "0b") != pair_content("0b", "0a")
    True
    """
    return hashlib.sha256(f"difference\0{base}\0{tuned}".encode()).hexdigest()[:32]


def _known(pairs: Sequence[Pair], store: Store) -> _Sides:
    """Contents and censuses of all sides, as far as the store has them."""
    sides = {(place, side): tensor for place, pair in enumerate(pairs) for side, tensor in enumerate(_both(pair))}
    by_key = store.contents({key for tensor in sides.values() if (key := tensor.source_key) is not None})
    contents = {at: by_key[key] for at, tensor in sides.items() if (key := tensor.source_key) in by_key}
    return _Sides(contents, store.censuses(set(contents.values())))


def _both(pair: Pair) -> tuple[Tensor, Tensor]:
    return pair.base, pair.tuned


Found = dict[int, tuple[Census, Joint]]


def _looked_up(pairs: Sequence[Pair], known: _Sides, store: Store) -> Found:
    """Pairs that need not be read: equal contents, and those whose difference the store has."""
    both = {
        place: (known.contents[place, 0], known.contents[place, 1])
        for place in range(len(pairs))
        if (place, 0) in known.contents and (place, 1) in known.contents
    }
    keys = {place: pair_content(*contents) for place, contents in both.items() if contents[0] != contents[1]}
    joints = store.joints(set(keys.values()))
    censuses = store.censuses(set(joints))
    found: Found = {}
    for place, contents in both.items():
        census, key = known.censuses.get(contents[0]), keys.get(place)
        if census is None:
            continue
        if key is None:
            found[place] = no_difference(census), identical_joint(census)
        elif key in joints and key in censuses:
            found[place] = censuses[key], joints[key]
    return found


def _bytes(pair: Pair) -> int:
    return pair.base.size * (pair.base.dtype.itemsize + pair.tuned.dtype.itemsize)


def _tasks(pairs: Sequence[Pair], todo: Sequence[int], known: _Sides, verify: bool) -> Iterator[_Task]:
    for place in todo:
        pair = pairs[place]
        contents = [known.contents.get((place, side), "") for side in (0, 1)]
        counting = verify or contents[0] not in known.censuses, verify or contents[1] not in known.censuses
        pieces = pair_spans(pair.base, pair.tuned)
        for begin, end in pieces:
            yield _Task(place, pair, begin, end, (begin, end) == pieces[-1], counting)


def _measure(
    tuned: Model, pairs: Sequence[Pair], todo: Sequence[int], store: Store, options: Options, known: _Sides, out: Found
) -> list[KaiboError]:
    failures: list[KaiboError] = []
    pending = _Pending(store)
    parts: list[PairPart] = []
    error: KaiboError | None = None
    tasks = _tasks(pairs, todo, known, options.verify)
    with Stopping() as stopping, closing(ordered(tasks, _runner(), options.workers)) as under_way:
        try:
            for done in under_way:
                options.progress.advance(done.task.bytes)
                error = error or done.error
                parts += [done.part] if done.part is not None else []
                if not done.task.last:
                    continue
                if error is not None:
                    failures.append(error)
                    store.record_failures([Failure(tuned.address, error.tensor, error.kind, error.message)])
                else:
                    out[done.task.place] = _finished(done.task, parts, known, pending)
                stop = stopping.signal is not None or (error is not None and options.fail_fast)
                parts, error = [], None
                if stop:
                    break
        finally:
            pending.flush()
        stopping.check()
    return failures


def _runner() -> Callable[[_Task], _Done]:
    """What counts a span, each thread in a workspace of its own."""
    local = threading.local()

    def run(task: _Task) -> _Done:
        if not hasattr(local, "workspace"):
            local.workspace = PairWorkspace()
        sides = _both(task.pair)
        try:
            return _Done(task, count_pair(sides, task.begin, task.end, task.counting, local.workspace), None)
        except KaiboError as error:
            return _Done(task, None, named(error, task.pair.base))

    return run


def _finished(task: _Task, parts: list[PairPart], known: _Sides, pending: _Pending) -> tuple[Census, Joint]:
    """A pair whose last span is done: both sides and their difference on the way to the store."""
    for side, (tensor, (census, digests)) in enumerate(zip(_both(task.pair), merged_sides(parts), strict=True)):
        content = content_hash(tensor, digests)
        known.contents[task.place, side] = content
        if census is not None:
            known.censuses[content] = census
            pending.counted.append(Counted(tensor.source_key, content, census))
        elif content not in known.censuses:
            message = "is not what it was when it was measured, though its file says nothing changed"
            raise FormatError(message, tensor=tensor.name, next="check the disk; --verify reads it again")
    base, tuned = known.contents[task.place, 0], known.contents[task.place, 1]
    census, joint = merged_pair(parts)
    if base == tuned:  # from the census, as when it is looked up: the same bytes either way
        census, joint = no_difference(known.censuses[base]), identical_joint(known.censuses[base])
    else:
        pending.paired.append(Paired(pair_content(base, tuned), base, tuned, census, joint))
    pending.done(_bytes(task.pair))
    return census, joint


def _rows(taken: tuple[Collected, Collected], pairs: Sequence[Pair], known: _Sides, found: Found) -> Iterator[PairRow]:
    base, tuned = taken
    for place in sorted(found):
        pair, (census, joint) = pairs[place], found[place]
        contents = known.contents[place, 0], known.contents[place, 1]
        delta = Row(
            model=tuned.model.address,
            model_id=tuned.model_id,
            tensor=pair.base.canonical,
            layer=pair.base.layer,
            role=pair.base.role,
            dtype="F32",
            shape=pair.base.shape,
            content=pair_content(*contents),
            census=census,
        )
        yield PairRow(
            base=base.model.address,
            base_id=base.model_id,
            difference=delta,
            base_content=contents[0],
            tuned_content=contents[1],
            base_dtype=pair.base.dtype.name,
            tuned_dtype=pair.tuned.dtype.name,
            base_census=known.censuses[contents[0]],
            joint=joint,
        )


class _Pending:
    """Finished pairs on their way to the store."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self.counted: list[Counted] = []
        self.paired: list[Paired] = []
        self._bytes, self._since = 0, time.monotonic()

    def done(self, size: int) -> None:
        self._bytes += size
        if self._bytes >= FLUSH_BYTES or time.monotonic() - self._since >= FLUSH_SECONDS:
            self.flush()

    def flush(self) -> None:
        if self.counted:
            self._store.record(list({one.source_key or one.content: one for one in self.counted}.values()))
        if self.paired:
            self._store.record_pairs(list({one.content: one for one in self.paired}.values()))
        self.counted, self.paired = [], []
        self._bytes, self._since = 0, time.monotonic()
