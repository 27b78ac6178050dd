"""The inside of a bin: the magnitudes that share an upper half, one by one, where a census knows only their sums."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, eq=False)
class Resolved:
    """How many float32 values of either sign have each magnitude with the upper half `upper` (below 0x7F80).

    `lows` are the lower halves that occur, ascending, and `counts` how many values have each.
    """

    upper: int
    lows: NDArray[np.uint32]
    counts: NDArray[np.uint64]

    @property
    def magnitudes(self) -> NDArray[np.float64]:
        """The magnitude of each entry, exact."""
        patterns: NDArray[np.uint32] = (np.uint32(self.upper) << np.uint32(16)) | self.lows
        return patterns.view(np.float32).astype(np.float64)


ByContent = Mapping[tuple[str, int], Resolved]
"""What has been resolved, by the content of a tensor and the upper half."""


def upper_half(magnitude: float) -> int:
    """The upper 16 bits of a float32 that is not negative.

    >>> hex(upper_half(1.0))
    '0x3f80'
    """
    return int(np.float32(magnitude).view(np.uint32)) >> 16


def added(parts: Iterable[Resolved]) -> Resolved:
    """Several of one upper half together. Raises ValueError for none, or for different ones."""
    several = list(parts)
    uppers = {part.upper for part in several}
    if len(uppers) != 1:
        raise ValueError(f"bins of one upper half add; these are {sorted(uppers)}")
    table = np.zeros(1 << 16, np.uint64)
    for part in several:
        table[part.lows] += part.counts
    lows = np.flatnonzero(table).astype(np.uint32)
    return Resolved(uppers.pop(), lows, table[lows])
