"""The pass over several tensors of one shape side by side: each is read, hashed and counted once, whatever is asked.

Side 0 is the base, the others are the same tensor in models made from it. Differences are formed slice by slice in
float32 (of 64-bit floats in 64 bits, then rounded once), censused and never kept. A side that cannot be read ends
what needs it and nothing else.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import xxhash

from kaibo.counting.counting import BLOCK, Part, Workspace, add, collect, emptied, merged
from kaibo.counting.joint import joint_of
from kaibo.counting.tallies import (
    SLICE,
    CrossSums,
    CrossTally,
    Delta,
    DifferenceTable,
    PairSums,
    PairTally,
    Slice,
    formed,
    signs_of,
)
from kaibo.errors import KaiboError
from kaibo.vocabulary import Census, Joint, Patterns, Signs, Tensor, total

READ_VALUES = 4 * SLICE
"""Values of each side that are read at a time; few system calls, and still in the cache when they are taken up."""

SPAN_VALUES = 1 << 23
"""Values whose differences are counted before the table is emptied: few enough that no word of it overflows."""

Sides = tuple[int, int]


@dataclass(frozen=True)
class Wanted:
    """What a pass is to give, sides by their numbers.

    `counting` are the sides to be censused, `pairs` those whose difference (second − first) and joint sums are made,
    `crosses` those whose task vectors are set against each other, `signs` those whose signs are compared by position.
    """

    counting: frozenset[int] = frozenset()
    pairs: tuple[Sides, ...] = ()
    crosses: tuple[Sides, ...] = ()
    signs: tuple[int, ...] = ()

    @property
    def reading(self) -> tuple[int, ...]:
        """The sides that must be read."""
        sides = {side for pair in (*self.pairs, *self.crosses) for side in pair} | {*self.counting, *self.signs}
        return tuple(sorted(sides | ({0} if self.crosses or self.signs else set())))

    @property
    def vectors(self) -> tuple[int, ...]:
        """The sides whose difference from the base others need beside its own census."""
        return tuple(sorted({side for pair in self.crosses for side in pair} | set(self.signs)))


@dataclass(frozen=True)
class LanePart:
    """What one span gave: for each side read its part, for each pair, cross and the signs what was added up.

    `errors` are the sides that could not be read, and why; nothing that needs them is here.
    """

    sides: Mapping[int, Part] = field(default_factory=dict)
    pairs: Mapping[Sides, tuple[Census, PairSums]] = field(default_factory=dict)
    crosses: Mapping[Sides, CrossSums] = field(default_factory=dict)
    signs: Signs | None = None
    errors: Mapping[int, KaiboError] = field(default_factory=dict)


class LaneWorkspace:
    """What one worker owns and uses again: rooms to read into, tables for sides and pairs, room for differences.

    About 3 MiB a side and 2.5 a pair that is counted.
    """

    def __init__(self) -> None:
        self.rooms: dict[int, np.ndarray[tuple[int], np.dtype[np.uint8]]] = {}
        self.sides: dict[int, Workspace] = {}
        self.pairs: dict[Sides, DifferenceTable] = {}
        self.deltas: dict[int, np.ndarray[tuple[int], np.dtype[np.float32]]] = {}
        self.scratch = np.empty(SLICE, np.float32)
        self.marks = np.empty(SLICE, np.uint8)

    def room(self, side: int, width: int) -> np.ndarray[tuple[int], np.dtype[np.uint8]]:
        """Where a side whose values have `width` bytes is read to."""
        if side not in self.rooms:
            self.rooms[side] = np.empty(8 * READ_VALUES, np.uint8)
        return self.rooms[side][: width * READ_VALUES]

    def delta(self, side: int) -> np.ndarray[tuple[int], np.dtype[np.float32]]:
        """Where the differences of a side from the base are kept while others need them."""
        if side not in self.deltas:
            self.deltas[side] = np.empty(SLICE, np.float32)
        return self.deltas[side]

    def side(self, side: int) -> Workspace:
        """The tables of a side; made when they are first asked for, since most of a workspace is tables."""
        if side not in self.sides:
            self.sides[side] = Workspace()
        return self.sides[side]

    def pair(self, pair: Sides) -> DifferenceTable:
        """The table of a pair's differences."""
        if pair not in self.pairs:
            self.pairs[pair] = DifferenceTable()
        return self.pairs[pair]

    def emptied(self) -> None:
        """Makes the tables ready for the next span."""
        for table in self.sides.values():
            emptied(table)
        for counted in self.pairs.values():
            counted.emptied()


def lane_spans(sides: Sequence[Tensor]) -> list[tuple[int, int]]:
    """The (begin, end) of the tasks a lane is read in, in values: whole blocks of all, one empty span if empty."""
    step = max(SPAN_VALUES, *(BLOCK // side.dtype.itemsize for side in sides))
    size = sides[0].size
    return [(begin, min(begin + step, size)) for begin in range(0, max(size, 1), step)]


def count_lane(sides: Sequence[Tensor], begin: int, end: int, wanted: Wanted, workspace: LaneWorkspace) -> LanePart:
    """Reads values `begin` to `end` of the sides that are needed once, side by side.

    What a side's reading raises is in the part; the workspace is empty again afterwards.
    """
    tally = _Tally(sides, wanted, workspace)
    errors: dict[int, KaiboError] = {}
    try:
        for chunks in _side_by_side({side: sides[side] for side in wanted.reading}, begin, end, workspace, errors):
            tally.add(chunks)
        return tally.part(errors)
    finally:
        workspace.emptied()


def _side_by_side(
    sides: Mapping[int, Tensor], begin: int, end: int, workspace: LaneWorkspace, errors: dict[int, KaiboError]
) -> Iterator[dict[int, Patterns]]:
    """A chunk of every side at a time; a side that fails is left out from there on."""
    streams = {
        side: tensor.chunks(workspace.room(side, tensor.dtype.itemsize), begin, end) for side, tensor in sides.items()
    }
    while True:
        chunks: dict[int, Patterns] = {}
        for side in list(streams):
            try:
                chunk = next(streams[side], None)
            except KaiboError as error:
                errors[side] = error
                del streams[side]
                continue
            if chunk is not None:
                chunks[side] = chunk
        if not chunks:
            return
        yield chunks


class _Tally:
    """Everything that one span of a lane adds up."""

    def __init__(self, sides: Sequence[Tensor], wanted: Wanted, workspace: LaneWorkspace) -> None:
        self._names = [side.dtype.name for side in sides]
        self._wanted, self._workspace = wanted, workspace
        self._digests = {side: _Digests() for side in wanted.reading}
        self._pairs = {pair: PairTally((sides[pair[0]], sides[pair[1]])) for pair in wanted.pairs}
        self._crosses = {pair: CrossTally() for pair in wanted.crosses}
        self._signs = Signs()
        self._vectors = wanted.vectors

    def add(self, chunks: Mapping[int, Patterns]) -> None:
        """Hashes and counts each chunk while it is warm, then takes them up slice by slice."""
        for side, chunk in chunks.items():
            self._digests[side].add(chunk)
            if side in self._wanted.counting:
                add(self._names[side], chunk, self._workspace.side(side))
        size = max(chunk.size for chunk in chunks.values())
        for begin in range(0, size if len(chunks) > 1 else 0, SLICE):
            self._sliced(
                {side: Slice(self._names[side], chunk[begin : begin + SLICE]) for side, chunk in chunks.items()}
            )

    def _sliced(self, slices: Mapping[int, Slice]) -> None:
        work = self._workspace
        vectors = {
            side: formed(slices[0], slices[side], work.delta(side))
            for side in self._vectors
            if side in slices and 0 in slices
        }
        for (one, other), tally in self._pairs.items():
            if one in slices and other in slices:
                tally.add(slices[one], slices[other])
                delta = self._delta((one, other), slices, vectors)
                work.pair((one, other)).add(delta.patterns)
                self._crossed((one, other), vectors, delta)
        for pair in self._crosses.keys() - self._pairs.keys():
            if pair[0] in vectors and pair[1] in vectors:
                self._crossed(pair, vectors, self._delta(pair, slices, vectors))
        if self._wanted.signs and all(side in vectors for side in self._wanted.signs):
            self._signs += signs_of([vectors[side] for side in self._wanted.signs], work.marks)

    def _delta(self, pair: Sides, slices: Mapping[int, Slice], vectors: Mapping[int, Delta]) -> Delta:
        if pair[0] == 0 and pair[1] in vectors:
            return vectors[pair[1]]
        return formed(slices[pair[0]], slices[pair[1]], self._workspace.scratch)

    def _crossed(self, pair: Sides, vectors: Mapping[int, Delta], direct: Delta) -> None:
        if pair in self._crosses and pair[0] in vectors and pair[1] in vectors:
            self._crosses[pair].add(vectors[pair[0]], vectors[pair[1]], direct)

    def part(self, errors: Mapping[int, KaiboError]) -> LanePart:
        """What the sides that could be read gave."""

        def sound(*sides: int) -> bool:
            return not errors.keys() & set(sides)

        work = self._workspace
        signs = self._signs if self._wanted.signs and sound(0, *self._wanted.signs) else None
        return LanePart(
            sides={side: Part(self._census(side), digests.all()) for side, digests in self._digests.items()},
            pairs={
                pair: (work.pairs[pair].taken() if pair in work.pairs else Census.empty("F32"), tally.taken())
                for pair, tally in self._pairs.items()
                if sound(*pair)
            },
            crosses={pair: tally.taken() for pair, tally in self._crosses.items() if sound(0, *pair)},
            signs=signs,
            errors=dict(errors),
        )

    def _census(self, side: int) -> Census | None:
        if side not in self._wanted.counting:
            return None
        table = self._workspace.sides.get(side)
        return Census.empty(self._names[side]) if table is None else collect(self._names[side], table)


class _Digests:
    """The digests of consecutive blocks of bytes."""

    def __init__(self) -> None:
        self._done: list[bytes] = []
        self._hasher, self._hashed = xxhash.xxh3_128(), 0

    def add(self, chunk: Patterns) -> None:
        self._hasher.update(chunk.view(np.uint8).data)
        self._hashed += chunk.nbytes
        if self._hashed == BLOCK:
            self._done.append(self._hasher.digest())
            self._hasher, self._hashed = xxhash.xxh3_128(), 0

    def all(self) -> tuple[bytes, ...]:
        return (*self._done, self._hasher.digest()) if self._hashed else tuple(self._done)


@dataclass(frozen=True)
class PairPart:
    """What a pass over two whole tensors gave: the parts of both, the census of Δ, the joint sums."""

    base: Part
    tuned: Part
    difference: Census
    joint: Joint


def count_pair(base: Tensor, tuned: Tensor, workspace: LaneWorkspace | None = None) -> PairPart:
    """Two tensors of one shape, measured by themselves. Raises what reading them raises."""
    workspace = workspace or LaneWorkspace()
    wanted = Wanted(frozenset({0, 1}), ((0, 1),))
    parts = [count_lane((base, tuned), *span, wanted, workspace) for span in lane_spans((base, tuned))]
    for part in parts:
        for error in part.errors.values():
            raise error
    sides = [Part(*merged([part.sides[side] for part in parts])) for side in (0, 1)]
    assert sides[0].census is not None and sides[1].census is not None, "both were counted"  # noqa: PT018
    joint = joint_of([part.pairs[0, 1][1] for part in parts], (sides[0].census, sides[1].census))
    return PairPart(sides[0], sides[1], total(part.pairs[0, 1][0] for part in parts), joint)
