"""A tensor seen another way (renamed, reshaped, transposed, shifted, multiplied by its scales): still a tensor.

Nothing is copied to disk or held whole; what a view needs beside the caller's buffer is said where it is made.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from kaibo.vocabulary import DTYPES, Buffer, DType, Patterns, Tensor, widen32

BAND = 1 << 25
"""Bytes that a transposed tensor is read in at a time, at least one of its columns."""

TILE = 64
"""Rows that are turned at a time."""


@dataclass(frozen=True, eq=False)
class Renamed:
    """The values of `tensor` as they lie, under another canonical name, role or shape of the same size."""

    tensor: Tensor
    canonical: str
    role: str
    shape: tuple[int, ...]
    source_key: str | None

    @property
    def name(self) -> str:
        """The tensor's own name."""
        return self.tensor.name

    @property
    def dtype(self) -> DType:
        """The tensor's type."""
        return self.tensor.dtype

    @property
    def layer(self) -> int | None:
        """The tensor's layer."""
        return self.tensor.layer

    @property
    def size(self) -> int:
        """Number of values."""
        return self.tensor.size

    def chunks(self, buffer: Buffer, begin: int = 0, end: int | None = None) -> Iterator[Patterns]:
        """The tensor's own chunks."""
        return self.tensor.chunks(buffer, begin, end)


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
    return Renamed(tensor, canonical or tensor.canonical, role or tensor.role, shape, key)


def _key(how: str, *tensors: Tensor) -> str | None:
    keys = [tensor.source_key for tensor in tensors]
    return None if None in keys else ":".join([how, *map(str, keys)])


@dataclass(frozen=True, eq=False)
class Transposed:
    """A matrix with its axes exchanged, read in bands of columns; holds one band of about `BAND` bytes."""

    tensor: Tensor
    source_key: str | None = None

    @property
    def name(self) -> str:
        """The tensor's own name."""
        return self.tensor.name

    @property
    def canonical(self) -> str:
        """The tensor's canonical name."""
        return self.tensor.canonical

    @property
    def dtype(self) -> DType:
        """The tensor's type."""
        return self.tensor.dtype

    @property
    def layer(self) -> int | None:
        """The tensor's layer."""
        return self.tensor.layer

    @property
    def role(self) -> str:
        """The tensor's role."""
        return self.tensor.role

    @property
    def shape(self) -> tuple[int, ...]:
        """Columns, then rows."""
        return self.tensor.shape[::-1]

    @property
    def size(self) -> int:
        """Number of values."""
        return self.tensor.size

    def chunks(self, buffer: Buffer, begin: int = 0, end: int | None = None) -> Iterator[Patterns]:
        """The values column by column, a buffer's worth at a time; raises what reading the tensor raises."""
        width = self.dtype.itemsize
        step, stop = buffer.nbytes // width, self.size if end is None else end
        room = buffer[: step * width].view(self.dtype.patterns)
        bands = self._bands(begin, stop)
        held: Patterns = np.empty(0, self.dtype.patterns)
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
        width = self.dtype.itemsize
        most = max(1, BAND // (rows * width)) if rows else 1
        scratch = np.empty(min(most, columns) * width, np.uint8)
        for left in range(begin // rows if rows else 0, -(-end // rows) if rows else 0, most):
            right = min(left + most, -(-end // rows))
            flat = self._band(left, right, scratch)
            yield flat[max(begin - left * rows, 0) : end - left * rows]

    def _band(self, left: int, right: int, scratch: Buffer) -> Patterns:
        """Columns `left` to `right`, one after the other; turned a tile at a time, which stays in the cache."""
        rows, columns = self.tensor.shape
        band = np.empty((right - left, rows), self.dtype.patterns)
        tile = np.empty((min(TILE, rows), right - left), self.dtype.patterns)
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
    return tensor.tensor if isinstance(tensor, Transposed) else Transposed(tensor, _key("transposed", tensor))


@dataclass(frozen=True, eq=False)
class Shifted:
    """A tensor plus a number, in float32. Satisfies the `Tensor` protocol; holds one chunk of the tensor."""

    tensor: Tensor
    by: float
    source_key: str | None = None

    @property
    def name(self) -> str:
        """The tensor's own name."""
        return self.tensor.name

    @property
    def canonical(self) -> str:
        """The tensor's canonical name."""
        return self.tensor.canonical

    @property
    def dtype(self) -> DType:
        """Always F32."""
        return DTYPES["F32"]

    @property
    def layer(self) -> int | None:
        """The tensor's layer."""
        return self.tensor.layer

    @property
    def role(self) -> str:
        """The tensor's role."""
        return self.tensor.role

    @property
    def shape(self) -> tuple[int, ...]:
        """The tensor's shape."""
        return self.tensor.shape

    @property
    def size(self) -> int:
        """Number of values."""
        return self.tensor.size

    def chunks(self, buffer: Buffer, begin: int = 0, end: int | None = None) -> Iterator[Patterns]:
        """The sums, a buffer's worth at a time; raises what reading the tensor raises."""
        room = np.empty(buffer.nbytes // 4 * self.tensor.dtype.itemsize, np.uint8)
        for chunk in self.tensor.chunks(room, begin, end):
            out = buffer[: 4 * chunk.size].view(np.float32)
            with np.errstate(invalid="ignore", over="ignore"):
                out[:] = widen32(self.tensor.dtype.name, chunk) + np.float64(self.by)
            yield out.view("<u4")


def shifted(tensor: Tensor, by: float) -> Tensor:
    """The tensor plus a number, in float32."""
    return Shifted(tensor, by, _key(f"plus {by}", tensor))


@dataclass(frozen=True, eq=False)
class Unpacked:
    """8-bit codes times their scales, in float32: value (r, c) × `scales[r ÷ block rows, c ÷ block columns]`.

    Satisfies the `Tensor` protocol; holds the scales, one chunk of the codes and of its factors.
    """

    codes: Tensor
    scales: Tensor
    block: tuple[int, int]
    source_key: str | None = field(default=None)

    @property
    def name(self) -> str:
        """The name of the codes."""
        return self.codes.name

    @property
    def canonical(self) -> str:
        """The canonical name of the codes."""
        return self.codes.canonical

    @property
    def dtype(self) -> DType:
        """Always F32."""
        return DTYPES["F32"]

    @property
    def layer(self) -> int | None:
        """The layer of the codes."""
        return self.codes.layer

    @property
    def role(self) -> str:
        """The role of the codes."""
        return self.codes.role

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of the codes."""
        return self.codes.shape

    @property
    def size(self) -> int:
        """Number of values."""
        return self.codes.size

    def chunks(self, buffer: Buffer, begin: int = 0, end: int | None = None) -> Iterator[Patterns]:
        """The products, a buffer's worth at a time; raises what reading codes or scales raises."""
        factors = self._factors()
        columns = self.shape[1]
        room = np.empty(buffer.nbytes // 4 * self.codes.dtype.itemsize, np.uint8)
        place = begin
        for chunk in self.codes.chunks(room, begin, end):
            at = np.arange(place, place + chunk.size, dtype=np.int64)
            out = buffer[: 4 * chunk.size].view(np.float32)
            with np.errstate(invalid="ignore", over="ignore"):
                factor = factors[at // columns // self.block[0], at % columns // self.block[1]]
                out[:] = widen32(self.codes.dtype.name, chunk) * factor
            place += chunk.size
            yield out.view("<u4")

    def _factors(self) -> NDArray[np.float64]:
        room = np.empty(max(self.scales.size, 1) * self.scales.dtype.itemsize, np.uint8)
        read = [widen32(self.scales.dtype.name, chunk).copy() for chunk in self.scales.chunks(room)]
        rows = -(-self.shape[0] // self.block[0])
        return np.concatenate(read).astype(np.float64).reshape(rows, -1)


def unpacked(codes: Tensor, scales: Tensor, block: tuple[int, int] | None = None) -> Tensor | None:
    """A matrix of 8-bit codes times its scales (one, one a row, or one a block); None where the two do not fit.

    `block` is the shape of a block as the config says it; 128 × 128 (DeepSeek-V3, arXiv 2412.19437) where it does not.
    """
    if len(codes.shape) != 2 or not scales.dtype.measurable:
        return None
    rows, columns = codes.shape
    high, wide = (*scales.shape, 1, 1)[:2] if len(scales.shape) <= 2 else (0, 0)
    for tall, broad in ((rows, columns), (1, columns), block or (128, 128)):
        if tall > 0 < broad and (-(-rows // tall), -(-columns // broad)) == (high, wide):
            key = _key(f"unpacked {tall}x{broad}", codes, scales)
            return Unpacked(codes, scales, (tall, broad), key)
    return None
