"""Token logs as rows of the table `token_log`, and back, to the last bit; columns are moved whole, never by value."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from kaibo.store.columns import array, buffer_of, storable
from kaibo.store.schema import arrow_type
from kaibo.store.schemas import TOKEN_LOG, TOKEN_LOG_VERSION
from kaibo.vocabulary import LogKey, TokenLog

if TYPE_CHECKING:
    import pyarrow as pa

_NAMES = ("log", "model_id", "function_id", "tokenizer_hash", "text_hash", "settings_hash", "document")
_SPANS = {"characters": ("char_begin", "char_end"), "bytes": ("byte_begin", "byte_end")}


def to_table(logs: Sequence[TokenLog]) -> pa.Table:
    """All tokens of the logs, a row each."""
    import pyarrow as pa

    return pa.concat_tables([pa.Table.from_batches([], TOKEN_LOG.arrow()), *(_table(log) for log in logs)])


def _table(log: TokenLog) -> pa.Table:
    import pyarrow as pa

    named = dict(zip(_NAMES, (log.key.hash, *vars(log.key).values(), storable(log.document)), strict=True))
    columns: dict[str, Any] = {name: pa.repeat(array([text], "string")[0], len(log)) for name, text in named.items()}
    columns["version"] = _numbers(np.full(len(log), TOKEN_LOG_VERSION, np.int32), "int32")
    for name in ("item", "branch"):
        values = getattr(log, name)
        columns[name] = _numbers(values, "int32", values < 0)
    for name, ends in _SPANS.items():
        for at, end in enumerate(ends):
            columns[end] = _numbers(getattr(log, name)[:, at], "int64")
    columns["position"] = _numbers(log.position, "int64")
    for name in ("window", "token_id", "context_length"):
        columns[name] = _numbers(getattr(log, name), "int32")
    columns["nats"] = _numbers(log.nats, "float32", ~log.scored)
    schema = TOKEN_LOG.arrow()
    return pa.Table.from_arrays([columns[name] for name in schema.names], schema=schema)


def _numbers(values: NDArray[Any], kind: str, absent: NDArray[np.bool_] | None = None) -> pa.Array:
    import pyarrow as pa

    plain = np.ascontiguousarray(values, dtype=kind)
    if absent is None or not absent.any():
        return pa.Array.from_buffers(arrow_type(kind), plain.size, [None, pa.py_buffer(plain)])
    plain = np.where(absent, 0, plain).astype(kind)
    present = pa.py_buffer(np.packbits(~absent, bitorder="little"))
    return pa.Array.from_buffers(arrow_type(kind), plain.size, [present, pa.py_buffer(plain)])


def from_table(table: pa.Table) -> Iterator[TokenLog]:
    """The logs in a table, a part each: several may be parts of one log."""
    if not table.num_rows:
        return
    table = table.combine_chunks()
    starts = _starts(table)
    columns = {name: _values(table[name], kind) for name, kind in TOKEN_LOG.columns.items() if kind != "string"}
    for begin, end in zip(starts, [*starts[1:], table.num_rows], strict=True):
        named = table.select(list(_NAMES)).slice(begin, 1).to_pylist()[0]
        part = {name: values[begin:end] for name, values in columns.items()}
        if part.pop("version")[0] == TOKEN_LOG_VERSION:
            yield _log(named, part)


def _starts(table: pa.Table) -> list[int]:
    """Where the rows of another log or document begin."""
    import pyarrow.compute as pc

    changes = np.zeros(table.num_rows, bool)
    changes[:1] = True
    for name in ("log", "document"):
        codes = pc.dictionary_encode(table[name].combine_chunks())
        codes = codes.chunk(0) if hasattr(codes, "chunk") else codes
        indices = buffer_of(codes.indices, "int32")
        changes[1:] |= indices[1:] != indices[:-1]
    return np.flatnonzero(changes).tolist()


def _values(column: pa.ChunkedArray, kind: str) -> NDArray[Any]:
    import pyarrow.compute as pc

    absent: Any = {"float32": float("nan"), "int32": -1, "int64": -1}[kind]
    filled = pc.fill_null(column, array([absent], kind)[0]).combine_chunks()
    chunks = filled.chunks if hasattr(filled, "chunks") else [filled]
    return np.concatenate([np.zeros(0, kind), *(buffer_of(chunk, kind) for chunk in chunks)])


def _log(named: dict[str, str], part: dict[str, NDArray[Any]]) -> TokenLog:
    spans = {name: np.stack([part[begin], part[end]], axis=1) for name, (begin, end) in _SPANS.items()}
    plain = {
        name: part[name] for name in ("item", "branch", "window", "position", "token_id", "nats", "context_length")
    }
    key = LogKey(*(named[name] for name in ("model_id", "function_id", "tokenizer_hash", "text_hash", "settings_hash")))
    return TokenLog(key, named["document"], **plain, **spans)
