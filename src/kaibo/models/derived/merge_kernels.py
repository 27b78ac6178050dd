"""The compiled loops of merging. Each takes a chunk: the task vectors of several models are the rows of one array.

Task vectors are float32; sums over models are formed in float64 and rounded once, with the base added.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from kaibo.vocabulary.compiling import compiled

Floats32 = NDArray[np.float32]
Floats64 = NDArray[np.float64]

SUM, WEIGHTED, COUNT = 0, 1, 2
"""What the sign of is taken in a vote over the entries w·Δ: their sum with every |w| taken as 1, their sum as they are,
or how many are positive less how many negative. A weight of 0 has no vote."""

BY_COUNT, BY_WEIGHTS, BY_NOTHING = 0, 1, 2
"""What the sum over the entries that agree is divided by."""


@compiled
def subtract(tuned: NDArray[np.floating], base: NDArray[np.floating], delta: Floats32) -> None:
    """Δ = tuned − base, in float32 (of 64-bit floats in 64 bits, rounded once)."""
    for i in range(delta.size):
        delta[i] = tuned[i] - base[i]


@compiled
def trim(delta: Floats32, threshold: np.float32, cutoff: int) -> None:
    """Sets what is below the threshold to zero, and what equals it from `cutoff` (within this chunk) on."""
    for i in range(delta.size):
        size = abs(delta[i])
        if size < threshold or (size == threshold and i >= cutoff):
            delta[i] = np.float32(0.0)


@compiled
def drop(delta: Floats32, key: np.uint64, begin: int, density: float) -> None:
    """Sets each entry to zero with probability 1 − density, by its position alone.

    The random number at position p is SplitMix64 (Steele, Lea and Flood 2014) of key + p·golden ratio: a counter, so
    that any chunk, order and number of workers drop the same entries.
    """
    for i in range(delta.size):
        z = key + np.uint64(begin + i + 1) * np.uint64(0x9E3779B97F4A7C15)
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        z = z ^ (z >> np.uint64(31))
        if np.float64(z >> np.uint64(11)) * 2.0**-53 >= density:
            delta[i] = np.float32(0.0)


@compiled
def _poll(deltas: Floats32, i: int, weights: Floats64, vote: int) -> float:
    """What the vote at one position comes to."""
    total = 0.0
    for j in range(deltas.shape[0]):
        if weights[j] == 0:
            continue
        value = np.float64(deltas[j, i]) if weights[j] > 0 else -np.float64(deltas[j, i])
        if vote == SUM:
            total += value
        elif vote == WEIGHTED:
            total += weights[j] * np.float64(deltas[j, i])
        elif value != 0:
            total += 1.0 if value > 0 else -1.0 if value < 0 else value
    return total


@compiled
def elect(
    deltas: Floats32, weights: Floats64, ways: tuple[int, int], tie: float, factor: float, mixed: Floats64
) -> None:
    """TIES after trimming: the sign that wins at each position, and the mean over the entries that have it.

    `ways` are the vote and the divisor. An entry has the winning sign where w·Δ has it: under a negative weight that
    is the other one than Δ's. NaN in any entry gives NaN.
    """
    vote, divide = ways
    for i in range(mixed.size):
        total = _poll(deltas, i, weights, vote)
        sign = 1.0 if total > 0 else -1.0 if total < 0 else tie
        found, divisor = 0.0, 0.0
        for j in range(deltas.shape[0]):
            value = weights[j] * np.float64(deltas[j, i])
            if value * sign > 0:
                found += value
                divisor += weights[j] if divide == BY_WEIGHTS else 1.0
        if divide != BY_NOTHING and divisor != 0:
            found /= divisor
        mixed[i] = total if total != total else factor * found


@compiled
def poll(deltas: Floats32, weights: Floats64, vote: int, counts: NDArray[np.int64]) -> None:
    """Adds to `counts`: any, conflict, plus, minus, tied; then entries kept, elected and not finite of each row.

    Signs are those of w·Δ, which is what is added; a row of weight 0 is counted as kept and takes no part in the rest.
    """
    rows = deltas.shape[0]
    for i in range(deltas.shape[1]):
        total = _poll(deltas, i, weights, vote)
        positive = negative = False
        for j in range(rows):
            value = deltas[j, i]
            if value != 0:
                counts[5 + j] += 1
                counts[5 + 2 * rows + j] += not np.isfinite(value)
                if weights[j] != 0:
                    value = value if weights[j] > 0 else -value
                    counts[5 + rows + j] += value * total > 0 or (total == 0 and value > 0)
                    positive |= value > 0
                    negative |= value < 0
        if positive or negative:
            counts[0] += 1
            counts[1] += positive and negative
            counts[2] += total > 0
            counts[3] += total < 0
            counts[4] += total == 0


@compiled
def weigh(rows: NDArray[np.floating], weights: Floats64, scale: float, mixed: Floats64) -> None:
    """Σ weights·rows, times `scale`, at each position."""
    for i in range(mixed.size):
        total = 0.0
        for j in range(rows.shape[0]):
            if weights[j] != 0:
                total += weights[j] * np.float64(rows[j, i])
        mixed[i] = scale * total


@compiled
def add_base(base: NDArray[np.floating], mixed: Floats64) -> None:
    """Adds the base in float64; where nothing is added the base stays to the last bit, its zeros' sign too."""
    for i in range(mixed.size):
        mixed[i] = base[i] if mixed[i] == 0 else base[i] + mixed[i]


@compiled
def to_bf16(values: Floats64, patterns: NDArray[np.uint16], bits: NDArray[np.uint32], room: Floats32) -> None:
    """float64 to bfloat16 by way of float32, ties to even; `bits` is `room` seen as patterns. NaN stays NaN."""
    for i in range(values.size):
        room[i] = values[i]
    for i in range(values.size):
        pattern = bits[i]
        if (pattern & np.uint32(0x7FFFFFFF)) > np.uint32(0x7F800000):
            patterns[i] = (pattern >> np.uint32(16)) | np.uint32(0x40)
        else:
            patterns[i] = (pattern + ((pattern >> np.uint32(16)) & np.uint32(1)) + np.uint32(0x7FFF)) >> np.uint32(16)
