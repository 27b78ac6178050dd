"""Which tensors of a base and of models made from it lie side by side, and what is known of them unread."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import combinations

from kaibo.counting import (
    Wanted,
    crossed_with_itself,
    crossed_with_nothing,
    identical_joint,
    no_difference,
    signs_alone,
)
from kaibo.models.pairing import Pair, Pairing
from kaibo.store import Store
from kaibo.vocabulary import Census, Crossed, Joint, Signs, Tensor

MOST_COUNTED = 10
"""Pairs of tuned models up to which the difference of each is censused; of more there are only sums."""


@dataclass(frozen=True)
class Lane:
    """Tensors of one shape that are read side by side.

    `sides[0]` is the base's, `sides[i]` the same tensor in the tuned model number `models[i - 1]`, whose pairing has
    it at `places[i - 1]`.
    """

    sides: tuple[Tensor, ...]
    models: tuple[int, ...]
    places: tuple[int, ...]

    @property
    def tuned(self) -> range:
        """The numbers of the tuned sides."""
        return range(1, len(self.sides))

    @property
    def originals(self) -> tuple[int, ...]:
        """For each side the first one with its source key, which alone need be read: itself where it has no twin."""
        first: dict[object, int] = {}
        return tuple(first.setdefault(one.source_key or (side,), side) for side, one in enumerate(self.sides))

    def sides_of(self, models: tuple[int, int]) -> tuple[int, int] | None:
        """The sides of two tuned models; None where one of them has no such tensor."""
        a, b = models
        return (self.models.index(a) + 1, self.models.index(b) + 1) if {a, b} <= {*self.models} else None

    def couples(self) -> Iterator[tuple[int, int]]:
        """Every two tuned sides, in order."""
        return combinations(self.tuned, 2)


@dataclass(frozen=True)
class Asked:
    """What is asked beside the difference of each tuned model from the base.

    `direct` are the two tuned models, by their numbers, whose direct difference is censused; with `together` the
    sums of every two task vectors and the signs of all are taken, too.
    """

    direct: frozenset[tuple[int, int]]
    together: bool = True

    def pairs(self, lane: Lane) -> tuple[tuple[int, int], ...]:
        """The pairs of a lane's sides whose difference is censused: each tuned with the base, and those asked for."""
        numbers = (-1, *lane.models)
        direct = (two for two in lane.couples() if (numbers[two[0]], numbers[two[1]]) in self.direct)
        return (*((0, side) for side in lane.tuned), *direct)

    def couples(self, lane: Lane) -> Iterator[tuple[int, int]]:
        """The sides whose task vectors are set beside each other."""
        return lane.couples() if self.together else iter(())

    def signs(self, lane: Lane) -> bool:
        """Whether the signs of all task vectors are counted."""
        return self.together and len(lane.tuned) > 1


def everything(models: int) -> Asked:
    """All of so many tuned models: direct differences where the pairs are few, else only sums."""
    couples = frozenset(combinations(range(models), 2))
    return Asked(couples if len(couples) <= MOST_COUNTED else frozenset())


def lanes_of(pairings: Sequence[Pairing]) -> list[Lane]:
    """The pairs of every pairing, those of one tensor of the base together, in the order in which they first come.

    Tables of which only some rows are compared lie together where these rows are the same.
    """
    found: dict[tuple[object, ...], list[tuple[int, int, Pair]]] = {}
    for model, pairing in enumerate(pairings):
        for place, pair in enumerate(pairing.pairs):
            base = pair.base
            key: tuple[object, ...] = (base.canonical, base.shape, base.source_key or id(base), 0)
            while any(other == model for other, _, _ in found.get(key, ())):  # paired twice, as a tied table is
                key = (*key[:3], int(str(key[3])) + 1)
            found.setdefault(key, []).append((model, place, pair))
    return [
        Lane(
            (members[0][2].base, *(pair.tuned for _, _, pair in members)),
            tuple(model for model, _, _ in members),
            tuple(place for _, place, _ in members),
        )
        for members in found.values()
    ]


def pair_content(base: str, tuned: str) -> str:
    """The key of a pair: 32 hex digits of SHA-256 over `difference`, base content and tuned content.

    >>> pair_content("0a", "0b") != pair_content("0b", "0a")
    True
    """
    return _key("difference", base, tuned)


def cross_content(base: str, a: str, b: str) -> str:
    """The key of two task vectors of one base, in either order.

    >>> cross_content("0", "a", "b") == cross_content("0", "b", "a")
    True
    """
    return _key("cross", base, *sorted((a, b)))


def signs_content(base: str, tuned: Sequence[str]) -> str:
    """The key of the signs of several task vectors; an order or a repetition changes nothing."""
    return _key("signs", base, *sorted(set(tuned)))


def _key(*words: str) -> str:
    return hashlib.sha256("\0".join(words).encode()).hexdigest()[:32]


@dataclass
class Numbers:
    """What is known of one lane: pairs and crosses by their sides, the signs."""

    pairs: dict[tuple[int, int], tuple[Census, Joint]] = field(default_factory=dict)
    crosses: dict[tuple[int, int], Crossed] = field(default_factory=dict)
    signs: Signs | None = None


@dataclass
class Known:
    """Contents by (lane, side), censuses by content, the numbers of each lane."""

    contents: dict[tuple[int, int], str] = field(default_factory=dict)
    censuses: dict[str, Census] = field(default_factory=dict)
    numbers: list[Numbers] = field(default_factory=list)

    def of(self, place: int, *sides: int) -> tuple[str, ...]:
        """The contents of some sides of a lane; empty text where they are not known."""
        return tuple(self.contents.get((place, side), "") for side in sides)


def looked_up(lanes: Sequence[Lane], asked: Asked, store: Store, verify: bool) -> Known:
    """What the store has; of the lanes' numbers nothing where all is to be read again."""
    sides = {(place, side): tensor for place, lane in enumerate(lanes) for side, tensor in enumerate(lane.sides)}
    by_key = store.contents({key for tensor in sides.values() if (key := tensor.source_key) is not None})
    contents = {at: by_key[key] for at, tensor in sides.items() if (key := tensor.source_key) in by_key}
    known = Known(contents, store.censuses(set(contents.values())), [Numbers() for _ in lanes])
    if not verify:
        _look_up(lanes, asked, store, known)
        for place, lane in enumerate(lanes):
            derive(lane, place, known, asked)
    return known


def _look_up(lanes: Sequence[Lane], asked: Asked, store: Store, known: Known) -> None:
    pairs: dict[tuple[int, tuple[int, int]], str] = {}
    crosses: dict[tuple[int, tuple[int, int]], str] = {}
    signs: dict[int, str] = {}
    for place, lane in enumerate(lanes):
        for pair in asked.pairs(lane):
            found = known.of(place, *pair)
            if all(found) and found[0] != found[1]:
                pairs[place, pair] = pair_content(*found)
        for couple in asked.couples(lane):
            if all(found := known.of(place, 0, *couple)):
                crosses[place, couple] = cross_content(*found)
        if asked.signs(lane) and all(found := known.of(place, *range(len(lane.sides)))):
            signs[place] = signs_content(found[0], _moving(found))
    joints = store.joints(set(pairs.values()))
    censuses = store.censuses(set(joints))
    for (place, pair), key in pairs.items():
        if key in joints and key in censuses:
            known.numbers[place].pairs[pair] = censuses[key], joints[key]
    crossed, several = store.crossed(set(crosses.values())), store.signs(set(signs.values()))
    for (place, couple), key in crosses.items():
        if key in crossed:
            a, b = known.of(place, *couple)
            known.numbers[place].crosses[couple] = crossed[key] if a <= b else crossed[key].turned
    for place, key in signs.items():
        known.numbers[place].signs = several.get(key)


def _moving(contents: Sequence[str]) -> tuple[str, ...]:
    """The contents of the tuned sides that differ from the base's and from each other, sorted."""
    return tuple(sorted(set(contents[1:]) - {contents[0]}))


def wanted(lane: Lane, place: int, known: Known, asked: Asked, verify: bool) -> Wanted:
    """What reading the lane must give. Of sides that are the same bytes by their source key one is read."""
    contents, numbers = known.of(place, *range(len(lane.sides))), known.numbers[place]
    own = tuple(range(len(lane.sides))) if verify else lane.originals
    several = len({own[side] for side in lane.tuned} - {own[0]}) > 1 or verify
    return Wanted(
        counting=frozenset(
            side
            for side, content in enumerate(contents)
            if verify or (content not in known.censuses and own[side] == side)
        ),
        pairs=tuple((a, b) for a, b in asked.pairs(lane) if (a, b) not in numbers.pairs and own[a] != own[b]),
        crosses=tuple(
            (a, b)
            for a, b in asked.couples(lane)
            if (a, b) not in numbers.crosses and len({own[0], own[a], own[b]}) == 3
        ),
        signs=tuple(lane.tuned) if numbers.signs is None and asked.signs(lane) and several else (),
    )


def derive(lane: Lane, place: int, known: Known, asked: Asked) -> None:
    """Fills in what follows from censuses alone: whatever concerns equal tensors.

    Done also for what was just read, so that the numbers are the same bytes whether measured or looked up.
    """
    numbers = known.numbers[place]
    for pair in asked.pairs(lane):
        base, tuned = known.of(place, *pair)
        if base and base == tuned and (census := known.censuses.get(base)) is not None:
            numbers.pairs[pair] = no_difference(census), identical_joint(census)
    deltas = {side: numbers.pairs[0, side][0] for side in lane.tuned if (0, side) in numbers.pairs}
    for couple in asked.couples(lane):
        if couple[0] in deltas and couple[1] in deltas:
            found = _crossed(known.of(place, 0, *couple), deltas[couple[0]], deltas[couple[1]])
            numbers.crosses |= {} if found is None else {couple: found}
    contents = known.of(place, *range(len(lane.sides)))
    if asked.signs(lane) and all(contents) and len(deltas) == len(lane.tuned) and len(_moving(contents)) < 2:
        moved = [deltas[side] for side in lane.tuned if contents[side] != contents[0]][:1]
        numbers.signs = signs_alone(moved, lane.sides[0].size)


def _crossed(contents: tuple[str, ...], a: Census, b: Census) -> Crossed | None:
    base, one, other = contents
    if one == other:
        return crossed_with_itself(a)
    if other == base:
        return crossed_with_nothing(a)
    return crossed_with_nothing(b).turned if one == base else None
