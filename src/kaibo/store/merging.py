"""Several stores as one. The same rows give the same bytes, however they were split and in whatever order they come.

The sources are only read (a damaged part of theirs is set aside, as by any reader). New parts come first, then the
entries of what the folder held before go: killed anywhere in between it says each row at least once, and the same merge
run again ends with the same bytes.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from kaibo.errors import MissingError, StorageError, UsageError
from kaibo.store import disk
from kaibo.store.columns import buffer_of
from kaibo.store.compaction import clear, size, take_away
from kaibo.store.damage import Damage
from kaibo.store.ledger import Entry
from kaibo.store.locks import alone
from kaibo.store.ordering import in_order, marked
from kaibo.store.packing import packed
from kaibo.store.parts import Parts
from kaibo.store.schema import Schema, arrow_type
from kaibo.store.schemas import SCHEMAS
from kaibo.version import __version__

if TYPE_CHECKING:
    import pyarrow as pa

FULL = 128 << 20
"""Bytes of rows, before they are packed, after which a part ends."""

PATIENCE = 600.0
"""Seconds that a merge waits for another one into the same folder."""

OWN = frozenset({"parts", "ledger", "quarantine", "locks", "merging"})
"""What may lie in the folder of a store."""


@dataclass(frozen=True)
class Merged:
    """What a merge did: `rows` are those of the result, `repeated` those that were said more than once.

    Parts and bytes before are those of the sources and of what the folder held already.
    """

    into: str
    stores: int
    parts_before: int
    bytes_before: int
    parts_after: int
    bytes_after: int
    rows: int
    repeated: int


def merge(sources: Sequence[Parts], into: Parts) -> tuple[Merged, list[Damage]]:
    """Adds the rows of the sources to those of `into`; what was done, and which parts were damaged and left out.

    Raises MissingError for a folder that is no store, StorageError for one of another version, where two stores
    disagree on a row, or where `into` cannot be written or somebody else works on it alone.
    """
    _check_folder(into)
    _check_sources(sources, into)
    several = [*(one for one in sources if not _same(one, into)), into]
    for one in several:
        _check_versions(one)
    with _turn(into):
        done = _merge(several, into)
    return done, [replace(one, file=str(parts.path / one.file)) for parts in several for one in parts.damages]


def _merge(several: Sequence[Parts], into: Parts) -> Merged:
    scratch = into.path / "merging"
    shutil.rmtree(scratch, ignore_errors=True)
    clear(into)
    before = [entry for one in several for entry in one.entries()]
    old = into.entries()
    for folder in (into.parts, into.ledger, scratch):
        disk.make_folder(folder)
    written: list[Entry] = []
    try:
        for schema in SCHEMAS.values():
            ordered = in_order(_rows(several, schema), schema, scratch, [str(one.path) for one in several])
            for part in _cut(ordered, schema):
                written.append(_write(into, schema, part, len(written) + 1))
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    staying = {entry.name for entry in written}
    take_away(into, [entry for entry in old if entry.name not in staying])
    clear(into)
    rows, given = (sum(entry.rows for entry in entries) for entries in (written, before))
    return Merged(
        *(str(into.path), len(several) - 1, len(before), size(before), len(written), size(written), rows, given - rows)
    )


def _rows(several: Sequence[Parts], schema: Schema) -> Iterator[pa.Table]:
    for store, parts in enumerate(several):
        for place, (_, rows) in enumerate(parts.each(schema.name)):
            yield marked(rows, schema, store, place)


def _cut(tables: Iterator[pa.Table], schema: Schema) -> Iterator[pa.Table]:
    """The rows as parts: each ends with the row that fills it, so that where it ends depends on the rows alone."""
    import pyarrow as pa

    held: pa.Table | None = None
    for table in tables:
        rows = table.select(list(schema.columns))
        held = rows if held is None else pa.concat_tables([held, rows]).combine_chunks()
        while held.num_rows and (ends := np.cumsum(_sizes(held, schema)))[-1] >= FULL:
            count = int(np.searchsorted(ends, FULL)) + 1
            yield held.slice(0, count).combine_chunks()
            held = held.slice(count)
    if held is not None and held.num_rows:
        yield held.combine_chunks()


def _sizes(rows: pa.Table, schema: Schema) -> NDArray[np.int64]:
    """The bytes of each row before it is packed."""
    import pyarrow.compute as pc

    found = np.zeros(rows.num_rows, np.int64)
    for name, kind in schema.columns.items():
        inner = kind.removeprefix("list<").removesuffix(">")
        width = 1 if kind == "string" else arrow_type(inner).bit_width // 8
        if kind == "string" or inner != kind:
            counting = pc.binary_length if kind == "string" else pc.list_value_length
            counts = pc.cast(pc.fill_null(counting(rows[name]), 0), "int64").combine_chunks()
            counts = counts.chunks if hasattr(counts, "chunks") else [counts]
            found += width * np.concatenate([buffer_of(chunk, "int64") for chunk in counts])
        else:
            found += width
    return found


def _write(into: Parts, schema: Schema, rows: pa.Table, sequence: int) -> Entry:
    """The part and its entry, unless they are there and sound; both are named by their bytes."""
    data = packed(rows, schema)
    entry = replace(into.described(schema, data, rows), sequence=sequence)
    there = entry.name in {known.name for known in into.entries()}
    if not there or into.verified(entry) is None:
        disk.write_durably(into.parts / entry.part, data)
        into.acknowledge(entry)
    return entry


@contextmanager
def _turn(into: Parts) -> Iterator[None]:
    """Waits for a merge into the same folder that is under way; what else works on it alone is not waited for."""
    disk.make_folder(into.path)
    try:
        with disk.held(into.path, PATIENCE), alone(into.path / "locks"):
            yield
    except OSError as error:
        raise disk.storage_error(error, into.path) from error


def _check_sources(sources: Sequence[Parts], into: Parts) -> None:
    if not sources:
        raise UsageError("no store was named", next="kaibo store merge A B --into C")
    for one in sources:
        if not one.ledger.is_dir() and not _same(one, into):
            what = "is no store: it has no ledger" if one.path.exists() else "is not there"
            raise MissingError(what, file=one.path, next="name the folders that --store wrote to")


def _check_folder(into: Parts) -> None:
    try:
        names = set(os.listdir(into.path))
    except FileNotFoundError:
        return
    except OSError as error:
        raise disk.storage_error(error, into.path) from error
    if names - OWN:
        first = sorted(names - OWN)[0]
        raise StorageError(f"holds other things than a store ({first})", file=into.path, next="name a new folder")


def _check_versions(parts: Parts) -> None:
    """Rows of another version would be lost or mixed."""
    for entry in parts.entries():
        schema = SCHEMAS.get(entry.table)
        if schema is None or entry.schema != schema.version:
            ours = "does not know it" if schema is None else f"has version {schema.version}"
            raise StorageError(
                f"holds the table {entry.table} in version {entry.schema} (kaibo {entry.kaibo}); "
                f"this is kaibo {__version__}, which {ours}",
                file=parts.path,
                next="merge stores that one version of kaibo wrote",
            )


def _same(one: Parts, other: Parts) -> bool:
    return os.path.realpath(one.path) == os.path.realpath(other.path)
