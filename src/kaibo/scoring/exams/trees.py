"""Requests that begin alike as one tree: what they share is read once, the branches side by side.

few-shot prefix ──▶ cache        question 1 ─┬─ option a       one row of at most `limit` tokens:
                                             ├─ option b         q q q q a a b b c │ q q q a b b
                                             └─ option c       each token sees the prefix, its ancestors, itself
                                 question 2 ─┬─ …
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from kaibo.scoring.exams.requests import Request


@dataclass(frozen=True, eq=False)
class Pack:
    """Trees that are read in one go, behind the shared prefix.

    `ids` (nodes,) in the order of a walk through the trees, `depths` their distance from the prefix, `ends` where
    each node's descendants end. `places` has an array a request: the nodes after which its scored tokens come.
    """

    requests: tuple[Request, ...] = field(repr=False)
    ids: NDArray[np.int64] = field(repr=False)
    depths: NDArray[np.int64] = field(repr=False)
    ends: NDArray[np.int64] = field(repr=False)
    places: tuple[NDArray[np.int64], ...] = field(repr=False)

    def mask(self, shared: int) -> NDArray[np.bool_]:
        """(nodes, shared + nodes): true where a node sees a token: the prefix, its ancestors, itself."""
        nodes = np.arange(len(self.ids))
        own = (nodes[None] <= nodes[:, None]) & (nodes[:, None] < self.ends[None])
        return np.concatenate([np.ones((len(nodes), shared), bool), own], axis=1)


Among = Callable[[Sequence[Sequence[int]]], Collection[int]]
"""Given the items of every pack, the places of the packs that are to be read."""


def together(packs: Sequence[Sequence[int]]) -> Collection[int]:
    """All packs.

    >>> list(together([[0, 1], [2]]))
    [0, 1]
    """
    return range(len(packs))


def shared_prefix(requests: Sequence[Request]) -> int:
    """How many ids all requests begin with; each keeps at least the token before its first scored one.

    >>> shared_prefix([])
    0
    """
    if not requests:
        return 0
    longest = min(one.first for one in requests) - 1
    first = requests[0].ids
    for one in requests[1:]:
        longest = min(longest, _alike(first, one.ids, longest))
    return max(longest, 0)


def _alike(one: NDArray[np.int64], other: NDArray[np.int64], limit: int) -> int:
    size = min(len(one), len(other), limit)
    differ = np.flatnonzero(one[:size] != other[:size])
    return int(differ[0]) if len(differ) else size


def packs(requests: Sequence[Request], shared: int, limit: int) -> Iterator[Pack]:
    """Items in their order, as many in a pack as have `limit` tokens together; an item is never divided.

    The packs do not depend on what is already known, so that an interrupted run ends with the same numbers.
    """
    held: list[Request] = []
    size = 0
    for item in _items(requests):
        new = _nodes(item, shared, held[-1] if held else None)
        if held and size + new > limit:
            yield _pack(held, shared)
            held, size = [], 0
            new = _nodes(item, shared, None)
        held += item
        size += new
    if held:
        yield _pack(held, shared)


def _items(requests: Sequence[Request]) -> Iterator[list[Request]]:
    own: list[Request] = []
    for one in requests:
        if own and one.item != own[0].item:
            yield own
            own = []
        own.append(one)
    if own:
        yield own


def _nodes(item: Sequence[Request], shared: int, before: Request | None) -> int:
    """About how many nodes an item adds: what it shares with the one before, and its options with the first."""
    count, last = 0, before
    for one in item:
        known = shared if last is None else max(shared, _alike(last.ids, one.ids, one.read))
        count += one.read - known
        last = one
    return count


def _pack(requests: Sequence[Request], shared: int) -> Pack:
    """The trees of requests, walked so that every node's descendants stand together behind it."""
    rows = [one.ids[shared:-1].tolist() for one in requests]
    order = sorted(range(len(rows)), key=rows.__getitem__)
    ids: list[int] = []
    depths: list[int] = []
    ends: list[int] = []
    path: list[int] = []
    paths: list[list[int]] = [[]] * len(rows)
    for at in order:
        row = rows[at]
        same = _depth_alike(path, ids, row)
        for closed in path[same:]:
            ends[closed] = len(ids)
        path = [*path[:same], *range(len(ids), len(ids) + len(row) - same)]
        ids += row[same:]
        depths += range(same, len(row))
        ends += [0] * (len(row) - same)
        paths[at] = path
    for closed in path:
        ends[closed] = len(ids)
    places = tuple(np.array(paths[at][one.first - 1 - shared :], np.int64) for at, one in enumerate(requests))
    walked = [np.array(one, np.int64) for one in (ids, depths, ends)]
    return Pack(tuple(requests), walked[0], walked[1], walked[2], places)


def _depth_alike(path: Sequence[int], ids: Sequence[int], row: Sequence[int]) -> int:
    size = min(len(path), len(row))
    return next((depth for depth in range(size) if ids[path[depth]] != row[depth]), size)
