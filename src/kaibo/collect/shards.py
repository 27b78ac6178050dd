"""Which part of some work is whose. Nobody has to be asked: every process that sees the same work deals it out alike.

kaibo census ./my-model --shard 0/3 --store a        a third of the tensors, counted into a store of its own
kaibo store merge a b c --into all                   the parts add
"""

from __future__ import annotations

import hashlib
import heapq
import re
from collections.abc import Mapping
from dataclasses import dataclass

from kaibo.errors import UsageError

MOST = 100_000
"""Shards that work may be dealt out to."""


@dataclass(frozen=True)
class Shard:
    """Part `index` of the `count` parts of some work, from 0 on."""

    index: int
    count: int

    @classmethod
    def of(cls, text: str) -> Shard:
        """The shard that a command line names. Raises UsageError for anything else.

        >>> Shard.of("1/3")
        Shard(index=1, count=3)
        """
        found = re.fullmatch(r"([0-9]{1,9})/([0-9]{1,9})", text)
        index, count = (int(found[1]), int(found[2])) if found else (0, 0)
        if not 0 <= index < count <= MOST:
            message = f'--shard must be i/n with i from 0 to n − 1 and n at most {MOST:,}, got "{text}"'
            raise UsageError(message, next="--shard 0/2 and --shard 1/2 are the two halves")
        return cls(index, count)

    def __str__(self) -> str:
        return f"{self.index}/{self.count}"

    def takes(self, name: str, sizes: Mapping[str, int]) -> frozenset[str]:
        """Which units of the work called `name` are this shard's, given all of them with what each costs.

        The largest go first, each to the shard that has least so far; hashes decide between equals. So the order in
        which units are named changes nothing, nor what is known of them already, nor any other work.

        >>> sizes = {"a": 3, "b": 2, "c": 1}
        >>> sorted(sorted(Shard(index, 2).takes("work", sizes)) for index in (0, 1))
        [['a'], ['b', 'c']]
        """
        loads = [(0, _hash(name, str(shard)), shard) for shard in range(self.count)]
        heapq.heapify(loads)
        mine = set()
        for unit in sorted(sizes, key=lambda unit: (-sizes[unit], _hash(name, unit))):
            load, tie, shard = loads[0]
            heapq.heapreplace(loads, (load + max(1, sizes[unit]), tie, shard))
            if shard == self.index:
                mine.add(unit)
        return frozenset(mine)


@dataclass(frozen=True)
class Share:
    """What a shard did of one piece of work: `taken` of `units` fell to it.

    `measured` of these were measured now, `known` before; the others failed. `unit` says what they are.
    """

    work: str
    unit: str
    units: int
    taken: int
    measured: int
    known: int


def _hash(*words: str) -> bytes:
    return hashlib.blake2b("\0".join(words).encode("utf-8", "surrogatepass"), digest_size=8).digest()
