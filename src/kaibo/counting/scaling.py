"""First digits under every power of two that a channel may be multiplied by, counted in one pass over a tensor.

A power of two moves a float's exponent and leaves its fraction: the digit under 2ᵏ is looked up at the upper half of
the pattern plus k in the place of the exponent, with the boundary inside that bin that the census knows, too.
"""

from __future__ import annotations

from functools import cache

import numpy as np
from numpy.typing import NDArray

from kaibo.vocabulary import Tensor, widen32
from kaibo.vocabulary.compiling import compiled
from kaibo.vocabulary.counts.census import digits_of32, split_points

Counts = NDArray[np.int64]
Small = NDArray[np.int8]

CHUNK = 1 << 18
LIMITS = {"F32": (1, 254), "BF16": (1, 254), "F16": (113, 142)}
"""The least and the greatest exponent of a normal number of a type, biased as in float32."""


class Tally:
    """Counts of a coupling's channels: `counts[c, k, d]` values of channel c begin with d + 1 under candidate k.

    `refused[c, k]` where some value of the channel would leave the normal numbers of its type.
    """

    def __init__(self, channels: int, candidates: Small) -> None:
        self.candidates = candidates
        self.counts: Counts = np.zeros((channels, candidates.size, 9), np.int64)
        self.refused: NDArray[np.bool_] = np.zeros((channels, candidates.size), np.bool_)

    def add(self, tensor: Tensor, axis: int, sign: int, channel: NDArray[np.int32], held: tuple[Small, Small]) -> None:
        """Counts one side: `held` are the exponents of rows and columns that other couplings gave it.

        Raises what reading the tensor raises.
        """
        buffer = np.empty(CHUNK * tensor.dtype.itemsize, np.uint8)
        shifts = (sign * self.candidates.astype(np.int64)).astype(np.int64)
        limits = np.array(LIMITS[tensor.dtype.name], np.int64)
        at = 0
        for chunk in tensor.chunks(buffer):
            bits = np.ascontiguousarray(widen32(tensor.dtype.name, chunk), np.float32).view(np.uint32)
            _count(bits, at, held, channel, axis == 1, shifts, limits, _table(), self.counts, self.refused)
            at += chunk.size


@cache
def _table() -> NDArray[np.uint32]:
    """For each upper half without its sign: the first digit, where it changes in the lower half, the digit after."""
    upper = np.arange(1 << 15, dtype=np.uint32)
    first = digits_of32(upper << np.uint32(16))
    after = digits_of32((upper << np.uint32(16)) | np.uint32(0xFFFF))
    return np.stack([first.astype(np.uint32), split_points()[upper].astype(np.uint32), after.astype(np.uint32)], axis=1)


@compiled
def _count(
    bits: NDArray[np.uint32],
    begin: int,
    held: tuple[Small, Small],
    channel: NDArray[np.int32],
    by_column: bool,
    shifts: NDArray[np.int64],
    limits: NDArray[np.int64],
    table: NDArray[np.uint32],
    counts: Counts,
    refused: NDArray[np.bool_],
) -> None:
    rows, columns = held
    row, column = begin // columns.size, begin % columns.size
    for i in range(bits.size):
        upper, lower = np.int64(bits[i] >> np.uint32(16)) & 0x7FFF, bits[i] & np.uint32(0xFFFF)
        biased = upper >> 7
        place = channel[column] if by_column else channel[row]
        other = np.int64(rows[row]) + np.int64(columns[column])
        column += 1
        if column == columns.size:
            column = 0
            row += 1
        if biased == 255 or (upper == 0 and lower == 0):  # what is not finite, and zero, stay what they are
            continue
        for k in range(shifts.size):
            shift = other + shifts[k]
            moved = biased + shift
            if (shift < 0 and moved < limits[0]) or moved > limits[1] or (biased == 0 and shift != 0):
                refused[place, k] = True
                continue
            if biased == 0:  # it stays as it is under the one candidate that is left
                continue
            at = upper + 128 * shift
            digit = table[at, 2] if lower >= table[at, 1] else table[at, 0]
            counts[place, k, digit - 1] += 1
