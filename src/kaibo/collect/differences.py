"""The differences of models made from one base: what the store knows is looked up, the rest is read in one pass.

Base and tuned models are read side by side, each tensor of each once. Whatever is asked of them together comes from
that pass: every Δ = tuned − base, the direct difference of every two tuned models, the sums of their task vectors,
the signs of all of them by position.
"""

from __future__ import annotations

import time
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace

from kaibo.collect.censuses import Collected, Options, lacking, share_census, take_census
from kaibo.collect.lanes import MOST_COUNTED, Asked, everything, pair_content
from kaibo.collect.pair_rows import PairRows
from kaibo.collect.shards import Shard, Share
from kaibo.collect.side_by_side import SideBySide
from kaibo.errors import KaiboError
from kaibo.models.pairing import Pairing
from kaibo.store import Store
from kaibo.vocabulary import CrossRow, Model, PairRow, SignRow

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
    return _together(SideBySide(base, tuned, store, options or Options(), everything(len(tuned))))


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
    return _together(SideBySide(base, tuned, store, options or Options(), asked))


@dataclass(frozen=True)
class SharedDifferences:
    """What a shard did of the differences of models from one base.

    `whole` says that the store has everything now: the rows of all pairs can be had without reading anything.
    """

    shares: tuple[Share, ...]
    failures: tuple[KaiboError, ...]
    whole: bool


def share_differences(
    base: Model,
    tuned: Sequence[tuple[Model, Pairing]],
    shard: Shard,
    store: Store,
    options: Options | None = None,
    also: Sequence[Model] = (),
) -> SharedDifferences:
    """Reads what is this shard's of all that `take_differences` reads: tensors side by side, and those left over.

    `also` are further models that are counted alone. What of them is read side by side is left to that. Raises what
    `take_differences` raises.
    """
    options = options or Options()
    read = SideBySide(base, tuned, store, options, everything(len(tuned)))
    wanted = len(read.wanted)
    share = read.deal(shard)
    options.progress.begin(share.work, read.bytes)
    read.read()
    whole = wanted == read.done
    found = [share_census(model, shard, store, _rest(options), read.sources) for model in (*read.models, *also)]
    shares = (replace(share, measured=read.done), *(one for one, _ in found if one.units))
    failures = [failure for several in (*read.failures, *(failed for _, failed in found)) for failure in several]
    whole = whole and not any(lacking(model, store) for model in read.models)
    return SharedDifferences(shares, tuple({one.line: one for one in failures}.values()), whole)


def _together(read: SideBySide) -> Together:
    """Reads what is wanted and hands back the rows."""
    started = time.monotonic()
    options, base, tuned = read.options, read.models[0], read.models[1:]
    name = tuned[0].name if len(tuned) == 1 else f"{len(tuned)} models"
    options.progress.begin(f"{name} - {base.name}", read.bytes)
    read.read()
    rows = PairRows(read, [take_census(model, read.store, _rest(options)) for model in read.models])
    compared = tuple(_compared(rows, number, started) for number in range(len(tuned)))
    if not read.asked.together:
        return Together(compared, bytes=read.bytes, direct=rows.direct())
    return Together(compared, tuple(rows.crosses()), tuple(rows.signs()), read.bytes)


def _compared(rows: PairRows, number: int, started: float) -> Compared:
    """The rows of one tuned model, in the order of its pairing."""
    read = rows.read
    found: dict[int, PairRow] = {}
    measured, size = 0, 0
    for at, side, place in read.pairs_of(number):
        row = rows.of_pair(at, (0, side))
        if row is not None:
            found[place] = row
        if at in read.wanted and (0, side) in read.wanted[at].pairs:
            measured += row is not None
            size += sum(one.size * one.dtype.itemsize for one in (read.lanes[at].sides[0], read.lanes[at].sides[side]))
    before, after = rows.taken[0], rows.taken[number + 1]
    failed = (*read.failures[0], *read.failures[number + 1], *before.failures, *after.failures)
    return Compared(
        base=before,
        tuned=after,
        pairing=read.pairings[number],
        rows=tuple(found[place] for place in sorted(found)),
        measured=measured,
        known=len(found) - measured,
        bytes=size,
        seconds=time.monotonic() - started,
        failures=tuple({failure.line: failure for failure in failed}.values()),
    )


def _rest(options: Options) -> Options:
    """The census of what the pairs left over: the pairs themselves were just verified."""
    return Options(options.workers, False, options.progress, options.fail_fast)
