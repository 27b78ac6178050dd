"""Is a tensor's type wider than its values? Coarser grids that a census can see."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from kaibo.vocabulary import Census, points

FEW_VALUES, ENOUGH = 256, 4096
"""At most this many distinct values among at least that many is a grid of 8 bits or fewer."""


def grid(census: Census) -> str | None:
    """In words, the coarser grid that all finite values of a census lie on; None if it sees none.

    bf16 hidden in float32 shows in the lower 16 bits, which are then all zero; narrow floats in a 16-bit type show
    in the bits of the significand; grids of integers in the number of distinct values. Grids whose scale changes
    from row to row or from group to group are invisible here; `--grid` looks for those.
    """
    if census.n - census.nonfinite < ENOUGH or not census.counts.size:
        return None
    if census.wide:
        return "bfloat16" if not census.lo.any() else None
    return _narrow_grid(census)


def _narrow_grid(census: Census) -> str | None:
    found = points(census)
    held = found.base > 0
    distinct = int(np.count_nonzero(found.counts[held]) + bool((~held).any()))
    if census.dtype.startswith("F8"):
        return f"{distinct} values" if distinct <= 16 else None
    if held.any() and not (found.base[held] & ((1 << 20) - 1)).any():  # 3 bits below the leading one
        return "8-bit float" if distinct > 16 else f"{distinct} values"
    return f"{distinct} values" if distinct <= FEW_VALUES else None


def common_grid(censuses: Sequence[Census]) -> str | None:
    """The grid that every one of several tensors lies on, None if one of them shows none or they differ."""
    names = {grid(census) for census in censuses if census.n >= ENOUGH}
    return names.pop() if len(names) == 1 else None
