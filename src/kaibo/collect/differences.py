"""The differences of models made from one base: what the store knows is looked up, the rest is read in one pass.

Base and tuned models are read side by side, each tensor of each once. Whatever is asked of them together comes from
that pass: every Δ = tuned − base, the direct difference of every two tuned models, the sums of their task vectors,
the signs of all of them by position.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence, Set
from contextlib import closing
from dataclasses import dataclass, field, replace
from itertools import combinations

from kaibo.census import (
    LanePart,
    LaneWorkspace,
    Wanted,
    content_hash,
    count_lane,
    crossed_of,
    joint_of,
    lane_spans,
    merged,
)
from kaibo.collect.censuses import FLUSH_BYTES, FLUSH_SECONDS, Collected, Options, take_census
from kaibo.collect.engine import named, ordered
from kaibo.collect.lanes import (
    MOST_COUNTED,
    Asked,
    Lane,
    cross_content,
    derive,
    everything,
    lanes_of,
    looked_up,
    pair_content,
    signs_content,
    wanted,
)
from kaibo.collect.stopping import Stopping
from kaibo.errors import FormatError, KaiboError
from kaibo.models.pairing import Pairing
from kaibo.store import Counted, CrossedPair, Failure, Paired, SignsOfAll, Store
from kaibo.vocabulary import Census, CrossRow, Model, PairRow, Row, SignRow, Signs, total

__all__ = [
    "MOST_COUNTED",
    "Compared",
    "Together",
    "pair_content",
    "take_difference",
    "take_differences",
    "take_distances",
]


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


@dataclass(frozen=True)
class Together:
    """Models made from one base: each compared with it, every two with each other, and all signs by position.

    `crosses` has a row for every two tuned models and every tensor that meets the same of the base in both, `signs`
    one for every tensor that at least two models have. `bytes` were read for all of it. `direct` has the rows of
    the direct difference of two tuned models, by their numbers, where only these were asked for.
    """

    compared: tuple[Compared, ...]
    crosses: tuple[CrossRow, ...] = ()
    signs: tuple[SignRow, ...] = ()
    bytes: int = 0
    direct: Mapping[tuple[int, int], tuple[PairRow, ...]] = field(default_factory=dict)


def take_difference(
    base: Model, tuned: Model, pairing: Pairing, store: Store, options: Options | None = None
) -> Compared:
    """The rows of every pair of two models; see `take_differences`."""
    return take_differences(base, [(tuned, pairing)], store, options).compared[0]


def take_differences(
    base: Model, tuned: Sequence[tuple[Model, Pairing]], store: Store, options: Options | None = None
) -> Together:
    """All rows of models made from one base. What was finished is in the store whatever happens afterwards.

    A tensor is read where a number that needs it is missing, once for all of them. One that cannot be read is
    recorded as a failure and the others go on. Raises StorageError when the store cannot be written, StoppedError
    after a signal (everything finished is kept).
    """
    return _Pass(base, tuned, store, options or Options(), everything(len(tuned))).run()


def take_distances(
    base: Model,
    tuned: Sequence[tuple[Model, Pairing]],
    direct: Collection[tuple[int, int]],
    store: Store,
    options: Options | None = None,
) -> Together:
    """The differences of models from one base, and of the two of each pair in `direct` (their numbers, in order).

    Nothing else is asked of them together. One pass as in `take_differences`, which says what is raised.
    """
    asked = Asked(frozenset(direct), together=False)
    return _Pass(base, tuned, store, options or Options(), asked).run()


@dataclass(frozen=True)
class _Task:
    place: int
    lane: Lane
    wanted: Wanted
    begin: int
    end: int
    last: bool

    @property
    def bytes(self) -> int:
        return (self.end - self.begin) * sum(self.lane.sides[side].dtype.itemsize for side in self.wanted.reading)


@dataclass(frozen=True)
class _Done:
    task: _Task
    part: LanePart


class _Pass:
    """One run of `take_differences`: what it was given, what is known so far."""

    def __init__(
        self, base: Model, tuned: Sequence[tuple[Model, Pairing]], store: Store, options: Options, asked: Asked
    ) -> None:
        self.models = (base, *(model for model, _ in tuned))
        self.pairings = [pairing for _, pairing in tuned]
        self.store, self.options = store, options
        self.asked = asked
        self.lanes = lanes_of(self.pairings)
        self.known = looked_up(self.lanes, asked, store, options.verify)
        self.wanted = {
            place: reading
            for place, lane in enumerate(self.lanes)
            if (reading := wanted(lane, place, self.known, asked, options.verify)).reading
        }
        self.pending = _Pending(store)
        self.failures: list[list[KaiboError]] = [[] for _ in self.models]

    def run(self) -> Together:
        """Reads what is wanted and hands back the rows."""
        started = time.monotonic()
        name = self.models[1].name if len(self.models) == 2 else f"{len(self.models) - 1} models"
        size = sum(self._bytes(place) for place in self.wanted)
        self.options.progress.begin(f"{name} - {self.models[0].name}", size)
        self._read()
        taken = [take_census(model, self.store, _rest(self.options)) for model in self.models]
        compared = tuple(self._compared(number, taken, started) for number in range(len(self.pairings)))
        if not self.asked.together:
            return Together(compared, bytes=size, direct=self._direct(taken))
        return Together(compared, tuple(self._crosses(taken)), tuple(self._signs()), size)

    def _bytes(self, place: int) -> int:
        sides = self.lanes[place].sides
        return sides[0].size * sum(sides[side].dtype.itemsize for side in self.wanted[place].reading)

    def _tasks(self) -> Iterator[_Task]:
        for place, asked in self.wanted.items():
            lane = self.lanes[place]
            pieces = lane_spans(lane.sides)
            for begin, end in pieces:
                yield _Task(place, lane, asked, begin, end, (begin, end) == pieces[-1])

    def _read(self) -> None:
        parts: list[LanePart] = []
        with Stopping() as stopping, closing(ordered(self._tasks(), _runner(), self.options.workers)) as under_way:
            try:
                for done in under_way:
                    self.options.progress.advance(done.task.bytes)
                    parts.append(done.part)
                    if not done.task.last:
                        continue
                    failed = self._finish(done.task, parts)
                    parts = []
                    if stopping.signal is not None or (failed and self.options.fail_fast):
                        break
            finally:
                self.pending.flush()
            stopping.check()

    def _finish(self, task: _Task, parts: list[LanePart]) -> bool:
        """A lane whose last span is done: its numbers are known and on their way to the store. Whether any failed."""
        errors = {side: error for part in reversed(parts) for side, error in part.errors.items()}
        for side, error in errors.items():
            model = self._model(task.lane, side)
            self.failures[model].append(error)
            failure = Failure(self.models[model].address, error.tensor, error.kind, error.message)
            self.store.record_failures([failure])
        for side in set(task.wanted.reading) - errors.keys():
            self._finish_side(task, side, parts)
        self._finish_pairs(task, parts, errors.keys())
        self._finish_vectors(task, parts, errors.keys())
        derive(task.lane, task.place, self.known, self.asked)
        self.pending.settle()
        return bool(errors)

    def _model(self, lane: Lane, side: int) -> int:
        return 0 if side == 0 else lane.models[side - 1] + 1

    def _finish_side(self, task: _Task, side: int, parts: Sequence[LanePart]) -> None:
        tensor, known = task.lane.sides[side], self.known
        census, digests = merged([part.sides[side] for part in parts])
        content = content_hash(tensor, digests)
        before = known.contents.get((task.place, side), content)
        if before != content or (census is None and content not in known.censuses):
            message = "is not what it was when it was measured, though its file says nothing changed"
            raise FormatError(message, tensor=tensor.name, next="check the disk; then kaibo store rm")
        known.contents[task.place, side] = content
        if census is not None:
            known.censuses[content] = census
            self.pending.add(Counted(tensor.source_key, content, census), census)

    def _finish_pairs(self, task: _Task, parts: Sequence[LanePart], failed: Set[int]) -> None:
        """Differences of unlike tensors; what equal ones give follows from their censuses."""
        for pair in task.wanted.pairs:
            if failed & set(pair):
                continue
            base, tuned = self.known.of(task.place, *pair)
            if base == tuned:
                continue
            census = total(part.pairs[pair][0] for part in parts)
            censuses = self.known.censuses[base], self.known.censuses[tuned]
            joint = joint_of([part.pairs[pair][1] for part in parts], censuses)
            self.known.numbers[task.place].pairs[pair] = census, joint
            self.pending.add(Paired(pair_content(base, tuned), base, tuned, census, joint), census)

    def _finish_vectors(self, task: _Task, parts: Sequence[LanePart], failed: Set[int]) -> None:
        """Sums and signs of task vectors that are neither nothing nor equal."""
        numbers = self.known.numbers[task.place]
        for couple in task.wanted.crosses:
            base, a, b = self.known.of(task.place, 0, *couple)
            if failed & {0, *couple} or len({base, a, b}) < 3:
                continue
            found = crossed_of([part.crosses[couple] for part in parts])
            numbers.crosses[couple] = found
            first, second, kept = (a, b, found) if a <= b else (b, a, found.turned)
            self.pending.add(CrossedPair(cross_content(base, a, b), base, first, second, kept))
        sides = task.wanted.signs
        if sides and not failed & {0, *sides}:
            base, *tuned = self.known.of(task.place, 0, *sides)
            moving = tuple(sorted({*tuned} - {base}))
            numbers.signs = sum((part.signs for part in parts if part.signs is not None), Signs())
            if len(moving) > 1:
                self.pending.add(SignsOfAll(signs_content(base, moving), base, moving, numbers.signs))

    def _compared(self, number: int, taken: Sequence[Collected], started: float) -> Compared:
        """The rows of one tuned model, in the order of its pairing."""
        found: dict[int, PairRow] = {}
        measured, size = 0, 0
        for at, lane in enumerate(self.lanes):
            for side, (model, place) in enumerate(zip(lane.models, lane.places, strict=True), start=1):
                if model != number:
                    continue
                row = self._pair_row(at, (0, side), (taken[0], taken[number + 1]))
                if row is not None:
                    found[place] = row
                read = at in self.wanted and (0, side) in self.wanted[at].pairs
                measured += read and row is not None
                size += sum(lane.sides[one].size * lane.sides[one].dtype.itemsize for one in (0, side)) if read else 0
        rows = tuple(found[place] for place in sorted(found))
        sides = taken[0], taken[number + 1]
        failed = (*self.failures[0], *self.failures[number + 1], *sides[0].failures, *sides[1].failures)
        return Compared(
            *sides,
            pairing=self.pairings[number],
            rows=rows,
            measured=measured,
            known=len(rows) - measured,
            bytes=size,
            seconds=time.monotonic() - started,
            failures=tuple({failure.line: failure for failure in failed}.values()),
        )

    def _pair_row(self, place: int, pair: tuple[int, int], taken: tuple[Collected, Collected]) -> PairRow | None:
        """One lane's row of two sides; None where a side could not be read, or only sums were made."""
        lane, numbers = self.lanes[place], self.known.numbers[place]
        if pair not in numbers.pairs:
            return None
        base, tuned = (lane.sides[side] for side in pair)
        contents = self.known.of(place, *pair)
        delta = Row(
            model=taken[1].model.address,
            model_id=taken[1].model_id,
            tensor=lane.sides[0].canonical,
            layer=lane.sides[0].layer,
            role=lane.sides[0].role,
            dtype="F32",
            shape=base.shape,
            content=pair_content(*contents),
            census=numbers.pairs[pair][0],
        )
        return PairRow(
            base=taken[0].model.address,
            base_id=taken[0].model_id,
            difference=delta,
            base_content=contents[0],
            tuned_content=contents[1],
            base_dtype=base.dtype.name,
            tuned_dtype=tuned.dtype.name,
            base_census=self.known.censuses[contents[0]],
            joint=numbers.pairs[pair][1],
        )

    def _direct(self, taken: Sequence[Collected]) -> dict[tuple[int, int], tuple[PairRow, ...]]:
        """The rows of the direct differences; a pair of which a tensor could not be read has fewer."""
        found: dict[tuple[int, int], list[PairRow]] = {two: [] for two in self.asked.direct}
        for (one, other), rows in found.items():
            for place, lane in enumerate(self.lanes):
                if one in lane.models and other in lane.models:
                    sides = lane.models.index(one) + 1, lane.models.index(other) + 1
                    row = self._pair_row(place, sides, (taken[one + 1], taken[other + 1]))
                    rows += [] if row is None else [row]
        return {two: tuple(rows) for two, rows in found.items()}

    def _crosses(self, taken: Sequence[Collected]) -> Iterator[CrossRow]:
        for couple in combinations(range(len(self.pairings)), 2):
            for place, lane in enumerate(self.lanes):
                if couple[0] not in lane.models or couple[1] not in lane.models:
                    continue
                sides = lane.models.index(couple[0]) + 1, lane.models.index(couple[1]) + 1
                crossed = self.known.numbers[place].crosses.get(sides)
                if crossed is None:
                    continue
                both = taken[couple[0] + 1], taken[couple[1] + 1]
                base = lane.sides[0]
                yield CrossRow(
                    base=taken[0].model.address,
                    a=both[0].model.address,
                    b=both[1].model.address,
                    tensor=base.canonical,
                    layer=base.layer,
                    role=base.role,
                    crossed=crossed,
                    direct=self._pair_row(place, sides, both) if couple in self.asked.direct else None,
                )

    def _signs(self) -> Iterator[SignRow]:
        for lane, numbers in zip(self.lanes, self.known.numbers, strict=True):
            if numbers.signs is not None:
                base = lane.sides[0]
                tuned = tuple(self.models[model + 1].address for model in lane.models)
                place = base.canonical, base.layer, base.role
                yield SignRow(self.models[0].address, tuned, *place, numbers.signs)


def _rest(options: Options) -> Options:
    """The census of what the pairs left over: the pairs themselves were just verified."""
    return Options(options.workers, False, options.progress, options.fail_fast)


def _runner() -> Callable[[_Task], _Done]:
    """What counts a span, each thread in a workspace of its own."""
    local = threading.local()

    def run(task: _Task) -> _Done:
        if not hasattr(local, "workspace"):
            local.workspace = LaneWorkspace()
        part = count_lane(task.lane.sides, task.begin, task.end, task.wanted, local.workspace)
        errors = {side: named(error, task.lane.sides[side]) for side, error in part.errors.items()}
        return _Done(task, replace(part, errors=errors))

    return run


Finished = Counted | Paired | CrossedPair | SignsOfAll


class _Pending:
    """Finished tensors, pairs and what goes with them on their way to the store."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._finished: list[Finished] = []
        self._bytes, self._since = 0, time.monotonic()

    def add(self, finished: Finished, census: Census | None = None) -> None:
        """Keeps it for the next part; a lane's are added before `settle` may write them."""
        self._finished.append(finished)
        self._bytes += 0 if census is None else census.nbytes

    def settle(self) -> None:
        """A lane is complete: writes a part if it is time for one."""
        if self._bytes >= FLUSH_BYTES or time.monotonic() - self._since >= FLUSH_SECONDS:
            self.flush()

    def flush(self) -> None:
        """Writes everything."""
        counted = [one for one in self._finished if isinstance(one, Counted)]
        paired = {one.content: one for one in self._finished if isinstance(one, Paired)}
        crossed = {one.content: one for one in self._finished if isinstance(one, CrossedPair)}
        signs = {one.content: one for one in self._finished if isinstance(one, SignsOfAll)}
        if counted:
            self._store.record(list({one.source_key or one.content: one for one in counted}.values()))
        if paired:
            self._store.record_pairs(list(paired.values()))
        if crossed:
            self._store.record_crossed(list(crossed.values()))
        if signs:
            self._store.record_signs(list(signs.values()))
        self._finished, self._bytes, self._since = [], 0, time.monotonic()
