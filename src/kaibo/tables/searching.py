"""The compiled searches behind `averages`: plain loops, since almost every candidate falls at the first row.

Each function stands alone (no calls among them), so that its compiled form can be kept on disk.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kaibo.vocabulary.compiling import compiled

MOST_HITS = 100_000


def _subsets(values: Any, here: Any, rounding: Any, size: int, hits: Any) -> int:
    columns = values.shape[1]
    count = 0
    for target in range(columns):
        for a in range(columns):
            for b in range(a + 1, columns):
                if a == target or b == target:
                    continue
                last = columns if size >= 3 else b + 1
                for c in range(b, last):  # c == b stands for the pair alone
                    if c == target:
                        continue
                    widest = max(rounding[a], rounding[b], rounding[c])
                    limit = (rounding[target] + widest) * (1 + 1e-6)
                    compared = 0
                    for row in range(values.shape[0]):
                        number = here[row, a] + here[row, b]
                        total = values[row, a] + values[row, b]
                        if c > b:
                            number += here[row, c]
                            total += values[row, c]
                        if number == 0 or not here[row, target]:
                            continue
                        if abs(total / number - values[row, target]) > limit:
                            compared = -1
                            break
                        compared += 1
                    if compared >= 2 and count < hits.shape[0]:
                        hits[count, 0] = target
                        hits[count, 1] = a
                        hits[count, 2] = b
                        hits[count, 3] = c if c > b else -1
                        count += 1
    return count


def _runs(values: Any, here: Any, rounding: Any, targets: Any, longest: int, hits: Any) -> int:
    columns = values.shape[1]
    count = 0
    for target in targets:
        for begin in range(columns):
            coarse = 0.0
            for end in range(begin + 1, min(begin + longest, columns) + 1):
                if begin <= target < end:
                    break
                coarse += rounding[end - 1]
                if end - begin <= 3:
                    continue
                limit = (rounding[target] + coarse / (end - begin)) * (1 + 1e-6)
                agrees = True
                for row in range(values.shape[0]):
                    number = 0
                    total = 0.0
                    for place in range(begin, end):
                        number += here[row, place]
                        total += values[row, place]
                    if number and here[row, target] and abs(total / number - values[row, target]) > limit:
                        agrees = False
                        break
                if agrees and count < hits.shape[0]:
                    hits[count, 0] = target
                    hits[count, 1] = begin
                    hits[count, 2] = end
                    count += 1
    return count


@cache
def _kernels() -> tuple[Callable[..., int], Callable[..., int]]:
    return compiled(_subsets), compiled(_runs)


Values = NDArray[np.float64]


def means_of_few(values: Values, rounding: Values, size: int) -> NDArray[np.int64]:
    """Rows of (target, a, b, c) where the target is the mean of a, b (and c, else −1) in every row; shape (hits, 4)."""
    hits = np.empty((MOST_HITS, 4), dtype=np.int64)
    here = ~np.isnan(values)
    count = _kernels()[0](np.where(here, values, 0.0), here.astype(np.int64), rounding, size, hits)
    return hits[:count]


def means_of_runs(values: Values, rounding: Values, targets: NDArray[np.int64], longest: int) -> NDArray[np.int64]:
    """Rows of (target, begin, end) where the target is the mean of the columns begin … end − 1; shape (hits, 3)."""
    hits = np.empty((MOST_HITS, 3), dtype=np.int64)
    here = ~np.isnan(values)
    count = _kernels()[1](np.where(here, values, 0.0), here.astype(np.int64), rounding, targets, longest, hits)
    return hits[:count]
