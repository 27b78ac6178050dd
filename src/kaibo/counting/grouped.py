"""A pass of its own: do short groups of neighbouring weights hold no more values than a 4-bit code has?

Weights that were quantised to 4 bits and widened again take at most 16 values in each group that shared a scale,
although a tensor as a whole shows thousands. A census, which knows no positions, cannot see that.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from kaibo.counting.counting import Workspace
from kaibo.vocabulary import Tensor
from kaibo.vocabulary.compiling import compiled

SIZES = (32, 64, 128)
"""Group sizes that are in use: 32 (GGUF, MX), 64 (nf4), 128 (GPTQ, AWQ)."""

CODES = 16
"""How many values a 4-bit code has."""


@dataclass(frozen=True)
class Groups:
    """Of the `groups` of `size` neighbouring values along the last axis, `varied` hold more than one value and
    `coarse` of those at most 16."""

    size: int
    groups: int
    varied: int
    coarse: int


@compiled
def _coarse(patterns: NDArray[np.uint32], size: int, counts: NDArray[np.int64]) -> None:
    """Adds to `counts`: groups, groups with more than one value, those among them with at most 16."""
    seen = np.empty(17, np.uint32)
    for begin in range(0, patterns.size - size + 1, size):
        distinct = 0
        for place in range(begin, begin + size):
            known = False
            for k in range(distinct):
                if seen[k] == patterns[place]:
                    known = True
                    break
            if not known:
                seen[distinct] = patterns[place]
                distinct += 1
                if distinct == 17:
                    break
        counts[0] += 1
        if distinct > 1:
            counts[1] += 1
            if distinct <= 16:
                counts[2] += 1


def count_groups(tensor: Tensor, workspace: Workspace) -> tuple[Groups, ...]:
    """For each group size that divides the last axis, how many groups look like widened 4-bit codes.

    Reads the tensor once. Empty for tensors that are no weights, are wider than 32 bits or have no axis that long.
    """
    sizes = [size for size in SIZES if tensor.shape and tensor.shape[-1] and tensor.shape[-1] % size == 0]
    if not tensor.dtype.measurable or tensor.dtype.bits > 32 or not sizes:
        return ()
    counts = np.zeros((len(sizes), 3), np.int64)
    for chunk in tensor.chunks(workspace.buffer):
        patterns = chunk.astype(np.uint32)
        for place, size in enumerate(sizes):
            _coarse(patterns, size, counts[place])
    return tuple(Groups(size, *(int(count) for count in row)) for size, row in zip(sizes, counts, strict=True))
