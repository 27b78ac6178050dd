"""The census of a model: tensors that the store knows are looked up, the rest are read once, counted and kept."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Collection, Generator, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace

from kaibo.collect.engine import Task, counted
from kaibo.collect.shards import Shard, Share
from kaibo.collect.watch.progress import Progress, quiet
from kaibo.collect.watch.stopping import Stopping
from kaibo.counting import Part, content_hash, merged, spans
from kaibo.errors import FormatError, KaiboError
from kaibo.store import Counted, Failure, Store
from kaibo.vocabulary import Census, Model, Row, Tensor

FLUSH_BYTES, FLUSH_SECONDS = 64 << 20, 2.0
"""A part of the store holds what was finished within so many bytes of censuses, or so many seconds.

Bytes of censuses, not of weights: a flush syncs to disk, and after every 64 MiB read it took longer than the reading.
"""


@dataclass(frozen=True)
class Options:
    """How a census is taken.

    `workers` threads; `verify` reads every tensor again, also those that the store knows, and compares;
    `progress` is told of the bytes; `fail_fast` ends at the first tensor that cannot be read. With `identify` tensors
    are only hashed: enough to know the model by, and nothing is compiled or counted for it.
    """

    workers: int = 1
    verify: bool = False
    progress: Progress = quiet
    fail_fast: bool = False
    identify: bool = False


@dataclass(frozen=True)
class Collected:
    """A model's rows, and what it took to have them; `model_id` is empty where tensors are missing.

    `measured` tensors were read, `known` ones were looked up; `bytes` were read in `seconds`. `failures` are the
    tensors that could not be measured; their rows are missing.
    """

    model: Model
    model_id: str
    rows: tuple[Row, ...]
    measured: int
    known: int
    bytes: int
    seconds: float
    failures: tuple[KaiboError, ...] = ()


@dataclass
class _Found:
    """Content hash and census of each tensor, by its place in the model; what was to be read, and what failed."""

    contents: dict[int, str] = field(default_factory=dict)
    censuses: dict[int, Census] = field(default_factory=dict)
    todo: Sequence[int] = ()
    failures: list[KaiboError] = field(default_factory=list)


def take_census(model: Model, store: Store, options: Options | None = None) -> Collected:
    """The rows of a model. What was finished is in the store whatever happens afterwards.

    A tensor that cannot be read is recorded as a failure and the others go on. Raises StorageError when the store
    cannot be written, StoppedError after a signal (everything finished is kept).
    """
    started = time.monotonic()
    found = _taken(model, range(len(model.tensors)), store, options or Options())
    model_id = identity(
        {tensor.canonical: found.contents[i] for i, tensor in enumerate(model.tensors) if i in found.contents}
    )
    model_id = "" if found.failures else model_id  # the identity of a part would be taken for the whole's
    rows = tuple(_rows(model, model_id, found))
    if not found.failures:
        store.record_model(model.name, model.family, rows)
    measured = len(found.todo) - len(found.failures)
    known, size = len(model.tensors) - len(found.todo), sum(_bytes(model.tensors[place]) for place in found.todo)
    return Collected(model, model_id, rows, measured, known, size, time.monotonic() - started, tuple(found.failures))


def share_census(
    model: Model, shard: Shard, store: Store, options: Options | None = None, besides: Collection[str] = ()
) -> tuple[Share, tuple[KaiboError, ...]]:
    """Counts the tensors of a model that are this shard's, and tells which could not be read.

    Tensors whose source key is in `besides` are left out: other work has them. Raises what `take_census` raises.
    """
    places = {tensor.canonical: place for place, tensor in enumerate(model.tensors) if tensor.source_key not in besides}
    mine = shard.takes(model.name, {name: _bytes(model.tensors[place]) for name, place in places.items()})
    found = _taken(model, sorted(places[name] for name in mine), store, options or Options())
    measured, known = len(found.todo) - len(found.failures), len(mine) - len(found.todo)
    return Share(model.address, "tensors", len(places), len(mine), measured, known), tuple(found.failures)


def lacking(model: Model, store: Store) -> bool:
    """Whether a census of the model would read anything."""
    return len(_known(model.tensors, range(len(model.tensors)), store, False).contents) < len(model.tensors)


def _taken(model: Model, places: Sequence[int], store: Store, options: Options) -> _Found:
    """These tensors, from the store where it knows them, else read."""
    found = _Found() if options.verify else _known(model.tensors, places, store, options.identify)
    found.todo = [place for place in places if place not in found.contents]
    options.progress.begin(model.name, sum(_bytes(model.tensors[place]) for place in found.todo))
    found.failures = _measure(model, found.todo, store, options, found)
    return found


def identity(contents: Mapping[str, str]) -> str:
    """The model_id: the first 16 hex digits of SHA-256 over the sorted (canonical name, content hash) pairs.

    >>> identity({"b": "02", "a": "01"}) == identity({"a": "01", "b": "02"})
    True
    """
    pairs = "".join(f"{name}\0{content}\n" for name, content in sorted(contents.items()))
    return hashlib.sha256(pairs.encode("utf-8", "surrogatepass")).hexdigest()[:16]


def take_identity(model: Model, store: Store, options: Options | None = None) -> str:
    """The model_id of a model whose values are not asked for; what was hashed is in the store.

    Raises the first error of a tensor that cannot be read, and what `take_census` raises.
    """
    taken = take_census(model, store, replace(options or Options(), identify=True))
    if taken.failures:
        raise taken.failures[0]
    return taken.model_id


def _known(tensors: Sequence[Tensor], places: Sequence[int], store: Store, identify: bool) -> _Found:
    """What the store can answer unread: the content behind each source key, and that content's census."""
    keys = {key for place in places if (key := tensors[place].source_key) is not None}
    contents = store.contents(keys)
    censuses = {} if identify else store.censuses(set(contents.values()))
    found = _Found()
    for place in places:
        tensor = tensors[place]
        content = contents.get(tensor.source_key or "")
        counts = tensor.dtype.measurable and not identify
        if content is None or (counts and content not in censuses):
            continue
        found.contents[place] = content
        if counts:
            found.censuses[place] = censuses[content]
    return found


def _measure(model: Model, todo: Sequence[int], store: Store, options: Options, found: _Found) -> list[KaiboError]:
    failures: list[KaiboError] = []
    pending = _Pending(store)
    places = {id(model.tensors[place]): place for place in todo}
    expected = store.contents([key for tensor in model.tensors if (key := tensor.source_key)]) if options.verify else {}
    with Stopping() as stopping, closing(_tensors(_tasks(model, todo, options.identify), options, stopping)) as tensors:
        try:
            for tensor, outcome in tensors:
                place = places[id(tensor)]
                if isinstance(outcome, KaiboError):
                    failures.append(outcome)
                    store.record_failures([Failure(model.address, tensor.name, outcome.kind, outcome.message)])
                    if options.fail_fast:
                        break
                    continue
                census, content = outcome
                _compare(model, tensor, content, expected)
                found.contents[place] = content
                if census is not None:
                    found.censuses[place] = census
                pending.add(Counted(tensor.source_key, content, census))
        finally:
            pending.flush()
        stopping.check()
    return failures


def _compare(model: Model, tensor: Tensor, content: str, expected: Mapping[str, str]) -> None:
    """With --verify: the same stored bytes must give the content that the store has."""
    before = expected.get(tensor.source_key or "", content)
    if before != content:
        message = f"was {before} when it was measured and is {content} now, though its file says nothing changed"
        raise FormatError(message, file=model.address, tensor=tensor.name, next="check the disk; then kaibo store rm")


Outcome = tuple[Census | None, str] | KaiboError


def _tensors(
    tasks: Iterator[Task], options: Options, stopping: Stopping
) -> Generator[tuple[Tensor, Outcome], None, None]:
    """Each tensor as its last span is done: census and content hash, or the first error among its spans."""
    parts: list[Part] = []
    error: KaiboError | None = None
    with closing(counted(tasks, options.workers)) as under_way:  # closed here, so that a second interrupt is heard
        for done in under_way:
            options.progress.advance(done.task.bytes)
            if done.part is not None:
                parts.append(done.part)
            error = error or done.error
            if done.task.last:
                yield done.task.tensor, error or _whole(done.task.tensor, parts)
                parts, error = [], None
                if stopping.signal is not None:
                    return


def _whole(tensor: Tensor, parts: list[Part]) -> tuple[Census | None, str]:
    census, digests = merged(parts)
    return census, content_hash(tensor, digests)


def _tasks(model: Model, todo: Sequence[int], hashed: bool) -> Iterator[Task]:
    for place in todo:
        tensor = model.tensors[place]
        pieces = spans(tensor)
        for begin, end in pieces:
            yield Task(tensor, begin, end, last=(begin, end) == pieces[-1], hashed=hashed)


def _bytes(tensor: Tensor) -> int:
    return tensor.size * tensor.dtype.bits // 8


def _rows(model: Model, model_id: str, found: _Found) -> Iterator[Row]:
    for place, tensor in enumerate(model.tensors):
        if place in found.contents:
            yield Row(
                model=model.address,
                model_id=model_id,
                tensor=tensor.canonical,
                layer=tensor.layer,
                role=tensor.role,
                dtype=tensor.dtype.name,
                shape=tensor.shape,
                content=found.contents[place],
                census=found.censuses.get(place),
            )


class _Pending:
    """Finished tensors on their way to the store."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._counted: list[Counted] = []
        self._bytes, self._since = 0, time.monotonic()

    def add(self, counted: Counted) -> None:
        self._counted.append(counted)
        self._bytes += 0 if counted.census is None else counted.census.nbytes
        if self._bytes >= FLUSH_BYTES or time.monotonic() - self._since >= FLUSH_SECONDS:
            self.flush()

    def flush(self) -> None:
        if self._counted:
            self._store.record(self._counted)
        self._counted, self._bytes, self._since = [], 0, time.monotonic()
