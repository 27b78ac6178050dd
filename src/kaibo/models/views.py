"""A tensor seen another way (renamed, reshaped, transposed, shifted): still a tensor.

Nothing is copied to disk or held whole; what a view needs beside the caller's buffer is said where it is made.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from kaibo.models.formed import Formed, formed
from kaibo.vocabulary import DTYPES, Buffer, Patterns, Tensor, widen32

BAND = 1 << 25
"""Bytes that a transposed tensor is read in at a time, at least one of its columns."""

TILE = 64
"""Rows that are turned at a time."""


def renamed(
    tensor: Tensor, *, canonical: str | None = None, role: str | None = None, shape: tuple[int, ...] | None = None
) -> Tensor:
    """The tensor under another name, role or shape. Raises ValueError for a shape of another size.

    A content hash depends on the shape, so a source key does, too; a name and a role change nothing that is stored.
    """
    shape = tensor.shape if shape is None else shape
    if math.prod(shape) != tensor.size:
        raise ValueError(f"{tensor.size} values do not make a tensor of shape {shape}")
    key = tensor.source_key if shape == tensor.shape else _key(f"shape {shape}", tensor)
    view = formed(tensor, tensor, source_key=key)
    return replace(view, canonical=canonical or tensor.canonical, role=role or tensor.role, shape=shape)


def _key(how: str, *tensors: Tensor) -> str | None:
    keys = [tensor.source_key for tensor in tensors]
    return None if None in keys else ":".join([how, *map(str, keys)])


@dataclass(frozen=True, eq=False)
class Transposed:
    """A matrix with its axes exchanged, read in bands of columns; holds one band of about `BAND` bytes."""

    tensor: Tensor

    def chunks(self, buffer: Buffer, begin: int = 0, end: int | None = None) -> Iterator[Patterns]:
        """The values column by column, a buffer's worth at a time; raises what reading the tensor raises."""
        dtype, width = self.tensor.dtype, self.tensor.dtype.itemsize
        step, stop = buffer.nbytes // width, self.tensor.size if end is None else end
        room = buffer[: step * width].view(dtype.patterns)
        bands = self._bands(begin, stop)
        held: Patterns = np.empty(0, dtype.patterns)
        for first in range(begin, stop, step):
            out = room[: min(step, stop - first)]
            filled = 0
            while filled < out.size:
                held = held if held.size else next(bands)
                taken = min(held.size, out.size - filled)
                out[filled : filled + taken] = held[:taken]
                held, filled = held[taken:], filled + taken
            yield out

    def _bands(self, begin: int, end: int) -> Iterator[Patterns]:
        """The values from `begin` to `end`, as many whole columns at a time as fit into a band."""
        rows, columns = self.tensor.shape
        width = self.tensor.dtype.itemsize
        most = max(1, BAND // (rows * width)) if rows else 1
        scratch = np.empty(min(most, columns) * width, np.uint8)
        for left in range(begin // rows if rows else 0, -(-end // rows) if rows else 0, most):
            right = min(left + most, -(-end // rows))
            flat = self._band(left, right, scratch)
            yield flat[max(begin - left * rows, 0) : end - left * rows]

    def _band(self, left: int, right: int, scratch: Buffer) -> Patterns:
        """Columns `left` to `right`, one after the other; turned a tile at a time, which stays in the cache."""
        rows, columns = self.tensor.shape
        band = np.empty((right - left, rows), self.tensor.dtype.patterns)
        tile = np.empty((min(TILE, rows), right - left), self.tensor.dtype.patterns)
        for top in range(0, rows, TILE):
            bottom = min(top + TILE, rows)
            for row in range(top, bottom):
                for chunk in self.tensor.chunks(scratch, row * columns + left, row * columns + right):
                    tile[row - top] = chunk
            band[:, top:bottom] = tile[: bottom - top].T
        return band.reshape(-1)


def transposed(tensor: Tensor) -> Tensor:
    """A matrix with its axes exchanged; of a transposed one the matrix itself. Raises ValueError for other shapes."""
    if len(tensor.shape) != 2:
        raise ValueError(f"a tensor of shape {tensor.shape} is no matrix")
    if isinstance(tensor, Formed) and isinstance(tensor.values, Transposed):
        return tensor.values.tensor
    turned = formed(Transposed(tensor), tensor, source_key=_key("transposed", tensor))
    return replace(turned, shape=tensor.shape[::-1])


@dataclass(frozen=True, eq=False)
class Computed:
    """A formula of each value of a tensor, rounded once to float32; holds one chunk of the tensor."""

    tensor: Tensor
    formula: Callable[[NDArray[np.floating]], NDArray[np.floating]]

    def chunks(self, buffer: Buffer, begin: int = 0, end: int | None = None) -> Iterator[Patterns]:
        """What the formula gives, a buffer's worth at a time; raises what reading the tensor raises."""
        room = np.empty(buffer.nbytes // 4 * self.tensor.dtype.itemsize, np.uint8)
        for chunk in self.tensor.chunks(room, begin, end):
            out = buffer[: 4 * chunk.size].view(np.float32)
            with np.errstate(invalid="ignore", over="ignore"):
                out[:] = self.formula(widen32(self.tensor.dtype.name, chunk))
            yield out.view("<u4")


def computed(
    tensor: Tensor, formula: Callable[[NDArray[np.floating]], NDArray[np.floating]], source_key: str | None = None
) -> Tensor:
    """A tensor's values put through a formula, in float32. The formula says itself in which width it works."""
    return formed(Computed(tensor, formula), tensor, dtype=DTYPES["F32"], source_key=source_key)


def shifted(tensor: Tensor, by: float) -> Tensor:
    """The tensor plus a number, in float32."""
    return computed(tensor, lambda values: values + np.float64(by), _key(f"plus {by}", tensor))
