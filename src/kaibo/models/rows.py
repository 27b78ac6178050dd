"""Chosen rows of a tensor, in a chosen order, as a tensor of their own: how tables of different vocabulary meet."""

from __future__ import annotations

import hashlib
import math
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice

import numpy as np
from numpy.typing import NDArray

from kaibo.models.formed import formed
from kaibo.vocabulary import Buffer, Patterns, Tensor


@dataclass(frozen=True, eq=False)
class ChosenRows:
    """Rows of `tensor`, along its first axis; `runs` are (first chosen row, row of the tensor, how many).

    Beside the caller's buffer it holds another of its size.
    """

    tensor: Tensor
    runs: tuple[tuple[int, int, int], ...] = field(repr=False)
    rows: int

    def chunks(self, buffer: Buffer, begin: int = 0, end: int | None = None) -> Iterator[Patterns]:
        """The chosen values, a buffer's worth at a time; raises what the tensor's own chunks raise."""
        dtype, width = self.tensor.dtype, self.tensor.dtype.itemsize
        step, stop = buffer.nbytes // width, self.rows * self._long if end is None else end
        room = buffer[: step * width].view(dtype.patterns)
        scratch = np.empty_like(buffer)
        for first in range(begin, stop, step):
            last = min(first + step, stop)
            self._fill(room[: last - first], first, last, scratch)
            yield room[: last - first]

    @property
    def _long(self) -> int:
        """Values in a row."""
        return math.prod(self.tensor.shape[1:])

    def _fill(self, out: Patterns, first: int, last: int, scratch: Buffer) -> None:
        if first >= last:
            return
        long = self._long
        earliest = bisect_right(self.runs, first // long, key=_begin) - 1
        for chosen, row, count in islice(self.runs, earliest, None):
            low, high = max(first, chosen * long), min(last, (chosen + count) * long)
            if low >= high:
                return
            shift = (row - chosen) * long
            at = low - first
            for chunk in self.tensor.chunks(scratch, low + shift, high + shift):
                out[at : at + chunk.size] = chunk
                at += chunk.size


def _begin(run: tuple[int, int, int]) -> int:
    return run[0]


def chosen_rows(tensor: Tensor, rows: Sequence[int] | NDArray[np.int64]) -> Tensor:
    """These rows of a tensor, in this order; the tensor itself where that is all of them in its own order.

    The source key is that of the tensor together with the choice.
    """
    index = np.asarray(rows, dtype=np.int64)
    if index.size == tensor.shape[0] and np.array_equal(index, np.arange(index.size)):
        return tensor
    starts = np.flatnonzero(np.diff(index, prepend=-2) != 1)
    counts = np.diff(starts, append=index.size)
    runs = tuple((int(at), int(index[at]), int(count)) for at, count in zip(starts, counts, strict=True))
    key = (
        None
        if tensor.source_key is None
        else f"rows:{hashlib.sha256(index.tobytes()).hexdigest()[:32]}:{tensor.source_key}"
    )
    chosen = formed(ChosenRows(tensor, runs, index.size), tensor, source_key=key)
    return replace(chosen, shape=(index.size, *tensor.shape[1:]))
