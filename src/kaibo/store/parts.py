"""A folder of immutable parts behind a ledger: appended to by anyone, read through verified bytes only.

    parts/TABLE-SHA-TOKEN.parquet      the rows
    ledger/SEQUENCE-TOKEN.json         what the part holds; written after it, the same way
    quarantine/                        what failed its hash, set aside
    locks/TOKEN.json                   who is compacting

Appending needs no lock, because no two writers share a name. A reader that finds a part gone looks at the ledger
again: a compaction writes the new part before it takes the old ones away.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from threading import RLock
from typing import TYPE_CHECKING

from kaibo.errors import StorageError
from kaibo.store import disk
from kaibo.store.columns import table_of
from kaibo.store.damage import Damage
from kaibo.store.ledger import Entry, decode, disjoint, encode, hashed
from kaibo.store.packing import conflict, distinct, identities, packed, record, same, taken, typed, unpacked
from kaibo.store.schema import Schema
from kaibo.store.schemas import schema_of
from kaibo.store.writers import merged_token, token_of, writing
from kaibo.version import __version__

if TYPE_CHECKING:
    import pyarrow as pa


class Parts:
    """The parts under one folder, which is made when the first of them is written.

    `damages` lists what was found broken so far, in the order it was met.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path)
        self.damages: list[Damage] = []
        self._entries: dict[str, Entry] = {}
        self._lock = RLock()  # several threads may share one store

    @property
    def parts(self) -> Path:
        """Where the parts are."""
        return self.path / "parts"

    @property
    def ledger(self) -> Path:
        """Where their entries are."""
        return self.path / "ledger"

    def entries(self, table: str | None = None) -> list[Entry]:
        """What the ledger holds now, of one table or of all, in order.

        Raises StorageError when it cannot be read or was written by a newer kaibo.
        """
        with self._lock:
            while not self._refresh():
                pass
            found = sorted(self._entries.values(), key=lambda entry: entry.name)
        return [entry for entry in found if table in (None, entry.table)]

    def append(self, table: str, rows: pa.Table, keys: Sequence[str] | None = None) -> Entry | None:
        """Adds rows as one part, durable when this returns; None when the store already held them all.

        `keys` are what the ledger lists them under; without it the values of the schema's key column.
        Raises StorageError when it cannot be written, or when it holds a different row of the same identity.
        """
        schema = schema_of(table)
        rows = self._fresh(schema, typed(rows.select(list(schema.columns)), schema.arrow()))
        if rows.num_rows == 0:
            return None
        return self.write(schema, rows, rows[schema.key].to_pylist() if keys is None else keys)

    def write(
        self,
        schema: Schema,
        rows: pa.Table,
        keys: Sequence[str],
        sequence: int | None = None,
        replaces: tuple[str, ...] = (),
    ) -> Entry:
        """One part and then its entry, whatever the store holds; `sequence` is the next one where it is None."""
        data = packed(rows, schema)
        for folder in (self.path, self.parts, self.ledger):
            disk.make_folder(folder)
        with writing() as token:
            entry = self.described(schema, data, rows, keys, token)
            disk.write_durably(self.parts / entry.part, data)
            entry = replace(entry, sequence=self._next() if sequence is None else sequence, replaces=replaces)
            self.acknowledge(entry)
        return entry

    def described(
        self, schema: Schema, data: bytes, rows: pa.Table, keys: Sequence[str] | None = None, token: str | None = None
    ) -> Entry:
        """What the ledger says of the rows with these bytes; without a token the part is named by its bytes alone."""
        digest = hashlib.sha256(data).hexdigest()
        return Entry(
            sequence=0,
            table=schema.name,
            schema=schema.version,
            kaibo=__version__,
            part=f"{schema.name}-{digest[:16]}-{token or merged_token(digest)}.parquet",
            size=len(data),
            sha256=digest,
            rows=rows.num_rows,
            keys=hashed(rows[schema.key].to_pylist() if keys is None else keys),
        )

    def read(self, table: str, keys: Collection[str] | None = None, columns: Sequence[str] | None = None) -> pa.Table:
        """The rows with these keys (None: all), these columns (None: all), each identity once, oldest first.

        Raises StorageError when two parts disagree on a row, or hold a schema newer than this kaibo's.
        """
        schema = schema_of(table)
        chosen = list(schema.columns) if columns is None else list(columns)
        needed = list(dict.fromkeys([*schema.identity, *chosen]))
        found = sorted(self.each(table, keys, needed), key=lambda pair: pair[0].name)
        tables = [rows for _, rows in found]
        if not tables:
            return table_of([], schema).select(chosen)
        if not disjoint([entry for entry, _ in found]):
            return distinct(tables, schema, lambda at: found[at][0].part).select(chosen)
        import pyarrow as pa

        return pa.concat_tables(tables).select(chosen)

    def each(
        self, table: str, keys: Collection[str] | None = None, columns: Sequence[str] | None = None
    ) -> Iterator[tuple[Entry, pa.Table]]:
        """The verified parts that may hold these keys, one at a time, each with its matching rows.

        Parts may say the same row twice, and a part that is compacted meanwhile may come in both shapes.
        """
        schema = schema_of(table)
        wanted = None if keys is None else hashed(keys)
        visited: set[str] = set()
        waiting = self.entries(table)
        while waiting:
            entry, *waiting = waiting
            visited.add(entry.name)
            if wanted is not None and not entry.holds(wanted):
                continue
            self.refuse_newer(entry, schema)
            try:
                data = self.verified(entry)
            except FileNotFoundError:  # compacted since the ledger was read
                waiting = [other for other in self.entries(table) if other.name not in visited]
                continue
            rows = None if data is None else self._decoded(entry, data, schema, columns, keys)
            if rows is not None:
                yield entry, rows

    def verified(self, entry: Entry) -> bytes | None:
        """The bytes of a part, whose hash was taken over these very bytes; None when they are damaged.

        A damaged part is set aside. Raises FileNotFoundError when the part has been compacted away.
        """
        path = self.parts / entry.part
        try:
            data = path.read_bytes()
        except FileNotFoundError:
            if not (self.ledger / entry.name).exists():
                raise
            self.set_aside(entry, "the part is missing")
            return None
        except OSError as error:
            raise disk.storage_error(error, path, "cannot be read") from error
        if len(data) != entry.size:
            self.set_aside(entry, f"it has {len(data)} bytes, the ledger says {entry.size}")
        elif hashlib.sha256(data).hexdigest() != entry.sha256:
            self.set_aside(entry, "its bytes are not those that were written (SHA-256)")
        else:
            return data
        return None

    def set_aside(self, entry: Entry, why: str) -> None:
        """Moves a damaged part and its entry to the quarantine where the store may be written; its rows are unknown."""
        moved = self._quarantine([self.parts / entry.part, self.ledger / entry.name])
        self._note(Damage(entry.part, entry.table, entry.rows, why, moved))

    def refuse_newer(self, entry: Entry, schema: Schema) -> None:
        """Raises StorageError for a part whose schema is newer than ours."""
        if entry.schema > schema.version:
            raise StorageError(
                f"holds the table {entry.table} in version {entry.schema} (kaibo {entry.kaibo}); "
                f"this is kaibo {__version__}, which reads up to version {schema.version}",
                file=self.path,
                next="update kaibo, or name another store with --store",
            )

    def lend(self, other: Parts) -> frozenset[str]:
        """Gives another folder on this disk the same parts under second names; the names of their entries.

        What cannot be lent (the folders are on two disks, a part was compacted meanwhile) is left out.
        """
        for folder in (other.path, other.parts, other.ledger):
            disk.make_folder(folder)
        lent = set()
        for entry in self.entries():
            with suppress(OSError):
                disk.link(self.parts / entry.part, other.parts / entry.part)
                disk.link(self.ledger / entry.name, other.ledger / entry.name)
                lent.add(entry.name)
        return frozenset(lent)

    def files(self, besides: Collection[str] = ()) -> dict[str, bytes]:
        """The bytes of every sound part under its entry's file name, and of the entry; entries in `besides` aside."""
        found: dict[str, bytes] = {}
        for entry in self.entries():
            data = None if entry.name in besides else self.verified(entry)
            if data is not None:
                found |= {entry.part: data, entry.name: encode(entry)}
        return found

    def adopt(self, files: Mapping[str, bytes]) -> None:
        """Takes up parts and entries that came from another machine, each checked. Raises StorageError."""
        for folder in (self.path, self.parts, self.ledger):
            disk.make_folder(folder)
        for name in sorted(name for name in files if name.endswith(".json")):
            entry = decode(name, files[name])
            data = files[entry.part]
            if hashlib.sha256(data).hexdigest() != entry.sha256:
                raise StorageError("came with other bytes than were written (SHA-256)", file=entry.part)
            disk.write_durably(self.parts / entry.part, data)
            self.acknowledge(entry)

    def start_over(self) -> list[Damage]:
        """Forgets what was read of the ledger and found damaged, so that all of it is looked at anew; the latter."""
        with self._lock:
            self._entries.clear()
            damages = list(self.damages)
            self.damages.clear()
        return damages

    def _refresh(self) -> bool:
        """Brings the entries in memory up to date; False when one vanished on the way, so that the list is stale."""
        try:
            names = {name for name in os.listdir(self.ledger) if name.endswith(".json") and not name.startswith(".")}
        except FileNotFoundError:
            names = set()
        except OSError as error:
            raise disk.storage_error(error, self.ledger, "cannot be read") from error
        torn = {damage.file for damage in self.damages}
        self._entries = {name: entry for name, entry in self._entries.items() if name in names}
        return all(self._learn(name) for name in sorted(names - self._entries.keys() - torn))

    def _learn(self, name: str) -> bool:
        path = self.ledger / name
        try:
            self._entries[name] = decode(name, path.read_bytes())
        except FileNotFoundError:
            if path.is_symlink():  # one that leads nowhere stays in the list
                self._note(Damage(name, None, None, "it is a link that leads nowhere", self._quarantine([path])))
                return True
            return False
        except OSError as error:
            raise disk.storage_error(error, path, "cannot be read") from error
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            token = token_of(name)
            beside = [part for part in self._part_names() if token is not None and token in part]
            moved = self._quarantine([path, *(self.parts / part for part in beside)])
            self._note(Damage(name, beside[0].split("-")[0] if beside else None, None, f"torn entry: {error}", moved))
        return True

    def _part_names(self) -> list[str]:
        try:
            return sorted(os.listdir(self.parts))
        except OSError:
            return []

    def _quarantine(self, paths: list[Path]) -> bool:
        """Whether all that is still there of these files could be moved; a read-only store is left as it is."""
        folder = self.path / "quarantine"
        try:
            disk.make_folder(folder)
            for path in paths:
                with suppress(FileNotFoundError):
                    disk.move(path, folder / path.name)
        except (OSError, StorageError):
            return False
        return True

    def _note(self, damage: Damage) -> None:
        if damage not in self.damages:
            self.damages.append(damage)

    def _next(self) -> int:
        return max((entry.sequence for entry in self.entries()), default=0) + 1

    def acknowledge(self, entry: Entry) -> None:
        """Writes the entry of a part that lies there; where that fails, the part goes. Raises StorageError."""
        try:
            disk.write_durably(self.ledger / entry.name, encode(entry))
        except StorageError:
            if not (self.ledger / entry.name).exists():  # a part that nobody will ever read
                with suppress(StorageError):
                    disk.remove(self.parts / entry.part)
            raise

    def _decoded(
        self,
        entry: Entry,
        data: bytes,
        schema: Schema,
        columns: Sequence[str] | None,
        keys: Collection[str] | None,
    ) -> pa.Table | None:
        """The rows, or None when bytes with the right hash still do not hold them."""
        try:
            return unpacked(data, schema, columns, keys)
        except (ValueError, KeyError, TypeError, OSError) as error:  # Arrow's errors are ValueErrors and OSErrors
            self.set_aside(entry, f"it does not hold the table {schema.name}: {error}")
            return None

    def _fresh(self, schema: Schema, rows: pa.Table) -> pa.Table:
        """The rows that the store does not hold yet, each once."""
        rows = distinct([rows], schema, lambda _: "this call")
        keys = set(rows[schema.key].to_pylist())
        wanted = hashed(keys)
        if not any(entry.holds(wanted) for entry in self.entries(schema.name)):
            return rows
        stored = self.read(schema.name, keys)
        known = {identity: at for at, identity in enumerate(identities(stored, schema))}
        kept = []
        for row, identity in enumerate(identities(rows, schema)):
            at = known.get(identity)
            if at is not None and same(stored, at, rows, row):
                continue
            if at is not None and schema.conflict == "refuse":
                places = "the store", "this call"
                raise conflict(schema, identity, record(stored, at), record(rows, row), places)
            kept.append(row)
        return taken(rows, kept)
