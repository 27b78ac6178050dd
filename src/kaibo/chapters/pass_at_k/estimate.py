"""pass@k and what stands beside it, from how many samples of each problem passed.

After Chen et al. 2021 (arXiv:2107.03374): of n samples c passed, and the chance that none of k drawn without
replacement passes is C(n − c, k)/C(n, k).
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from kaibo.chapters.pass_at_k.rows import PassAtKRow, PassPair, Tally
from kaibo.uncertainty.discovery import benjamini_hochberg
from kaibo.uncertainty.intervals import mean_interval, wilson

DRAWS, SEED = 10_000, 20_210_707
"""Permutations of signs behind a p-value, and their seed."""


def pass_at_k(n: int, c: int, k: int) -> float:
    """The unbiased estimate from n samples of which c passed, as a product: no binomial coefficient is formed.

    Raises ValueError unless 0 ≤ c ≤ n and 1 ≤ k ≤ n.

    >>> [round(pass_at_k(*each), 12) for each in ((5, 1, 1), (10, 3, 10), (200, 1, 100))]
    [0.2, 1.0, 0.5]
    """
    if not (0 <= c <= n and 1 <= k <= n):
        raise ValueError(f"pass@{k} of {c} among {n}")
    if n - c < k:
        return 1.0
    return float(1.0 - np.prod(1.0 - k / np.arange(n - c + 1, n + 1)))


def rows_of(
    model: str, tallies: Sequence[Tally], ks: Sequence[int], verdicts: dict[str, int], sandbox: str
) -> list[PassAtKRow]:
    """One row for each k."""
    return [_row(model, tallies, k, verdicts, sandbox) for k in ks]


def _row(model: str, tallies: Sequence[Tally], k: int, verdicts: dict[str, int], sandbox: str) -> PassAtKRow:
    sizes = [tally.n for tally in tallies]
    seen = (len(tallies), sum(sizes), min(sizes), max(sizes), verdicts, sandbox)
    if k > min(sizes):
        short = min(tallies, key=lambda tally: tally.n)
        why = {"value": f"{short.problem} has {short.n} samples, fewer than {k}"}
        return PassAtKRow(model, k, None, None, None, None, *seen, why)
    value, stderr, low, high = _mean([pass_at_k(tally.n, tally.passed, k) for tally in tallies])
    if not stderr or low is None or high is None:  # all problems alike: no spread to see, which is not none
        low, high = wilson(value, len(tallies))
    return PassAtKRow(model, k, value, stderr, max(low, 0.0), min(high, 1.0), *seen)


def _mean(values: Sequence[float]) -> tuple[float, float | None, float | None, float | None]:
    """Mean, standard error over problems, 95 % interval (Student); no error from one problem."""
    mean = math.fsum(values) / len(values)
    if len(values) < 2:
        return mean, None, None, None
    spread = math.sqrt(math.fsum((value - mean) ** 2 for value in values) / (len(values) - 1) / len(values))
    found = mean_interval(values)
    return mean, spread, found.low, found.high


def pairs_of(one: tuple[str, Sequence[Tally]], other: tuple[str, Sequence[Tally]], ks: Sequence[int]) -> list[PassPair]:
    """Two files over the problems that both tried, a row for each k that every such problem has samples for."""
    (a, first), (b, second) = one, other
    beside = {tally.problem: tally for tally in second}
    both = [(tally, beside[tally.problem]) for tally in first if tally.problem in beside]
    if not both:
        return []
    fewest = min(min(left.n, right.n) for left, right in both)
    alone = (
        sum(left.passed > 0 and not right.passed for left, right in both),
        sum(right.passed > 0 and not left.passed for left, right in both),
    )
    found = []
    for k in (k for k in ks if k <= fewest):
        differences = [pass_at_k(x.n, x.passed, k) - pass_at_k(y.n, y.passed, k) for x, y in both]
        found.append((k, *_mean(differences), _sign_p(differences)))
    corrected = benjamini_hochberg([row[-1] for row in found])
    return [PassPair(a, b, *row, q, *alone, len(both)) for row, q in zip(found, corrected, strict=True)]


def _sign_p(differences: Sequence[float]) -> float | None:
    """How often a mean this far from zero comes up when the signs of the differences are drawn by chance."""
    moved = np.array([value for value in differences if value != 0.0])
    if not len(moved):
        return None
    signs = np.random.default_rng(SEED).choice((-1.0, 1.0), size=(DRAWS, len(moved)))
    reached = np.abs(signs @ moved) >= abs(float(moved.sum())) - 1e-12
    return float((reached.sum() + 1) / (DRAWS + 1))
