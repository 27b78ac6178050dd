"""Models of one base, read side by side: every tensor once, span by span, and all that is asked of it counted."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence, Set
from contextlib import closing
from dataclasses import dataclass, replace

from kaibo.collect.censuses import Options
from kaibo.collect.engine import named, ordered
from kaibo.collect.lanes import (
    Asked,
    Lane,
    cross_content,
    derive,
    lanes_of,
    looked_up,
    pair_content,
    signs_content,
    wanted,
)
from kaibo.collect.pending import Pending
from kaibo.collect.shards import Shard, Share
from kaibo.collect.watch.stopping import Stopping
from kaibo.counting import (
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
from kaibo.errors import FormatError, KaiboError
from kaibo.models.pairing import Pairing
from kaibo.store import Counted, CrossedPair, Failure, Paired, SignsOfAll, Store
from kaibo.vocabulary import Model, Signs, total


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


class SideBySide:
    """One pass over models of one base: what was given, what is known so far. `models[0]` is the base."""

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
        self.pending = Pending(store)
        self.failures: list[list[KaiboError]] = [[] for _ in self.models]
        self.done = 0

    @property
    def bytes(self) -> int:
        """How much is read for what is wanted."""
        return sum(self._bytes(place) for place in self.wanted)

    def _bytes(self, place: int) -> int:
        sides = self.lanes[place].sides
        return sides[0].size * sum(sides[side].dtype.itemsize for side in self.wanted[place].reading)

    @property
    def sources(self) -> frozenset[str]:
        """The source keys of all that lies side by side."""
        return frozenset(key for lane in self.lanes for side in lane.sides if (key := side.source_key) is not None)

    def deal(self, shard: Shard) -> Share:
        """Leaves of what is wanted only the lanes of a shard; what fell to it."""
        places: dict[str, int] = {}
        for place, lane in enumerate(self.lanes):
            name = "\0".join(side.canonical for side in lane.sides)
            while name in places:  # paired twice, as a tied table is
                name += "\0"
            places[name] = place
        sizes = {name: sum(side.size for side in self.lanes[place].sides) for name, place in places.items()}
        name = "\0".join([self.models[0].name, *sorted(model.name for model in self.models[1:])])
        mine = {places[unit] for unit in shard.takes(name, sizes)}
        self.wanted = {place: asked for place, asked in self.wanted.items() if place in mine}
        work = ", ".join(model.address for model in self.models[1:]) + f" - {self.models[0].address}"
        return Share(work, "pairs", len(self.lanes), len(mine), len(self.wanted), len(mine) - len(self.wanted))

    def _tasks(self) -> Iterator[_Task]:
        for place, asked in self.wanted.items():
            lane = self.lanes[place]
            pieces = lane_spans(lane.sides)
            for begin, end in pieces:
                yield _Task(place, lane, asked, begin, end, (begin, end) == pieces[-1])

    def read(self) -> None:
        """Counts what is wanted, all threads at work; raises what `take_differences` does."""
        parts: list[LanePart] = []
        with Stopping() as stopping, closing(ordered(self._tasks(), _runner(), self.options.workers)) as under_way:
            try:
                for done in under_way:
                    self.options.progress.advance(done.task.bytes)
                    parts.append(done.part)
                    if not done.task.last:
                        continue
                    failed = self._finish(done.task, parts)
                    self.done += not failed
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
            model = self.model_of(task.lane, side)
            self.failures[model].append(error)
            failure = Failure(self.models[model].address, error.tensor, error.kind, error.message)
            self.store.record_failures([failure])
        for side in set(task.wanted.reading) - errors.keys():
            self._finish_side(task, side, parts)
        for side, first in enumerate(task.lane.originals):
            if (task.place, first) in self.known.contents:
                self.known.contents.setdefault((task.place, side), self.known.contents[task.place, first])
        self._finish_pairs(task, parts, errors.keys())
        self._finish_vectors(task, parts, errors.keys())
        derive(task.lane, task.place, self.known, self.asked)
        self.pending.settle()
        return bool(errors)

    def pairs_of(self, number: int) -> Iterator[tuple[int, int, int]]:
        """Where a tuned model lies: the lanes it is in, its side of each, and the place of the pair in its pairing."""
        for at, lane in enumerate(self.lanes):
            for side, (model, place) in enumerate(zip(lane.models, lane.places, strict=True), start=1):
                if model == number:
                    yield at, side, place

    def model_of(self, lane: Lane, side: int) -> int:
        """The number of the model that a side of a lane belongs to; the base is 0."""
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
