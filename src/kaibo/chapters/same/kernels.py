"""Values beside the codes of a packed tensor, in one pass: which lie in the cells of their codes, and how far off.

One kernel for every packing: a tile says what each code stands for, and scale, zero point and offset of its group. The
common case is told a group at a time in float32, by a bound a little narrower than the cell; a group in which anything
is not plainly inside is looked at value by value in float64.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from kaibo.models.packings.tiles import Bytes, Floats32, Floats64
from kaibo.vocabulary.compiling import compiled, summing

SLACK = 1 / 16
"""Of a cell's width, by which a value may lie outside: a scale is stored in 16 bits after codes were chosen with the
exact one, which moves the edge of the 128th cell by at most 128·2⁻¹¹ = 1/16 of a step."""

PLAINLY = 1 - 2.0**-16
"""Of the bound that float32 is trusted with."""

OFFSET = 2.0**-11
"""Of an offset, by which it was rounded when it was stored in 16 bits after the codes were chosen."""

NOTHING = 2.0**-15
"""What a block whose scale was rounded to zero may have held: 2⁻²⁵ times the 63·15 steps of a K-quant."""

Codes = tuple[Bytes, Floats32, Floats32, Floats32, NDArray[np.int32]]
"""A tile: codes, scales, zeros, offsets, and the group of each column."""

Levels = tuple[Floats32, Floats64, Floats64, Floats32, Floats32]
"""What each code stands for, where its cell ends, and how far below and above it a value is plainly inside."""

Counts = NDArray[np.int64]
"""Equal; inside; at most half a cell outside (with those inside); more than a cell outside; the place of the first
outside or −1; the greatest difference, as the bits of a float32."""


@compiled
def bfloat16(patterns: NDArray[np.uint16], out: NDArray[np.uint32]) -> None:
    """The upper halves of float32."""
    for i in range(patterns.size):
        out[i] = np.uint32(patterns[i]) << np.uint32(16)


@compiled
def beside_codes(
    values: Floats32,
    tile: Codes,
    at: int,
    levels: Levels,
    linear: tuple[int, int, float],
    own: tuple[float, float],
    apart: Floats32,
    counts: Counts,
) -> None:
    """Counts `values` beside the codes of a tile, from its value `at` on, and fills `apart` with what they differ by.

    `linear` is (flip, shift, factor): a code stands for (code ^ flip) − shift, or, where flip is −1, for its level.
    `own` is half a step of the finer side: a part of the value, and its least. Places in `counts` are in `values`.
    """
    codes, scales, zeros, offsets, group = tile
    table, _, _, low, high = levels
    columns, width, flat = codes.shape[1], codes.shape[1] // max(scales.shape[1], 1), codes.reshape(-1)
    scales, zeros, offsets = scales.reshape(-1), zeros.reshape(-1), offsets.reshape(-1)
    flip, shift, factor, part = np.int32(linear[0]), np.int32(linear[1]), np.float32(linear[2]), np.float32(own[0])
    zero, offset, reach = np.float32(0.0), np.float32(0.0), np.float32((0.5 + SLACK) * PLAINLY)
    plain = group.size == 0
    row, column = at // columns, at % columns
    of, left = at // width, width - at % width
    done = 0
    while done < values.size:
        if not plain:
            of, left = row * (scales.size // max(codes.shape[0], 1)) + group[column], 1
            while column + left < columns and group[column + left] == group[column]:
                left += 1
        count = min(left, values.size - done)
        scale = scales[of]
        if zeros.size:
            zero = zeros[of]
        if offsets.size:
            offset = offsets[of]
        first, start, inside = np.uintp(done), np.uintp(at + done), np.int32(0)
        unit = abs(scale * factor)
        if flip >= 0:
            bound = unit * reach
            for i in range(np.uintp(count)):
                level = np.float32(np.int32((np.int32(flat[start + i]) ^ flip) - shift))
                value = values[first + i]
                less = value - ((level - zero) * scale + offset) * factor
                apart[first + i] = less
                inside = np.int32(inside + np.int32(abs(less) <= bound + abs(value) * part))
        else:
            below, above = low, high
            if scale * factor < 0:
                below, above = high, low
            for i in range(np.uintp(count)):
                code = flat[start + i]
                value = values[first + i]
                less = value - ((table[code] - zero) * scale + offset) * factor
                apart[first + i] = less
                room = abs(value) * part
                fits = (less >= -below[code] * unit - room) & (less <= above[code] * unit + room)
                inside = np.int32(inside + np.int32(fits))
        if inside == count:
            counts[1] += count
            counts[2] += count
        else:
            some = values[done : done + count], flat[at + done : at + done + count], apart[done : done + count]
            _one_by_one(some, (scale, zero, offset, factor), levels, own, done, counts)
        done += count
        if plain:
            of, left = (of + 1, width) if count == left else (of, left - count)
        else:
            column += count
            if column == columns:
                row, column = row + 1, 0


@compiled
def _one_by_one(
    some: tuple[Floats32, Bytes, Floats32],
    of: tuple[np.float32, np.float32, np.float32, np.float32],
    levels: Levels,
    own: tuple[float, float],
    first: int,
    counts: Counts,
) -> None:
    """Counts a group in float64; `first` is the place of its first value."""
    values, codes, apart = some
    table, low, high, _, _ = levels
    scale, zero, offset, factor = np.float64(of[0]), np.float64(of[1]), np.float64(of[2]), np.float64(of[3])
    for i in range(values.size):
        value, code = np.float64(values[i]), codes[i]
        other = np.float64(((table[code] - of[1]) * of[0] + of[2]) * of[3])
        one, two = ((low[code] - zero) * scale + offset) * factor, ((high[code] - zero) * scale + offset) * factor
        below, above = min(one, two), max(one, two)
        room = max(abs(value) * own[0], own[1]) + abs(offset * factor) * OFFSET
        if value != value or other != other or abs(value) == np.inf:
            fits = (value != value and other != other) or value == other
            step, near = fits, fits
            if fits:  # counted as equal: what they differ by is no number
                apart[i] = 0.0
        else:
            width = above - below
            if not width < np.inf:
                width = 2 * max(other - below if below > -np.inf else 0.0, above - other if above < np.inf else 0.0)
            if not width > 0 or below != below or above != above:
                fits = abs(value - other) <= NOTHING + room
                step, near = fits, fits
            else:
                fits = below - SLACK * width - room <= value <= above + SLACK * width + room
                step = fits or below - 0.5 * width - room <= value <= above + 0.5 * width + room
                near = step or below - width - room <= value <= above + width + room
        counts[1] += fits
        counts[2] += step
        counts[3] += not near
        if not fits and counts[4] < 0:
            counts[4] = first + i


@summing
def squares(values: Floats32, apart: Floats32) -> tuple[float, float]:
    """The sums of the squares of values and of what they differ by, added in float64."""
    square, moved = 0.0, 0.0
    for i in range(values.size):
        one, other = np.float64(values[i]), np.float64(apart[i])
        square += one * one
        moved += other * other
    return square, moved


@compiled
def sizes(apart: NDArray[np.int32], counts: Counts) -> None:
    """Counts what is equal, and keeps the greatest difference; `apart` are the bits of float32."""
    largest, equal = np.int32(0), np.int32(0)
    for i in range(apart.size):
        size = np.int32(apart[i] & np.int32(0x7FFFFFFF))
        largest = max(largest, size)
        equal = np.int32(equal + np.int32(size == np.int32(0)))
    counts[0] += equal
    counts[5] = max(counts[5], np.int64(largest))
