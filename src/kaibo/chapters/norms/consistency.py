"""Norms that cannot be: what every vector obeys, put to numbers that somebody reported.

For a vector of n values L1 ≤ √n·L2 (Cauchy–Schwarz), L2 ≤ L1, and L2 ≤ √(L1·L∞) (Hölder).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from kaibo.chapters.norms.rows import NormsRow
from kaibo.errors import UsageError

SLACK = 1 + 1e-12


def consistent_norms(n: int, l1: float, l2: float, linf: float | None = None, *, name: str | None = None) -> NormsRow:
    """Whether these can be norms of one vector of `n` values; `why` says what cannot be. `name` is what to call it.

    Raises UsageError for a number that is no norm or a vector of no values.

    >>> consistent_norms(8_030_261_248, 283154.5, 2.7612).holds
    False
    >>> consistent_norms(8_030_261_248, 150000.0, 2.7612).holds
    True
    """
    norms = {"L1": l1, "L2": l2, **({} if linf is None else {"L∞": linf})}
    for kind, norm in norms.items():
        if not (math.isfinite(norm) and norm >= 0):
            raise UsageError(f"{kind} of {norm} is no norm", next="give a number that is not negative")
    if n < 1:
        raise UsageError(f"a vector of {n} values has no norms", next="give the number of weights")
    most = math.sqrt(n) * l2
    needed = math.ceil(((l1 / l2) * (l1 / l2)) / SLACK**2) if l2 else None
    sum_step, square_step = step_of_sum(l1), step_of_square(l2)
    broken = dict(_broken(l1, l2, linf, most))
    return NormsRow(
        n=n,
        l1=l1,
        l2=l2,
        linf=linf,
        holds=not broken,
        l1_most=most,
        times=l1 / most if most else None,
        needed=max(needed, 1) if needed is not None else None,
        l1_step=None if sum_step is None else sum_step.size,
        square_step=None if square_step is None else square_step.size,
        by_chance=None if square_step is None else square_step.chance,
        vector=name,
        why=broken,
    )


def _broken(l1: float, l2: float, linf: float | None, most: float) -> list[tuple[str, str]]:
    found = []
    if l1 > most * SLACK:
        found.append(("l1", "L1 is more than √n·L2"))
    if l2 > l1 * SLACK:
        found.append(("l2", "L2 is more than L1"))
    if linf is not None and l2 > math.sqrt(l1 * linf) * SLACK:
        found.append(("linf", "L2 is more than √(L1·L∞)"))
    if linf is not None and linf > l2 * SLACK:
        found.append(("linf", "L∞ is more than L2"))
    return found


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
