"""Arrow arrays from plain values and back, by their buffers.

`pyarrow.array` and `to_numpy` import pandas wherever it is installed, to ask whether what they are given is one of
its objects: 35 MB and a third of a second that a census has no use for.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import accumulate, pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from kaibo.store.schema import Schema, arrow_type

if TYPE_CHECKING:
    import pyarrow as pa


def table_of(rows: Sequence[Mapping[str, Any]], schema: Schema) -> pa.Table:
    """The rows as a table of the schema.

    >>> from kaibo.store.schemas import SOURCES
    >>> table_of([{"source_key": "a", "content": "b"}], SOURCES).to_pylist()
    [{'source_key': 'a', 'content': 'b'}]
    """
    import pyarrow as pa

    arrays = [array([row[name] for row in rows], kind) for name, kind in schema.columns.items()]
    return pa.Table.from_arrays(arrays, schema=schema.arrow())


def array(values: Any, kind: str) -> pa.Array:
    """The values (a sequence or a NumPy array) as an Arrow array of a kind that a schema can name.

    None is null (not in or as a list).

    >>> array(["解", None, "剖"], "string").to_pylist(), array([[1], []], "list<int64>").to_pylist()
    (['解', None, '剖'], [[1], []])
    """
    if kind.startswith("list<"):
        return _lists(values, kind.removeprefix("list<").removesuffix(">"))
    return _strings(values) if kind == "string" else _numbers(values, kind)


def _lists(values: Sequence[Any], kind: str) -> pa.Array:
    import pyarrow as pa

    arrays = [np.asarray(value, dtype=_numpy(kind)) for value in values]
    inner = np.concatenate([np.zeros(0, dtype=_numpy(kind)), *arrays])
    child = pa.Array.from_buffers(arrow_type(kind), inner.size, [None, pa.py_buffer(inner)])
    offsets = _offsets([one.size for one in arrays])
    return pa.Array.from_buffers(pa.list_(child.type), len(arrays), [None, offsets], children=[child])


def _strings(values: Sequence[str | None]) -> pa.Array:
    import pyarrow as pa

    encoded = [b"" if value is None else storable(value).encode() for value in values]
    buffers = [_validity(values), _offsets([len(one) for one in encoded]), pa.py_buffer(b"".join(encoded))]
    return pa.Array.from_buffers(pa.string(), len(values), buffers)


def _numbers(values: Sequence[Any], kind: str) -> pa.Array:
    import pyarrow as pa

    plain = np.array([0 if value is None else value for value in values], dtype=_numpy(kind))
    return pa.Array.from_buffers(arrow_type(kind), len(values), [_validity(values), pa.py_buffer(plain)])


def buffer_of(numbers: pa.Array, kind: str) -> NDArray[Any]:
    """The numbers of an Arrow array without nulls, not copied.

    >>> buffer_of(array([1, 2], "uint32"), "uint32").tolist()
    [1, 2]
    """
    data = numbers.buffers()[1]
    whole = np.frombuffer(b"" if data is None else data, dtype=_numpy(kind))
    return whole[numbers.offset : numbers.offset + len(numbers)]


def slices(column: pa.ChunkedArray, kind: str) -> Iterator[NDArray[Any]]:
    """Each row's list as an array of its own, so that none keeps the others alive."""
    for chunk in column.chunks:
        values = buffer_of(chunk.values, kind)
        for begin, end in pairwise(buffer_of(chunk.offsets, "int32").tolist()):
            yield values[begin:end].copy()


def _numpy(kind: str) -> np.dtype[Any]:
    return np.dtype("float64" if kind == "double" else kind).newbyteorder("=")


def _offsets(sizes: list[int]) -> pa.Buffer:
    import pyarrow as pa

    ends = np.array([0, *accumulate(sizes)], dtype=np.int64)
    if ends[-1] >= 1 << 31:
        raise ValueError("more than 2 GiB in one column of one part; record fewer rows at a time")
    return pa.py_buffer(ends.astype(np.int32))


def _validity(values: Sequence[Any]) -> pa.Buffer | None:
    import pyarrow as pa

    present = np.array([value is not None for value in values], dtype=bool)
    return None if present.all() else pa.py_buffer(np.packbits(present, bitorder="little"))


def storable(text: str) -> str:
    """Text as a table can hold it: bytes of a path that are not UTF-8 are spelled out.

    >>> storable("caf" + chr(0xDCE9)), storable("解剖")
    ('caf\\\\udce9', '解剖')
    """
    return text.encode("utf-8", "backslashreplace").decode("utf-8")
