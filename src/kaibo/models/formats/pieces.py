"""Boxes of a tensor's values, each with its own place and strides, come in; the values in row-major order go out.

Two kinds of tensor are stored so: views (a transposed or a sliced matrix of a pickle) and tensors that several files
hold parts of. Every box is checked to lie inside its place before a byte is read, and at most `BAND` bytes of values
are held at a time.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from kaibo.models.places import Place
from kaibo.vocabulary import Buffer, DType, Patterns

BAND = 1 << 24
"""Bytes of values that are put in order at a time."""

SPAN = 1 << 22
"""Bytes that are read in one go, with what lies between the values."""

MOST_PARTS = 4096
"""Parts of one tensor that may be cut along several axes."""

_CHEAP, _WASTE = 1 << 14, 4
Shape = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Piece:
    """A box of a tensor: the values from index `at` on, `shape` of them, stored from byte `begin` of a place.

    `strides` count values from one index of an axis to the next; none of them is negative.
    """

    place: Place = field(repr=False, compare=False)
    begin: int
    at: Shape
    shape: Shape
    strides: Shape
    swapped: bool = False

    @property
    def size(self) -> int:
        """Number of values."""
        return math.prod(self.shape)

    @property
    def key(self) -> str | None:
        """Names the bytes and their order without reading them; None where the place cannot be named."""
        said = (self.begin, self.at, self.shape, self.strides, self.swapped)
        return None if self.place.key is None else f"{self.place.key}|{said}"


def row_major(shape: Sequence[int]) -> Shape:
    """Values from one index of each axis to the next, in an array without gaps.

    >>> row_major((2, 3, 4))
    (12, 4, 1)
    """
    strides = [1]
    for axis in reversed(shape[1:]):
        strides.append(strides[-1] * max(axis, 1))
    return tuple(reversed(strides[: len(shape)]))


def is_plain(shape: Sequence[int], strides: Sequence[int]) -> bool:
    """Whether values of these strides lie in row-major order without gaps; axes of one index have any stride."""
    usual = row_major(shape)
    return 0 in shape or all(n == 1 or a == b for n, a, b in zip(shape, strides, usual, strict=True))


def span(shape: Sequence[int], strides: Sequence[int]) -> int:
    """Values from the first to the last one of a box, with what lies between them.

    >>> span((2, 3), (1, 10)), span((0, 3), (3, 1)), span((), ())
    (22, 0, 1)
    """
    return 0 if 0 in shape else 1 + sum((n - 1) * stride for n, stride in zip(shape, strides, strict=True))


def faults(shape: Shape, boxes: Sequence[tuple[Shape, Shape]]) -> str | None:
    """Why boxes (first index, shape) do not cover a tensor once each; None where they do.

    Boxes that lie inside, do not overlap and hold as many values as the tensor leave no hole.
    """
    for at, size in boxes:
        if len(at) != len(shape) or len(size) != len(shape):
            return f"a part has {len(at)} dimensions, the tensor {len(shape)}"
        if any(a + n > whole for a, n, whole in zip(at, size, shape, strict=True)):
            return f"the part at {_shown(at)} of {_shown(size)} reaches out of {_shown(shape)}"
    starts, sizes = (np.array([box[one] for box in boxes if 0 not in box[1]], np.int64) for one in (0, 1))
    twice = _overlap(starts, starts + sizes) if len(starts) > 1 else ""
    if twice:
        return twice
    held, whole = sum(math.prod(size) for _, size in boxes), math.prod(shape)
    return None if held == whole else f"its parts hold {held} of {whole} values; the rest is a hole"


def _overlap(starts: NDArray[np.int64], ends: NDArray[np.int64]) -> str:
    """Which two boxes overlap, "" for none; boxes that are cut along one axis alone may be any number."""
    if starts.shape[1] == 0:
        return "two parts hold its one value"
    cut = [axis for axis in range(starts.shape[1]) if len(np.unique(starts[:, axis])) > 1]
    if len(cut) > 1 and len(starts) > MOST_PARTS:
        return f"{len(starts)} parts, cut along several axes; at most {MOST_PARTS} are read"
    order = np.argsort(starts[:, cut[0]] if cut else np.arange(len(starts)), kind="stable")
    starts, ends = starts[order], ends[order]
    for place in range(len(starts) - 1):
        rest = slice(place + 1, None if len(cut) > 1 else place + 2)
        meets = np.all((starts[rest] < ends[place]) & (starts[place] < ends[rest]), axis=1)
        if meets.any():
            other = starts[place + 1 + int(np.argmax(meets))]
            return f"the parts at {_shown(starts[place].tolist())} and at {_shown(other.tolist())} overlap"
    return ""


def _shown(numbers: Sequence[int]) -> str:
    return f"[{', '.join(map(str, numbers[:8]))}]"


@dataclass(frozen=True)
class Gathered:
    """A tensor's values from its pieces, which cover it once each."""

    dtype: DType
    shape: Shape
    pieces: tuple[Piece, ...]

    def chunks(self, buffer: Buffer, begin: int, end: int) -> Iterator[Patterns]:
        """Values `begin` to `end` in row-major order, a buffer's worth at a time; raises what reading raises."""
        step = buffer.nbytes // self.dtype.itemsize
        room = buffer[: step * self.dtype.itemsize].view(self.dtype.patterns)
        bands, held = self._bands(begin, end), np.empty(0, self.dtype.patterns)
        for first in range(begin, end, step):
            out = room[: min(step, end - first)]
            filled = 0
            while filled < out.size:
                held = held if held.size else next(bands)
                taken = min(held.size, out.size - filled)
                out[filled : filled + taken] = held[:taken]
                held, filled = held[taken:], filled + taken
            yield out

    def _bands(self, begin: int, end: int) -> Iterator[Patterns]:
        """The values in order: boxes of as many indices of one axis as fit, whole along the axes after it."""
        shape = self.shape or (1,)
        pieces = self.pieces if self.shape else tuple(_in_one_axis(piece) for piece in self.pieces)
        most = BAND // self.dtype.itemsize
        axis = next(axis for axis in range(len(shape)) if math.prod(shape[axis + 1 :]) <= most)
        unit = math.prod(shape[axis + 1 :])
        row, last = begin // unit, -(-end // unit)
        while row < last:
            outer, first = divmod(row, shape[axis])
            count = min(max(most // unit, 1), shape[axis] - first, last - row)
            before = tuple(int(index) for index in np.unravel_index(outer, shape[:axis]))
            at = (*before, first, *(0,) * (len(shape) - axis - 1))
            flat = self._box(at, (*(1,) * axis, count, *shape[axis + 1 :]), pieces)
            yield flat[max(begin - row * unit, 0) : end - row * unit]
            row += count

    def _box(self, at: Shape, size: Shape, pieces: Sequence[Piece]) -> Patterns:
        """The values of one box of the tensor, put together from the pieces that meet it."""
        box = np.empty(size, self.dtype.patterns)
        for piece in pieces:
            low = tuple(max(a, b) for a, b in zip(at, piece.at, strict=True))
            ends = zip(at, size, piece.at, piece.shape, strict=True)
            high = tuple(min(a + n, b + m) for a, n, b, m in ends)
            if any(a >= b for a, b in zip(low, high, strict=True)):
                continue
            skipped = sum((a - b) * s for a, b, s in zip(low, piece.at, piece.strides, strict=True))
            place = tuple(slice(a - b, c - b) for a, b, c in zip(low, at, high, strict=True))
            begin = piece.begin + skipped * self.dtype.itemsize
            _read(piece.place, begin, piece.strides, box[place])
            if piece.swapped:
                box[place] = box[place].byteswap()
        return box.reshape(-1)


def _in_one_axis(piece: Piece) -> Piece:
    return Piece(piece.place, piece.begin, (0,), (1,), (1,), piece.swapped)


def _read(place: Place, begin: int, strides: Shape, out: NDArray[np.unsignedinteger]) -> None:
    """Fills `out` with values of these strides; an index that repeats another one is read once."""
    if 0 in strides:
        one = np.empty(tuple(n if step else 1 for n, step in zip(out.shape, strides, strict=True)), out.dtype)
        _read(place, begin, tuple(step or 1 for step in strides), one)
        out[...] = one
        return
    order = sorted(range(out.ndim), key=lambda axis: -strides[axis])
    _read_ordered(place, begin, [strides[axis] for axis in order], out.transpose(order))


def _read_ordered(place: Place, begin: int, steps: Sequence[int], out: NDArray[np.unsignedinteger]) -> None:
    """The same for axes of falling strides: as many indices of the first one in one go as lie close together."""
    width = out.dtype.itemsize
    if not _is_dense(out.shape[1:], steps[1:], width):
        for index in range(out.shape[0]):
            _read_ordered(place, begin + index * steps[0] * width, steps[1:], out[index])
        return
    block = _block(out.shape, steps, width)
    for first in range(0, out.shape[0], block):
        part = out[first : first + block]
        room = np.empty(span(part.shape, steps) * width, np.uint8)
        place.read_into(begin + first * steps[0] * width, room)
        values = room.view(out.dtype)
        part[...] = np.lib.stride_tricks.as_strided(values, part.shape, [step * width for step in steps])


def _is_dense(shape: Sequence[int], steps: Sequence[int], width: int) -> bool:
    """Whether a box is read at once: little lies between its values, or the whole of it is small."""
    size = span(shape, steps) * width
    return size <= _CHEAP or (size <= SPAN and size <= _WASTE * width * math.prod(shape))


def _block(shape: Sequence[int], steps: Sequence[int], width: int) -> int:
    """How many indices of the first axis are read in one go, at least one."""
    low, high = 1, shape[0]
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if _is_dense((middle, *shape[1:]), steps, width) else (low, middle - 1)
    return low
