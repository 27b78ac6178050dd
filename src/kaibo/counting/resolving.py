"""The second look at a difference: the bins that thresholds fall in, value by value.

All values of a bin share the upper 16 bits of their magnitude, so 65536 counts tell them apart: one more pass over
the tensors that have values in the bin, and no sorting.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from kaibo.vocabulary import Tensor
from kaibo.vocabulary.compiling import compiled
from kaibo.vocabulary.counts.resolved import Resolved

CHUNK = 1 << 20
"""Bytes of float32 that are formed at a time."""

LOWS = 1 << 16


@compiled
def _count_lows(patterns: NDArray[np.uint32], slots: NDArray[np.int16], table: NDArray[np.uint64]) -> None:
    """Adds to `table[slots[upper], low]` each pattern whose upper half, sign aside, has a slot."""
    for i in range(patterns.size):
        slot = slots[(patterns[i] >> np.uint32(16)) & np.uint32(0x7FFF)]
        if slot >= 0:
            table[slot, patterns[i] & np.uint32(0xFFFF)] += np.uint64(1)


@compiled
def _find_tie(patterns: NDArray[np.uint32], magnitude: np.uint32, quota: int) -> tuple[int, int]:
    """(where the quota-th pattern of this magnitude lies, or −1; how many there were up to there)."""
    found = 0
    for i in range(patterns.size):
        if (patterns[i] & np.uint32(0x7FFFFFFF)) == magnitude:
            found += 1
            if found == quota:
                return i, found
    return -1, found


def resolve(tensor: Tensor, uppers: Sequence[int]) -> list[Resolved]:
    """The values of a float32 tensor in each of the bins, read once. Raises what reading the tensor raises."""
    slots = np.full(1 << 15, -1, np.int16)
    slots[list(uppers)] = np.arange(len(uppers), dtype=np.int16)
    table = np.zeros((len(uppers), LOWS), np.uint64)
    for chunk in tensor.chunks(np.empty(CHUNK, np.uint8)):
        _count_lows(chunk, slots, table)
    lows = [np.flatnonzero(counts) for counts in table]
    return [
        Resolved(upper, low.astype(np.uint32), counts[low])
        for upper, low, counts in zip(uppers, lows, table, strict=True)
    ]


def position_after(tensor: Tensor, magnitude: float, quota: int) -> int:
    """The position behind the `quota`-th value of a magnitude in row-major order; the size where there are fewer.

    Reads no further than that.
    """
    if quota == 0:
        return 0
    pattern, left, begin = np.float32(magnitude).view(np.uint32), quota, 0
    for chunk in tensor.chunks(np.empty(CHUNK, np.uint8)):
        place, found = _find_tie(chunk, pattern, left)
        if place >= 0:
            return int(begin + place + 1)
        left -= found
        begin += chunk.size
    return tensor.size
