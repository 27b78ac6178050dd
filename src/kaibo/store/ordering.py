"""Rows of one table in the one order that depends on nothing but the rows: by their key's hash, then their identity.

More of them than fit in memory are sorted run by run, and the runs read side by side.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from kaibo.store.columns import array, buffer_of
from kaibo.store.packing import conflict, record, same, taken
from kaibo.store.schema import Schema

if TYPE_CHECKING:
    import pyarrow as pa

MEMORY = 512 << 20
"""Bytes of rows that are sorted at once, at most (a part more)."""

RUN = 8 << 20
"""Bytes of a run that are read back at a time, about."""

HASH, STORE, PLACE = "_hash", "_store", "_place"
"""What stands beside each row: its key's hash, the number of its store, the place of its part there."""

_BLOCK = 512
"""Rows that are compared at once."""


def marked(rows: pa.Table, schema: Schema, store: int, place: int) -> pa.Table:
    """The rows with what orders them."""
    count = rows.num_rows
    beside = ((STORE, np.full(count, store, np.int32)), (PLACE, np.full(count, place, np.int64)))
    rows = rows.append_column(HASH, array(_hashes(rows[schema.key]), "uint64"))
    for name, values in beside:
        rows = rows.append_column(name, array(values, str(values.dtype)))
    return rows


def in_order(tables: Iterable[pa.Table], schema: Schema, scratch: Path, names: Sequence[str]) -> Iterator[pa.Table]:
    """All rows of marked tables, each identity once, in order; `names` are the stores' for an error.

    Runs that do not fit in memory lie in the folder `scratch`. Raises StorageError where two rows of one identity
    differ and the schema refuses that.
    """
    runs: list[Path] = []
    held: list[pa.Table] = []
    size = 0
    for table in tables:
        held.append(table)
        size += table.nbytes
        if size > MEMORY:
            runs.append(_spilled(_thinned(held, schema, names), scratch / f"{schema.name}-{len(runs)}"))
            held, size = [], 0
    last = _thinned(held, schema, names)
    if runs:
        yield from _side_by_side([*runs, _spilled(last, scratch / f"{schema.name}-{len(runs)}")], schema, names)
    else:
        yield _settled(last, schema)


def _hashes(keys: pa.ChunkedArray) -> NDArray[np.uint64]:
    """The 64-bit hash of each key, as the ledger has it."""
    if len(keys) == 0:
        return np.zeros(0, np.uint64)
    encoded = keys.combine_chunks().dictionary_encode()
    encoded = encoded.chunk(0) if hasattr(encoded, "chunk") else encoded
    digests = [hashlib.blake2b(key.encode(), digest_size=8).digest() for key in encoded.dictionary.to_pylist()]
    hashes = np.frombuffer(b"".join(digests), dtype=">u8").astype(np.uint64)
    found: NDArray[np.uint64] = hashes[buffer_of(encoded.indices, "int32")]
    return found


def _thinned(tables: Sequence[pa.Table], schema: Schema, names: Sequence[str]) -> pa.Table:
    """The rows sorted, without those that another says better or as well, as far as that is certain."""
    import pyarrow as pa
    import pyarrow.compute as pc

    if not tables:
        return marked(pa.Table.from_batches([], schema.arrow()), schema, 0, 0)
    rows = pa.concat_tables(tables).combine_chunks()
    order = [HASH, *schema.identity, STORE, PLACE]
    places = pc.sort_indices(rows.select(order), sort_keys=[(name, "ascending") for name in order])
    rows = rows.take(places).combine_chunks()
    twice = _as_before(rows, schema.identity)
    if not twice.any():
        return rows
    if schema.conflict == "refuse":
        told = np.flatnonzero(twice)
        for at in told[~_equal_to_before(rows, told, schema)].tolist():
            _refuse(rows, at, schema, names)
        return rows.filter(_mask(~twice))
    of_one_store = twice & _as_before(rows, (STORE,))
    return rows.filter(_mask(~np.append(of_one_store[1:], False)))  # the newest of each store stands


def _settled(rows: pa.Table, schema: Schema) -> pa.Table:
    """Of what several stores say of one identity, what does not depend on their order."""
    twice = _as_before(rows, schema.identity)
    if not twice.any():
        return rows
    told = np.flatnonzero(twice)
    alike = np.zeros(len(twice), bool)
    alike[told] = _equal_to_before(rows, told, schema)
    rows, twice = rows.filter(_mask(~alike)).combine_chunks(), twice[~alike]
    keep = np.ones(len(twice), bool)
    for at in np.flatnonzero(twice).tolist():
        standing = at - 1 if keep[at - 1] else int(np.flatnonzero(keep[:at])[-1])
        worse = standing if _rank(rows, at, schema) > _rank(rows, standing, schema) else at
        keep[worse] = False
    return rows.filter(_mask(keep))


def _rank(rows: pa.Table, at: int, schema: Schema) -> tuple[Any, ...]:
    """A newer kaibo's row stands; else the one that comes last in the alphabet, since no clock is asked."""
    row = record(rows.select(list(schema.columns)), at)
    version = tuple(int(part) for part in re.findall("[0-9]{1,9}", row.get("kaibo") or ""))
    return version, repr(row)


def _refuse(rows: pa.Table, at: int, schema: Schema, names: Sequence[str]) -> None:
    one, other = (record(rows, place) for place in (at - 1, at))
    places = names[one[STORE]], names[other[STORE]]
    first, second = ({name: row[name] for name in schema.columns} for row in (one, other))
    raise conflict(schema, tuple(first[name] for name in schema.identity), first, second, places)


def _as_before(rows: pa.Table, columns: Sequence[str]) -> NDArray[np.bool_]:
    """For each row whether it has what the row before it has in these columns."""
    import pyarrow as pa
    import pyarrow.compute as pc

    count = rows.num_rows
    found = np.zeros(count, bool)
    if count < 2:
        return found
    found[1:] = True
    for name in columns:
        column = rows[name].combine_chunks()
        column = column.chunk(0) if hasattr(column, "chunk") else column
        one, other = column.slice(1), column.slice(0, count - 1)
        equal = pc.fill_null(pc.equal(one, other), pa.scalar(False))
        none = pc.and_(pc.is_null(one), pc.is_null(other))
        found[1:] &= buffer_of(pc.cast(pc.or_(equal, none), "uint8"), "uint8").astype(bool)
    return found


def _equal_to_before(rows: pa.Table, places: NDArray[np.int64], schema: Schema) -> NDArray[np.bool_]:
    """For each of these places whether its row is the row before it, to the last bit."""
    rows = rows.select(list(schema.columns))
    found = np.ones(len(places), bool)
    for begin in range(0, len(places), _BLOCK):
        block = places[begin : begin + _BLOCK].tolist()
        one, other = taken(rows, block), taken(rows, [at - 1 for at in block])
        if _bytes(one) != _bytes(other):
            found[begin : begin + _BLOCK] = [same(one, at, other, at) for at in range(len(block))]
    return found


def _bytes(rows: pa.Table) -> bytes:
    """Equal bytes mean equal rows; unequal ones mean nothing."""
    return b"".join(bytes(batch.serialize()) for batch in rows.combine_chunks().to_batches())


def _mask(keep: NDArray[np.bool_]) -> Any:
    import pyarrow.compute as pc

    return pc.cast(array(keep.astype(np.uint8), "uint8"), "bool")


def _spilled(rows: pa.Table, path: Path) -> Path:
    import pyarrow as pa

    options = pa.ipc.IpcWriteOptions(compression="lz4")
    at_once = max(1, RUN * rows.num_rows // max(rows.nbytes, 1))
    with pa.OSFile(str(path), "wb") as file, pa.ipc.new_stream(file, rows.schema, options=options) as stream:
        stream.write_table(rows, max_chunksize=at_once)
    return path


def _side_by_side(runs: Sequence[Path], schema: Schema, names: Sequence[str]) -> Iterator[pa.Table]:
    """Sorted runs as one: as far as every run has been read, its rows are complete."""
    import pyarrow as pa

    with ExitStack() as files:
        left = [pa.ipc.open_stream(files.enter_context(pa.OSFile(str(run)))) for run in runs]
        held: list[pa.Table | None] = [_more(stream, None) for stream in left]
        while any(rows is not None for rows in held):
            # Every run that goes on has rows up to here or beyond; those of one key may go on into its next rows.
            end = min(int(_last(rows)) for rows in held if rows is not None)
            several = []
            for at, rows in enumerate(held):
                while rows is not None and int(_last(rows)) <= end and (longer := _more(left[at], rows)) is not rows:
                    rows = longer
                if rows is None:
                    continue
                count = int(np.searchsorted(_column(rows), end, side="right"))
                several.append(rows.slice(0, count))
                held[at] = rows.slice(count) if count < rows.num_rows else _more(left[at], None)
            yield _settled(_thinned(several, schema, names), schema)


def _more(stream: Any, rows: pa.Table | None) -> pa.Table | None:
    """The rows and the next ones of a run; the same object where there are none."""
    import pyarrow as pa

    try:
        batch = pa.Table.from_batches([stream.read_next_batch()])
    except StopIteration:
        return rows
    return batch if rows is None else pa.concat_tables([rows, batch])


def _column(rows: pa.Table) -> NDArray[np.uint64]:
    return np.concatenate([buffer_of(chunk, "uint64") for chunk in rows[HASH].chunks])


def _last(rows: pa.Table) -> np.uint64:
    return np.uint64(_column(rows)[-1])
