"""Tensors held in memory, for tests of everything that takes a stream of tensors."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from kaibo.vocabulary import DTYPES, Buffer, DType, Patterns


@dataclass(frozen=True, eq=False)
class ArrayTensor:
    """A tensor whose bit patterns are an array; it satisfies the `Tensor` protocol."""

    name: str
    dtype: DType
    patterns: Patterns
    layer: int | None = None
    role: str = "other"
    source_key: str | None = None

    @property
    def canonical(self) -> str:
        """The name itself."""
        return self.name

    @property
    def shape(self) -> tuple[int, ...]:
        """The array's shape."""
        return self.patterns.shape

    @property
    def size(self) -> int:
        """Number of values."""
        return self.patterns.size

    def chunks(self, buffer: Buffer, begin: int = 0, end: int | None = None) -> Iterator[Patterns]:
        """Copies of a buffer's worth of values at a time."""
        flat = self.patterns.reshape(-1)[begin:end]
        step = buffer.nbytes // self.dtype.itemsize
        room = buffer[: step * self.dtype.itemsize].view(self.dtype.patterns)
        for start in range(0, flat.size, step):
            chunk = room[: min(step, flat.size - start)]
            np.copyto(chunk, flat[start : start + step])
            yield chunk


def array_tensor(dtype: str, patterns: Patterns, *, name: str = "weight") -> ArrayTensor:
    """A tensor of the named type from its bit patterns.

    >>> array_tensor("BF16", np.array([0x3F80, 0], np.uint16)).size
    2
    """
    kind = DTYPES[dtype]
    return ArrayTensor(name, kind, np.ascontiguousarray(patterns, dtype=kind.patterns))
