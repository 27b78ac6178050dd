"""The compiled search over families: depth first, Gram matrices added, branches cut by what all the rest would give."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kaibo.vocabulary.compiling import compiled

Floats = NDArray[np.float64]


def _search(
    whole: Any, grams: Any, rest: Any, costs: Any, budget: float, most: int, start: Any, best: float, chosen: Any,
    most_nodes: int,
) -> Any:  # fmt: skip
    """Branch and bound over in/out decisions. `rest[i]` is the sum of the Gram matrices of families i, i + 1, …

    Returns the best value and the number of nodes; `chosen` holds the best subset. −1 nodes when cut off.
    """
    count, size = grams.shape[0], grams.shape[1]
    sums = np.zeros((count + 1, size, size))
    sums[0] = start
    taken = np.zeros(count, dtype=np.int64)
    state = np.zeros(count + 1, dtype=np.int64)  # 0: enter, 1: took the family, 2: left it out
    spent = np.zeros(count + 1)
    number = np.zeros(count + 1, dtype=np.int64)
    lower = np.zeros((size, size))
    depth = 0
    nodes = 0
    while depth >= 0:
        if state[depth] == 0:
            nodes += 1
            if nodes > most_nodes:
                return best, -1
            fresh = depth == 0 or taken[depth - 1] == 1
            for kind in range(2):  # the value of what is chosen (when it changed), then the bound of the branch
                if kind == 0 and not fresh:
                    continue
                value = 0.0
                singular = False
                largest = 0.0
                for i in range(size):
                    diagonal = sums[depth, i, i] + (rest[depth, i, i] if kind else 0.0)
                    largest = max(largest, diagonal)
                for i in range(size):
                    for j in range(i + 1):
                        s = sums[depth, i, j] + (rest[depth, i, j] if kind else 0.0)
                        for k in range(j):
                            s -= lower[i, k] * lower[j, k]
                        if i == j:
                            if s <= 1e-12 * largest:
                                singular = True
                                break
                            lower[i, i] = np.sqrt(s)
                        else:
                            lower[i, j] = s / lower[j, j]
                    if singular:
                        break
                if singular:
                    value = -np.inf
                else:
                    # trace(W (L Lᵀ)⁻¹) = Σ over columns of W of wᵀ… ; done by inverting L in place of a library call
                    for c in range(size):
                        column = np.zeros(size)
                        for i in range(size):
                            s = 1.0 if i == c else 0.0
                            for k in range(i):
                                s -= lower[i, k] * column[k]
                            column[i] = s / lower[i, i]
                        for i in range(size - 1, -1, -1):
                            s = column[i]
                            for k in range(i + 1, size):
                                s -= lower[k, i] * column[k]
                            column[i] = s / lower[i, i]
                        for i in range(size):
                            value -= whole[c, i] * column[i]
                if kind == 0 and value > best:
                    best = value
                    chosen[:] = taken
                    chosen[depth:] = 0
                if kind == 1 and (value <= best + 1e-12 * abs(best) or depth == count):
                    state[depth] = 2
                    depth -= 1
                    break
            if depth >= 0 and state[depth] == 0:
                state[depth] = 1
                if spent[depth] + costs[depth] <= budget * (1 + 1e-12) and number[depth] < most:
                    taken[depth] = 1
                    for i in range(size):
                        for j in range(size):
                            sums[depth + 1, i, j] = sums[depth, i, j] + grams[depth, i, j]
                    spent[depth + 1] = spent[depth] + costs[depth]
                    number[depth + 1] = number[depth] + 1
                    depth += 1
                    state[depth] = 0
            continue
        if state[depth] == 1:
            state[depth] = 2
            taken[depth] = 0
            for i in range(size):
                for j in range(size):
                    sums[depth + 1, i, j] = sums[depth, i, j]
            spent[depth + 1] = spent[depth]
            number[depth + 1] = number[depth]
            depth += 1
            state[depth] = 0
            continue
        depth -= 1
    return best, nodes


@cache
def _kernel() -> Callable[..., tuple[float, int]]:
    return compiled(_search)


def branch_and_bound(
    whole: Floats, grams: Floats, costs: Floats, budget: float, most: int, start: Floats,
    incumbent: tuple[float, NDArray[np.int64]], most_nodes: int,
) -> tuple[float, NDArray[np.int64], bool]:  # fmt: skip
    """The best subset of families (as 0/1), its value, and whether the search was completed.

    `whole` = XᵀX (k, k), `grams` (families, k, k), `start` the Gram matrix of what must be in, `incumbent` a value
    and subset already known (a greedy one cuts many branches).
    """
    rest = np.concatenate([np.cumsum(grams[::-1], axis=0)[::-1], np.zeros((1, *whole.shape))])
    chosen = incumbent[1].copy()
    value, nodes = _kernel()(
        np.ascontiguousarray(whole), np.ascontiguousarray(grams), np.ascontiguousarray(rest), costs.astype(np.float64),
        float(budget), int(most), np.ascontiguousarray(start), float(incumbent[0]), chosen, int(most_nodes),
    )  # fmt: skip
    return float(value), chosen, nodes >= 0
