"""The files of one model: named by an index, a complete series, or simply together; opened and compared."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

from kaibo.errors import FormatError, KaiboError, MissingError, NetworkError, PolicyError
from kaibo.models import formats
from kaibo.models.addresses import Target
from kaibo.models.formats import Contents
from kaibo.models.formats.adapter import AdapterConfig
from kaibo.models.formats.shards import (
    SHARD,
    Index,
    compare,
    duplicates,
    escapes,
    listed,
    missing_of_series,
    parse_index,
)
from kaibo.models.places import AT_ONCE, Place
from kaibo.words import Note, note

INDEX_LIMIT = 100_000_000
Held = dict[str, tuple[Contents, Place]]


@dataclass(frozen=True)
class Opened:
    """What a model's weight files hold, by file name relative to the folder."""

    files: Held
    notes: tuple[Note, ...] = ()
    use: Mapping[str, str] = field(default_factory=dict)  # tensor -> file, where several hold it
    adapter: AdapterConfig | None = None


def open_files(target: Target, names: Sequence[str], notes: tuple[Note, ...] = ()) -> Opened:
    """What each of these files holds. Raises the first one's error where one cannot be read."""
    return Opened(dict(_sound(zip(names, _each(target, names), strict=True))), notes)


Read = tuple[Contents, Place]


def _each(target: Target, names: Sequence[str]) -> Iterator[Read | KaiboError]:
    """What each file holds, or why it cannot be read, in order; of files far away several at a time."""

    def read(name: str) -> Read | KaiboError:
        try:
            return open_one(target, name)
        except KaiboError as problem:
            return problem

    if target.far is None or len(names) < 2:
        yield from map(read, names)
        return
    pool = ThreadPoolExecutor(min(AT_ONCE, len(names)), thread_name_prefix="kaibo")
    try:
        yield from pool.map(read, names)
    finally:
        pool.shutdown(cancel_futures=True)


def _sound(read: Iterable[tuple[str, Read | KaiboError]]) -> Iterator[tuple[str, Read]]:
    for name, held in read:
        if isinstance(held, KaiboError):
            raise held
        yield name, held


def open_one(target: Target, name: str) -> tuple[Contents, Place]:
    """What one file of the folder holds."""
    place = target.opened(name)
    return formats.read(place, os.path.basename(name), beside(target, name)), place


def beside(target: Target, name: str) -> Callable[[str], Place]:
    """What opens the files that a file names: those of its own folder, and none that leads out of it."""

    def opened(other: str) -> Place:
        if escapes(other) or "\0" in other:
            message = f'names the file "{other}", which is no file inside the folder'
            raise PolicyError(message, file=target.path(name), next="do not trust this folder")
        return target.opened(os.path.join(os.path.dirname(name), other))

    return opened


def whole(place: Place, limit: int) -> bytes:
    """All bytes of a small file."""
    if place.size > limit:
        raise FormatError(f"is {place.size} bytes long, the limit is {limit}", file=place.name)
    return place.read(0, place.size)


def read_index(target: Target, name: str) -> Index:
    """The index of a folder, every path in it looked at."""
    place = target.opened(name)
    return parse_index(whole(place, INDEX_LIMIT), place.name)


def open_indexed(target: Target, index: Index, weights: Sequence[str], trust: bool) -> Opened:
    """The files that an index names, which must agree with it; `weights` are the files of their kind in the folder."""
    for shard in index.shards if target.far is None else ():  # every path is looked at before the first file is opened
        target.inside(shard)
    unnamed = missing_of_series(os.path.basename(shard) for shard in index.shards)
    gone = [shard for shard in unnamed if not target.has(shard)]
    if gone and not trust:
        message = f"the index names {len(index.shards)} shards and leaves out {listed(gone)} of their series"
        next_step = "fetch index and shards again; --trust-shards uses what the named shards hold"
        raise FormatError(message, file=target.address, next=next_step)
    files = _open_shards(target, index.shards, index.lost)
    others = {shard: open_one(target, shard) for shard in unnamed if shard not in gone}
    files |= {shard: held for shard, held in others.items() if held[0].entries}
    held = _names_held(files)
    notes = list(stray(weights, index.shards))
    found = compare(index, held)
    if found.faults and not trust:
        next_step = "--trust-shards uses what the shards hold"
        raise FormatError(found.sentence, file=target.address, next=next_step)
    if found.faults:
        notes.append(note("shards_used", what=found.sentence))
    total = sum(entry.end - entry.begin for contents, _ in files.values() for entry in contents.entries)
    tied = any(contents.tied for contents, _ in files.values())  # whether the writer counted those twice is not known
    if index.total not in (None, total) and not tied:
        notes.append(note("index_total", said=index.total, total=total))
    return Opened(files, tuple(notes), _holders(held, index.shard_of))


def _names_held(files: Held) -> dict[str, list[str]]:
    return {
        file: [*(entry.name for entry in contents.entries), *contents.tied] for file, (contents, _) in files.items()
    }


def _open_shards(target: Target, shards: tuple[str, ...], lost: Callable[[str], list[str]]) -> Held:
    """What all shards hold; the first one that cannot be read is named with the tensors lost with it."""
    files: Held = {}
    broken: list[tuple[str, KaiboError]] = []
    for shard, held in zip(shards, _each(target, shards), strict=True):
        if isinstance(held, PolicyError | NetworkError):
            raise held
        if isinstance(held, KaiboError):
            broken.append((shard, held))
        else:
            files[shard] = held
    if not broken:
        return files
    tensors = [tensor for shard, _ in broken for tensor in lost(shard)]
    first = broken[0][1]
    others = f"; so with {listed([shard for shard, _ in broken[1:]])}" if len(broken) > 1 else ""
    message = f"{first.message}{others}; {len(tensors)} tensors are lost: {listed(tensors)}"
    next_step = first.next or "fetch the shard again"
    raise type(first)(message, file=first.file, tensor=first.tensor, offset=first.offset, next=next_step) from first


def open_unlisted(target: Target, weights: Sequence[str], trust: bool) -> Opened:
    """Files without an index: a series that must be complete, or the one file, or all files together."""
    series = [name for name in weights if SHARD.fullmatch(name)]
    absent = missing_of_series(series)
    if absent:
        message = f"shards are missing: {listed(absent)}; there is no index that says which tensors are lost"
        raise MissingError(message, file=target.path(absent[0]), next="fetch the shards again")
    used = series or weights
    for name in used if target.far is None else ():
        target.inside(name)
    opened = open_files(target, used, stray(weights, used))
    held = _names_held(opened.files)
    twice = duplicates(held)
    if twice and not trust:
        message = f"{len(twice)} tensors are in more than one of {len(used)} files ({listed(used)}): {listed(twice)}"
        raise FormatError(message, file=target.address, next="name one file, or --trust-shards takes the first of each")
    return Opened(opened.files, opened.notes, _holders(held, {}))


def stray(weights: Sequence[str], used: Sequence[str]) -> tuple[Note, ...]:
    """A note on the files that were not used, where there are some."""
    left = sorted(set(weights) - set(used))
    return (note("files_not_used", names=listed(left)),) if left else ()


def _holders(held: Mapping[str, list[str]], preferred: Mapping[str, str]) -> dict[str, str]:
    """The file each duplicated tensor is taken from: the one the index names, else the first."""
    twice = set(duplicates(held))
    chosen: dict[str, str] = {}
    for file, names in held.items():
        for tensor in twice.intersection(names):
            if tensor not in chosen or preferred.get(tensor) == file:
                chosen[tensor] = file
    return chosen
