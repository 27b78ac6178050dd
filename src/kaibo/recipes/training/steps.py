"""At which steps a pre-training run keeps a checkpoint."""

from __future__ import annotations


def checkpoint_steps(steps: int, log: int, linear: int) -> tuple[int, ...]:
    """`log` steps evenly spaced in their logarithm from 1, and `linear` evenly spaced ones, the last among both.

    >>> checkpoint_steps(64, 4, 4)
    (1, 4, 16, 32, 48, 64)
    """
    spaced = [steps ** (place / max(log - 1, 1)) for place in range(log)]
    even = [steps * (place + 1) / linear for place in range(linear)]
    return tuple(sorted({max(1, round(step)) for step in [*spaced, *even, steps]}))
