"""Making a store smaller: merging small parts, taking a model out, clearing away what dead writers left.

New part first, then its entry, then the old entries go, then the old parts. Killed anywhere in between, the store
says each row at least once; the new entry lists what it replaces, so that the next compaction can finish.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from kaibo.errors import StorageError
from kaibo.store import disk
from kaibo.store.ledger import Entry
from kaibo.store.locks import alone
from kaibo.store.packing import distinct, unpacked
from kaibo.store.parts import Parts
from kaibo.store.schema import Schema
from kaibo.store.schemas import SCHEMAS
from kaibo.store.writers import alive, token_of

if TYPE_CHECKING:
    import pyarrow as pa

FULL = 32 << 20
"""Bytes from which a part is left as it is."""


@dataclass(frozen=True)
class Compaction:
    """What a compaction did: parts and bytes on disk before and after, and files that nobody owned."""

    parts_before: int
    parts_after: int
    bytes_before: int
    bytes_after: int
    cleared: int


def compact(parts: Parts) -> Compaction:
    """Merges neighbouring small parts of each table. Raises StorageError when another compaction is under way."""
    if parts.path.exists() and not parts.path.is_dir():
        raise StorageError("is a file, not the folder of a store", file=parts.path, next="name another with --store")
    if not parts.ledger.is_dir() and not parts.parts.is_dir():
        return Compaction(0, 0, 0, 0, 0)
    with alone(parts.path / "locks"):
        before = parts.entries()
        cleared = tidy(parts)
        after = parts.entries()
    return Compaction(len(before), len(after), size(before), size(after), cleared)


def tidy(parts: Parts) -> int:
    """The work of a compaction, under its lock; how many left-over files were removed."""
    _finish(parts)
    for schema in SCHEMAS.values():
        for run in _runs([entry for entry in parts.entries(schema.name) if entry.schema <= schema.version]):
            _merge(parts, schema, run)
    _drop_empty(parts)
    return clear(parts)


def rewrite(parts: Parts, schema: Schema, entry: Entry, keep: Callable[[pa.Table], list[bool]]) -> None:
    """Replaces one part by the same without some of its rows."""
    import pyarrow as pa

    table = _whole(parts, schema, entry)
    if table is not None:
        kept = table.filter(pa.array(keep(table), type=pa.bool_()))
        _replace(parts, schema, kept, [entry])


def size(entries: list[Entry]) -> int:
    """Bytes of the parts."""
    return sum(entry.size for entry in entries)


def _runs(entries: list[Entry]) -> Iterator[list[Entry]]:
    """Neighbours in the ledger that make at most one full part: the order of rows stays what it was."""
    run: list[Entry] = []
    for entry in entries:
        if size(run) + entry.size > FULL:
            yield run
            run = []
        if entry.size < FULL:
            run.append(entry)
    yield run


def _merge(parts: Parts, schema: Schema, run: list[Entry]) -> None:
    if len(run) < 2:
        return
    found = [(entry, table) for entry in run if (table := _whole(parts, schema, entry)) is not None]
    if len(found) > 1:
        rows = distinct([table for _, table in found], schema, lambda at: found[at][0].part)
        _replace(parts, schema, rows, [entry for entry, _ in found])


def _whole(parts: Parts, schema: Schema, entry: Entry) -> pa.Table | None:
    """All of a part, or None when it is damaged or has columns that we would lose."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    parts.refuse_newer(entry, schema)
    try:
        data = parts.verified(entry)
    except FileNotFoundError:  # a reader has just set it aside
        return None
    if data is None:
        return None
    try:
        names = pq.read_schema(pa.BufferReader(data)).names
        return unpacked(data, schema) if set(names) <= set(schema.columns) else None
    except (ValueError, KeyError, TypeError, OSError) as error:
        parts.set_aside(entry, f"it does not hold the table {schema.name}: {error}")
        return None


def _replace(parts: Parts, schema: Schema, rows: pa.Table, old: list[Entry]) -> None:
    # The new part stands where its newest source stood: rows recorded meanwhile stay newer than it.
    sequence = max(entry.sequence for entry in old)
    tokens = tuple(entry.token for entry in old)
    parts.write(schema, rows, rows[schema.key].to_pylist(), sequence, tokens)
    take_away(parts, old)


def take_away(parts: Parts, entries: list[Entry]) -> None:
    """Removes parts; their entries go first, since a part without one is never read."""
    if not entries:
        return
    for entry in entries:
        disk.remove(parts.ledger / entry.name)
    disk.settle(parts.ledger)
    for entry in entries:
        disk.remove(parts.parts / entry.part)


def _finish(parts: Parts) -> None:
    """Takes away what an interrupted compaction had already replaced, if the replacement is sound."""
    entries = parts.entries()
    by_token = {entry.token: entry for entry in entries}
    for entry in entries:
        left = [by_token[token] for token in entry.replaces if token in by_token]
        if left and _sound(parts, entry):
            take_away(parts, left)


def _sound(parts: Parts, entry: Entry) -> bool:
    try:
        return parts.verified(entry) is not None
    except FileNotFoundError:
        return False


def _drop_empty(parts: Parts) -> None:
    empty = [entry for entry in parts.entries() if entry.rows == 0 and entry.table in SCHEMAS]
    take_away(parts, empty)


def abandoned(parts: Parts) -> list[Path]:
    """Unfinished files, and parts without an entry in the ledger, whose writer is gone or that were replaced.

    A write that was cut short leaves such a part, and so does an entry that somebody took away.
    """
    # In this order: a writer that is dead now adds no entry later, so the ledger read after it is complete for it.
    unfinished = [parts.ledger / name for name in _names(parts.ledger) if name.endswith(disk.TEMPORARY)]
    found = [*unfinished, *(parts.parts / name for name in _names(parts.parts))]
    tokens = {path: token for path in found if (token := token_of(path.name)) is not None}
    dead = {token for token in tokens.values() if not alive(token)}
    entries = parts.entries()
    acknowledged = {entry.part for entry in entries}
    replaced = {token for entry in entries for token in entry.replaces}
    return [path for path, token in tokens.items() if path.name not in acknowledged and token in dead | replaced]


def clear(parts: Parts) -> int:
    """Removes what nobody owns; how many files that were."""
    left = abandoned(parts)
    for path in left:
        disk.remove(path)
    return len(left)


def _names(folder: Path) -> list[str]:
    try:
        return sorted(os.listdir(folder))
    except FileNotFoundError:
        return []
