"""The compiled loops over two tensors side by side, and over their differences.

Float sums go into `LANES` partial sums, value i into lane i mod `LANES`: the compiler may use the widest registers
without changing the order of any addition (0.15 ns a value; four scalars take 0.7). Pairs of 16-bit patterns are
compared as 16-bit integers, 32 at a time: 0.13 ns a value against 0.75 as floats. Differences that are zero are put
aside before the others are counted, since a bin that every value falls in stalls the counting.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from kaibo.counting.kernels import PACK
from kaibo.vocabulary.compiling import compiled

LANES = 64
"""Partial sums of one float sum; divides every chunk but the last."""

Floating = NDArray[np.floating]
Floats = NDArray[np.float64]
Words = NDArray[np.uint32]
Halves = NDArray[np.uint16]
Counts = NDArray[np.int64]


@compiled
def subtract(base: Floating, tuned: Floating, delta: NDArray[np.float32]) -> None:
    """tuned − base in the wider of the two types, rounded once to float32."""
    for i in range(base.size):
        delta[i] = tuned[i] - base[i]


@compiled
def subtract_bf16(base: Halves, tuned: Halves, delta: NDArray[np.float32]) -> None:
    """The same straight from bfloat16 patterns."""
    for i in range(base.size):
        b = np.uint32(np.uint32(base[i]) << np.uint32(16)).view(np.float32)
        t = np.uint32(np.uint32(tuned[i]) << np.uint32(16)).view(np.float32)
        delta[i] = t - b


@compiled
def dot(base: Floating, tuned: Floating, lanes: Floats) -> None:
    """Adds base·tuned to the lanes."""
    whole = base.size // LANES * LANES
    for i in range(0, whole, LANES):
        for j in range(LANES):
            lanes[j] += np.float64(base[i + j]) * np.float64(tuned[i + j])
    for i in range(whole, base.size):
        lanes[i - whole] += np.float64(base[i]) * np.float64(tuned[i])


@compiled
def dot_bf16(base: Halves, tuned: Halves, lanes: Floats) -> None:
    """The same straight from bfloat16 patterns."""
    whole = base.size // LANES * LANES
    for i in range(0, whole, LANES):
        for j in range(LANES):
            b = np.uint32(np.uint32(base[i + j]) << np.uint32(16)).view(np.float32)
            t = np.uint32(np.uint32(tuned[i + j]) << np.uint32(16)).view(np.float32)
            lanes[j] += np.float64(b) * np.float64(t)
    for i in range(whole, base.size):
        b = np.uint32(np.uint32(base[i]) << np.uint32(16)).view(np.float32)
        t = np.uint32(np.uint32(tuned[i]) << np.uint32(16)).view(np.float32)
        lanes[i - whole] += np.float64(b) * np.float64(t)


@compiled
def dots(a: Floating, b: Floating, product: Floats, a_square: Floats, b_square: Floats) -> None:
    """Adds a·b, a² and b² to their lanes."""
    whole = a.size // LANES * LANES
    for i in range(0, whole, LANES):
        for j in range(LANES):
            x, y = np.float64(a[i + j]), np.float64(b[i + j])
            product[j] += x * y
            a_square[j] += x * x
            b_square[j] += y * y
    for i in range(whole, a.size):
        x, y = np.float64(a[i]), np.float64(b[i])
        product[i - whole] += x * y
        a_square[i - whole] += x * x
        b_square[i - whole] += y * y


@compiled
def sizes(values: Floating, absolute: Floats, square: Floats) -> None:
    """Adds |x| and x² to their lanes."""
    whole = values.size // LANES * LANES
    for i in range(0, whole, LANES):
        for j in range(LANES):
            x = np.float64(values[i + j])
            absolute[j] += abs(x)
            square[j] += x * x
    for i in range(whole, values.size):
        x = np.float64(values[i])
        absolute[i - whole] += abs(x)
        square[i - whole] += x * x


@compiled
def compare16(before: Halves, after: Halves, infinity: int) -> tuple[int, int, int, int, int]:
    """How many of at most 2¹⁵ pairs of 16-bit patterns of one type are of a kind, for five kinds.

    Not both finite; equal in value; neither zero; of opposite signs; neighbours. `infinity` is the pattern of +∞.
    The last four mean something only where the first is none.
    """
    zero, one, half, low = np.uint16(0), np.uint16(1), np.uint16(0x8000), np.uint16(0x7FFF)
    first = np.uint16(infinity)
    bad, equal, nonzero, flipped, steps = zero, zero, zero, zero, zero
    for i in range(before.size):
        p, q = before[i], after[i]
        b, t = np.uint16(p & low), np.uint16(q & low)
        bad = np.uint16(bad + np.uint16((b >= first) | (t >= first)))
        both = np.uint16((b != zero) & (t != zero))
        nonzero = np.uint16(nonzero + both)
        flipped = np.uint16(flipped + np.uint16(both & np.uint16(np.uint16(p ^ q) >> np.uint16(15))))
        equal = np.uint16(equal + np.uint16((p == q) | (np.uint16(b | t) == zero)))
        # the place of each among all values of its type, and their distance plus one
        x = np.uint16(half - b) if p > low else np.uint16(p + half)
        y = np.uint16(half - t) if q > low else np.uint16(q + half)
        apart = np.uint16(np.uint16(x - y) + one)
        steps = np.uint16(steps + np.uint16((apart == np.uint16(2)) | (apart == zero)))
    return int(bad), int(equal), int(nonzero), int(flipped), int(steps)


@compiled
def compare(base: Floating, tuned: Floating, counts: Counts) -> None:
    """Adds to `counts` the pairs that are finite, of different value, of one sign, of opposite signs."""
    finite, changed, same, flipped = np.int32(0), np.int32(0), np.int32(0), np.int32(0)
    for i in range(base.size):
        b, t = base[i], tuned[i]
        good = (b - b == 0) & (t - t == 0)
        finite = np.int32(finite + np.int32(good))
        changed = np.int32(changed + np.int32(good & (b != t)))
        same = np.int32(same + np.int32(good & (((b > 0) & (t > 0)) | ((b < 0) & (t < 0)))))
        flipped = np.int32(flipped + np.int32(good & (((b > 0) & (t < 0)) | ((b < 0) & (t > 0)))))
    counts[0] += finite
    counts[1] += changed
    counts[2] += same
    counts[3] += flipped


@compiled
def neighbours(before: NDArray[np.unsignedinteger], after: NDArray[np.unsignedinteger], sign: int) -> int:
    """How many pairs of patterns of one type are neighbours; `sign` is the bit of the sign."""
    found = 0
    for i in range(before.size):
        p, q = np.int64(before[i]), np.int64(after[i])
        step = (np.int64(sign) - p if p & sign else p) - (np.int64(sign) - q if q & sign else q)
        found += step == 1 or step == -1
    return found


@compiled
def nonzero(patterns: Words, kept: Words) -> int:
    """Puts the patterns other than 0 one after the other into `kept`, which is as long; how many they are."""
    place = np.int64(0)
    for i in range(patterns.size):
        kept[place] = patterns[i]
        place += np.int64(patterns[i] != 0)
    return int(place)


@compiled
def lower_halves(patterns: Words) -> int:
    """How many patterns have a lower half that is not zero."""
    found = np.int32(0)
    for i in range(patterns.size):
        found = np.int32(found + np.int32(np.uint32(patterns[i] & np.uint32(0xFFFF)) != np.uint32(0)))
    return int(found)


@compiled
def count_uppers(
    patterns: Words, table: Words, threshold: Halves, wide: NDArray[np.uint64], above: NDArray[np.uint64],
    aside: NDArray[np.uint64], digits: NDArray[np.uint8],
) -> None:  # fmt: skip
    """As `count32`, for patterns of which few have a lower half: those without go to `table` by their upper half."""
    one = np.uint64(1 << PACK)
    for i in range(patterns.size):
        pattern = patterns[i]
        upper = pattern >> np.uint32(16)
        lo = np.uint32(pattern & np.uint32(0xFFFF))
        if lo == np.uint32(0):
            table[upper] += np.uint32(1)
            continue
        x = np.uint64(lo)
        wide[upper, 0] += one | x
        wide[upper, 1] += x * x
        if lo > np.uint32(threshold[upper]):
            if upper & np.uint32(0x7FFF):
                above[upper, 0] += one | x
                above[upper, 1] += x * x
            else:
                sign = upper >> np.uint32(15)
                aside[sign, digits[lo], 0] += one | x
                aside[sign, digits[lo], 1] += x * x


@compiled
def not_finite(patterns: Words) -> int:
    """How many float32 patterns are NaN or infinite."""
    found = np.int32(0)
    for i in range(patterns.size):
        found = np.int32(found + np.int32(np.uint32(patterns[i] & np.uint32(0x7F800000)) == np.uint32(0x7F800000)))
    return int(found)


@compiled
def opposed(a: Words, b: Words) -> tuple[int, int]:
    """How many pairs of finite float32 patterns are not zero and of one sign, how many of opposite signs."""
    both, opposite = np.int32(0), np.int32(0)
    for i in range(a.size):
        moved = np.int32(
            (np.uint32(a[i] << np.uint32(1)) != np.uint32(0)) & (np.uint32(b[i] << np.uint32(1)) != np.uint32(0))
        )
        both = np.int32(both + moved)
        opposite = np.int32(opposite + (moved & np.int32(np.uint32(a[i] ^ b[i]) >> np.uint32(31))))
    return int(both - opposite), int(opposite)


@compiled
def mark_signs(values: NDArray[np.float32], marks: NDArray[np.uint8]) -> None:
    """Sets bit 0 of a mark where a value is above zero, bit 1 where it is below."""
    for i in range(values.size):
        marks[i] |= np.uint8(values[i] > 0) | np.uint8(np.uint8(values[i] < 0) << np.uint8(1))


@compiled
def count_marks(marks: NDArray[np.uint8]) -> tuple[int, int]:
    """How many marks are set at all, how many have both bits."""
    moved, both = np.int32(0), np.int32(0)
    for i in range(marks.size):
        moved = np.int32(moved + np.int32(marks[i] != np.uint8(0)))
        both = np.int32(both + np.int32(marks[i] == np.uint8(3)))
    return int(moved), int(both)
