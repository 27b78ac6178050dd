"""Whether matrices still are what they were before training: Gaussian with the σ that the config starts from.

The null is the start: independent normal values of mean 0 and σ = `initializer_range` (of projections out of a
block also that divided by √(2·layers), as GPT-2 starts). Under it, of n values, √(n/2)·(s²/σ² − 1), √n·mean/σ and
√(n/24)·(excess kurtosis) are standard normal; a matrix looks untrained where none of the three is beyond `BEYOND`,
which a matrix at its start fails with probability `MISSED`.

A trained matrix may look so by chance. Where ln(s/σ) of trained matrices has a density of at most 1/1.4 and their
excess kurtosis one of at most 1 near 0 (both are far below that in models that were looked at), n values look so with
probability at most p(n) = (2·w/1.4)·(2·v), w and v being half the widths of the two windows. So many look untrained by
chance as a Poisson number of mean Σp; only where more do than that has with probability `ALARM` is anything said.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from kaibo.chapters.census.moments import bins, shape
from kaibo.chapters.check.rows import Fault, fault
from kaibo.chapters.check.values import is_matrix
from kaibo.vocabulary import Row, sums

ALARM = 1e-3
"""Probability that anything is said of a model that was trained."""

MISSED = 1e-3
BEYOND = 3.6
"""Standard deviations: three tests of a normal, together `MISSED`."""

FEWEST = 512
"""Values below which a fourth moment tells nothing."""

SPREAD, DENSITY = 1.4, 1.0


@dataclass(frozen=True)
class Looked:
    """A matrix against its start: σ ÷ that of the start, excess kurtosis, whether it looks untrained, p(n)."""

    row: Row
    ratio: float
    kurtosis: float
    alike: bool
    chance: float


def untrained(rows: Sequence[Row], start: float | None, layers: int | None) -> Iterator[Fault]:
    """The matrices that still look as they started; nothing where the config does not say from which σ."""
    if start is None or not 0 < start < math.inf:
        return
    looked = [_looked(row, start, layers) for row in rows if _asked(row)]
    alike = [one for one in looked if one.alike]
    expected = math.fsum(one.chance for one in looked)
    if not alike or beyond(len(alike), expected) >= ALARM:
        return
    said = {"start": f"{start:g}", "count": len(alike), "of": len(looked), "expected": f"{expected:.2g}"}
    if len(alike) == len(looked):
        ratios = [one.ratio for one in alike]
        kurtosis = max(abs(one.kurtosis) for one in alike)
        low, high = f"{min(ratios):.3f}", f"{max(ratios):.3f}"
        yield fault("untrained", None, **said, low=low, high=high, kurtosis=f"{kurtosis:.2g}")
        return
    for one in alike:
        yield fault(
            "untrained-tensor", one.row.tensor, **said, ratio=f"{one.ratio:.4f}", kurtosis=f"{one.kurtosis:+.3f}"
        )


def _asked(row: Row) -> bool:
    return is_matrix(row) and row.n >= FEWEST and row.census is not None and not row.census.nonfinite


def _looked(row: Row, start: float, layers: int | None) -> Looked:
    assert row.census is not None, "only what was counted is asked for"
    found = sums([row.census])
    n = found.finite
    starts = [start, *([start / math.sqrt(2 * layers)] if layers else [])]
    sigma = min(starts, key=lambda one: abs(math.log(max(found.variance, 1e-300) / one**2)))
    mean = found.signed / n
    kurtosis = shape(bins([row.census]), mean, found.variance, n).kurtosis
    apart = (
        math.sqrt(n / 2) * (found.variance / sigma**2 - 1),
        math.sqrt(n) * mean / sigma,
        math.sqrt(n / 24) * kurtosis,
    )
    alike = all(abs(one) <= BEYOND for one in apart)
    half, width = BEYOND / math.sqrt(2 * n), BEYOND * math.sqrt(24 / n)
    chance = min(1.0, 2 * half * len(starts) / SPREAD) * min(1.0, 2 * width * DENSITY)
    return Looked(row, math.sqrt(found.variance) / sigma, kurtosis, alike, chance)


def beyond(count: int, mean: float) -> float:
    """P(N ≥ count) of a Poisson number.

    >>> round(beyond(1, 0.5), 4), beyond(0, 0.5)
    (0.3935, 1.0)
    """
    below, term = 0.0, math.exp(-mean)
    for k in range(count):
        below += term
        term *= mean / (k + 1)
    return max(0.0, 1.0 - below)
