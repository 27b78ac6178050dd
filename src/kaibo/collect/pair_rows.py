"""What is known of models read side by side, as the rows that analyses take."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations

from kaibo.collect.censuses import Collected
from kaibo.collect.lanes import pair_content
from kaibo.collect.side_by_side import SideBySide
from kaibo.vocabulary import CrossRow, PairRow, Row, SignRow


@dataclass(frozen=True, eq=False)
class PairRows:
    """The rows of a pass that has read; `taken` are the censuses of its models, the base's first."""

    read: SideBySide
    taken: Sequence[Collected]

    def of_pair(self, place: int, pair: tuple[int, int]) -> PairRow | None:
        """One lane's row of two sides; None where a side could not be read, or only sums were made."""
        read = self.read
        lane, numbers = read.lanes[place], read.known.numbers[place]
        if pair not in numbers.pairs:
            return None
        base, tuned = (lane.sides[side] for side in pair)
        before, after = (self.taken[read.model_of(lane, side)] for side in pair)
        contents = read.known.of(place, *pair)
        delta = Row(
            model=after.model.address,
            model_id=after.model_id,
            tensor=lane.sides[0].canonical,
            layer=lane.sides[0].layer,
            role=lane.sides[0].role,
            dtype="F32",
            shape=base.shape,
            content=pair_content(*contents),
            census=numbers.pairs[pair][0],
        )
        return PairRow(
            base=before.model.address,
            base_id=before.model_id,
            difference=delta,
            base_content=contents[0],
            tuned_content=contents[1],
            base_dtype=base.dtype.name,
            tuned_dtype=tuned.dtype.name,
            base_census=read.known.censuses[contents[0]],
            joint=numbers.pairs[pair][1],
        )

    def direct(self) -> dict[tuple[int, int], tuple[PairRow, ...]]:
        """The rows of the direct differences; a pair of which a tensor could not be read has fewer."""
        found: dict[tuple[int, int], list[PairRow]] = {two: [] for two in self.read.asked.direct}
        for two, rows in found.items():
            for place, lane in enumerate(self.read.lanes):
                sides = lane.sides_of(two)
                row = None if sides is None else self.of_pair(place, sides)
                rows += [] if row is None else [row]
        return {two: tuple(rows) for two, rows in found.items()}

    def crosses(self) -> Iterator[CrossRow]:
        """A row for every two tuned models and every tensor that both share with the base."""
        read = self.read
        for couple in combinations(range(len(read.pairings)), 2):
            for place, lane in enumerate(read.lanes):
                sides = lane.sides_of(couple)
                crossed = None if sides is None else read.known.numbers[place].crosses.get(sides)
                if sides is None or crossed is None:
                    continue
                a, b = (read.models[number + 1].address for number in couple)
                base = lane.sides[0]
                yield CrossRow(
                    base=read.models[0].address,
                    a=a,
                    b=b,
                    tensor=base.canonical,
                    layer=base.layer,
                    role=base.role,
                    crossed=crossed,
                    direct=self.of_pair(place, sides) if couple in read.asked.direct else None,
                )

    def signs(self) -> Iterator[SignRow]:
        """A row for every tensor of which the signs of all task vectors were counted."""
        read = self.read
        for lane, numbers in zip(read.lanes, read.known.numbers, strict=True):
            if numbers.signs is not None:
                base = lane.sides[0]
                tuned = tuple(read.models[model + 1].address for model in lane.models)
                place = base.canonical, base.layer, base.role
                yield SignRow(read.models[0].address, tuned, *place, numbers.signs)
