"""What arithmetic leaves behind: a norm added in few bits is a whole multiple of a coarse power of two.

A sum of float16 numbers is a multiple of 2⁻²⁴, the least float16, and mostly of something coarser; L2 as its root
keeps that in its square. A norm added in full precision has no such step: the nearest multiple of 2⁻ᵏ to the square
of an L2 lies within what the last bit of L2 leaves open with the chance 2·L2·ulp(L2)·2ᵏ.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

FINEST = 40
"""Steps down to 2 to minus this are looked for."""

CHANCE = 1e-6
"""A step that a norm of full precision would show with more than this chance is none."""


@dataclass(frozen=True)
class Step:
    """The largest power of two of which a number is a whole multiple, and the chance that any number would be."""

    size: float
    chance: float


def step_of_sum(value: float) -> Step | None:
    """The step of a sum, None where it has as many bits as full precision leaves.

    >>> step_of_sum(277361.125), step_of_sum(0.1)
    (Step(size=0.125, chance=4.65...e-10), None)
    """
    if not math.isfinite(value) or value == 0:
        return None
    whole, parts = value.as_integer_ratio()
    size = (whole & -whole) / parts
    chance = math.ulp(value) / size
    return Step(size, chance) if chance <= CHANCE else None


def step_of_square(root: float) -> Step | None:
    """The step of the square of a root that was rounded once, None where none is coarse enough to mean anything.

    >>> step_of_square(16.658565739582745)
    Step(size=0.0078125, chance=1.5...e-11)
    >>> step_of_square(16.658565739582741) is None
    True
    """
    if not math.isfinite(root) or not 0 < root < 2.0**20:
        return None
    for bits in range(FINEST + 1):
        whole = round(root * root * 2.0**bits)
        if whole and math.sqrt(whole / 2.0**bits) == root:
            chance = 2 * root * math.ulp(root) * 2.0**bits
            return Step(2.0**-bits, chance) if chance <= CHANCE else None
    return None
