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
from kaibo.vocabulary.rounding import Rounding

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
    """Rounded once: where float32 made a tie that was none, its last bit is set towards the value itself."""
    single = values.astype(np.float32)
    patterns = single.view(np.uint32).astype(np.int64)
    tie = ((patterns & 0xFFFF) == 0x8000) & (single != values) & np.isfinite(single)
    patterns += np.where(tie, np.where(np.abs(single) > np.abs(values), -1, 1), 0)
    kept = (patterns + (((patterns >> 16) & 1) + 0x7FFF)) & 0xFFFF0000
    rounded = kept.astype(np.uint32).view(np.float32).astype(np.float64)
    return np.where(np.isfinite(values), rounded, values)


def rounding(grid: str, weights: Floats64, change: Floats32 | None, columns: int) -> Rounding:
    """What a grid does to whole rows of weights and to their change; sums in float64 over these values."""
    stored = nearest(grid, weights, columns)
    moved = weights if change is None else weights + change
    kept = stored if change is None else nearest(grid, moved, columns)
    good = np.isfinite(weights) & np.isfinite(stored) & np.isfinite(moved) & np.isfinite(kept)
    delta = np.zeros(1) if change is None else change[good].astype(np.float64)
    lost, before = (kept - moved)[good], (stored - weights)[good]
    return Rounding(
        grid=grid,
        n=int(good.sum()),
        moved=int(np.count_nonzero(delta)),
        deleted=0 if change is None else int(((kept == stored) & (change != 0) & good).sum()),
        delta=float(np.abs(delta).sum()),
        delta_square=float((delta * delta).sum()),
        error_square=float((lost * lost).sum()),
        base=float(np.abs(before).sum()),
        base_square=float((before * before).sum()),
    )


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
