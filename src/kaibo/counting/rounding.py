"""Grids that weights are stored on, as pure functions: values in, the nearest values that the grid holds out.

- `bf16`, `f16`: to nearest, ties to even, once (never by way of float32, which would round twice).
- `nf4`: bitsandbytes' `quantize_4bit` and back: blocks of 64 consecutive values, the greatest |w| of a block in
  float32, 16 levels (Dettmers et al. 2023, arXiv 2305.14314, appendix E), without quantising the scales again.
- `int8`: bitsandbytes' `int8_vectorwise_quant` and back (LLM.int8(), arXiv 2208.07339): the greatest |w| of each
  row, 255 levels, in float32; no outlier columns are set aside, since weights have none there.
"""

from __future__ import annotations

import math
from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from kaibo.vocabulary.compiling import compiled
from kaibo.vocabulary.counts.rounding import Rounding

Floats64 = NDArray[np.float64]
Floats32 = NDArray[np.float32]

GROUP = 64
"""Consecutive values that share a scale on the grid nf4."""

NF4: Floats32 = np.array(
    [
        *(-1.0, -0.6961928009986877, -0.5250730514526367, -0.39491748809814453, -0.28444138169288635),
        *(-0.18477343022823334, -0.09105003625154495, 0.0, 0.07958029955625534, 0.16093020141124725),
        *(0.24611230194568634, 0.33791524171829224, 0.44070982933044434, 0.5626170039176941),
        *(0.7229568362236023, 1.0),
    ],
    np.float32,
)
"""The levels of nf4, as bitsandbytes holds them."""

_MIDDLES: Floats32 = (NF4[:-1] + NF4[1:]) / np.float32(2)


@compiled
def _nf4(values: Floats32, levels: Floats32, middles: Floats32, out: Floats32) -> None:
    """Blocks of 64; a last, shorter block is divided by its scale, as in bitsandbytes, not multiplied by 1/scale."""
    for begin in range(0, values.size, 64):
        end = min(begin + 64, values.size)
        greatest = np.float32(0.0)
        for i in range(begin, end):
            greatest = max(greatest, abs(values[i]))
        scale = max(greatest, np.float32(1e-38))
        inverse = np.float32(1.0) / scale
        for i in range(begin, end):
            scaled = values[i] * inverse if end - begin == 64 else values[i] / scale
            level = 0
            for k in range(15):
                level += scaled > middles[k]
            out[i] = levels[level] * (greatest if end - begin == 64 else scale)


@compiled
def _int8(values: Floats32, columns: int, out: Floats32) -> None:
    for begin in range(0, values.size, columns):
        greatest = np.float32(0.0)
        for i in range(begin, begin + columns):
            greatest = max(greatest, abs(values[i]))
        factor = np.float32(127.0) / greatest if greatest > 0 else np.float32(0.0)
        for i in range(begin, begin + columns):
            out[i] = np.float32(np.rint(values[i] * factor)) * greatest * np.float32(7.874015718698502e-3)


def nearest(grid: str, values: Floats64, columns: int) -> Floats64:
    """Values of whole rows on a grid, in float64; `columns` is the length of a row.

    Values that are not finite, and those too great for a grid, come out as the type has them.

    >>> nearest("bf16", np.array([1.00390625, 1.01171875]), 2).tolist()
    [1.0, 1.015625]
    >>> nearest("int8", np.array([127.0, 3.2]), 2).round(5).tolist()
    [127.0, 3.0]
    """
    with np.errstate(over="ignore", under="ignore", invalid="ignore"):
        if grid == "bf16":
            return _bf16(values)
        if grid == "f16":
            return values.astype(np.float16).astype(np.float64)
        narrow = np.ascontiguousarray(values, np.float32)
        out = np.empty_like(narrow)
        if grid == "nf4":
            _nf4(narrow, NF4, _MIDDLES, out)
        elif grid == "int8":
            _int8(narrow, max(columns, 1), out)
        else:
            raise ValueError(f"no grid {grid}")
        return out.astype(np.float64)


def _bf16(values: Floats64) -> Floats64:
    single = values.astype(np.float32)
    _to_bf16(values, single, single.view(np.uint32))
    return single.astype(np.float64)


@compiled
def _to_bf16(values: Floats64, single: Floats32, patterns: NDArray[np.uint32]) -> None:
    """Rounds in place, once: where float32 made a tie that was none, its last bit is set towards the value itself."""
    for i in range(values.size):
        pattern = np.int64(patterns[i])
        if pattern & 0x7F800000 == 0x7F800000:
            continue
        if pattern & 0xFFFF == 0x8000 and single[i] != values[i]:
            pattern += -1 if abs(np.float64(single[i])) > abs(values[i]) else 1
        patterns[i] = np.uint32((pattern + (((pattern >> 16) & 1) + 0x7FFF)) & 0xFFFF0000)


def rounding(grid: str, weights: Floats64, change: Floats32 | None, columns: int) -> Rounding:
    """What a grid does to whole rows of weights and to their change; sums in float64 over these values in order."""
    stored = nearest(grid, weights, columns)
    sums, counts = np.zeros(5), np.zeros(3, np.int64)
    if change is None:
        _add_base(weights, stored, sums, counts)
    else:
        with np.errstate(over="ignore", invalid="ignore"):
            kept = nearest(grid, weights + change, columns)
        _add(weights, change, stored, kept, sums, counts)
    n, moved, deleted = (int(count) for count in counts)
    delta, delta_square, error_square, base, base_square = (float(value) for value in sums)
    return Rounding(grid, n, moved, deleted, delta, delta_square, error_square, base, base_square)


@compiled
def _add_base(weights: Floats64, stored: Floats64, sums: Floats64, counts: NDArray[np.int64]) -> None:
    absolute, square, n = 0.0, 0.0, 0
    for i in range(weights.size):
        before = stored[i] - weights[i]
        if before - before == 0:
            n += 1
            absolute += abs(before)
            square += before * before
    sums[3] += absolute
    sums[4] += square
    counts[0] += n


@compiled
def _add(
    weights: Floats64, change: Floats32, stored: Floats64, kept: Floats64, sums: Floats64, counts: NDArray[np.int64]
) -> None:
    """Σ|Δ|, ΣΔ², Σ error², Σ|base error|, Σ base error²; how many are finite, moved, deleted."""
    first = second = error = base = base_square = 0.0
    n, moved, deleted = 0, 0, 0
    for i in range(weights.size):
        delta, before = np.float64(change[i]), stored[i] - weights[i]
        lost = kept[i] - (weights[i] + delta)
        if (before - before == 0) & (lost - lost == 0):
            n += 1
            moved += delta != 0
            deleted += (delta != 0) & (kept[i] == stored[i])
            first, second, error = first + abs(delta), second + delta * delta, error + lost * lost
            base, base_square = base + abs(before), base_square + before * before
    sums += np.array([first, second, error, base, base_square])
    counts += np.array([n, moved, deleted])


def rounding_total(parts: Iterable[Rounding]) -> Rounding:
    """The sums over several sets of values on one grid; floats are added exactly and rounded once."""
    several = list(parts)
    return Rounding(
        grid=several[0].grid,
        n=sum(part.n for part in several),
        moved=sum(part.moved for part in several),
        deleted=sum(part.deleted for part in several),
        delta=math.fsum(part.delta for part in several),
        delta_square=math.fsum(part.delta_square for part in several),
        error_square=math.fsum(part.error_square for part in several),
        base=math.fsum(part.base for part in several),
        base_square=math.fsum(part.base_square for part in several),
    )


def whole_rows(columns: int, about: int = 1 << 18) -> int:
    """How many values to take at a time so that neither a row nor a block of 64 is cut: at least one such unit.

    >>> whole_rows(96, 1000), whole_rows(4096, 1)
    (960, 4096)
    """
    unit = math.lcm(max(columns, 1), GROUP)
    return max(1, about // unit) * unit
