"""Permutation nulls: what a statistic would be if labels or orders had nothing to do with the values."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import permutations, product
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Numbers = NDArray[np.int64]
Kind = Literal["pearson", "spearman", "kendall"]

EXACT = 8
"""Up to this many models all permutations are tried."""

DRAWS = 10_000


def permutation_p(x: Floats, y: Floats, kind: Kind = "pearson", seed: int = 0) -> float:
    """The share of permutations of y with a coefficient at least as far from zero; all of them up to `EXACT` models,
    else 10,000 drawn ones (the observed order counted among them). Ranks have to be taken before.
    """
    n = len(x)
    if n <= EXACT:
        orders = np.array(list(permutations(range(n))))
    else:
        draws = min(DRAWS, max(200, int(4e8 / n**2))) if kind == "kendall" else min(DRAWS, max(200, int(2e8 / n)))
        orders = np.random.default_rng(seed).permuted(np.tile(np.arange(n), (draws, 1)), axis=1)
    if kind == "kendall":
        signs, others = np.sign(x[:, None] - x[None]), np.sign(y[:, None] - y[None])
        values = np.array([float((signs * others[order][:, order]).sum()) for order in orders])
        observed = float((signs * others).sum())
    else:
        a = (x - x.mean()) / np.linalg.norm(x - x.mean())
        b = (y - y.mean()) / np.linalg.norm(y - y.mean())
        values, observed = b[orders] @ a, float(a @ b)
    far = int((np.abs(values) >= abs(observed) - 1e-12 * max(1.0, abs(observed))).sum())
    return far / len(orders) if n <= EXACT else (far + 1) / (len(orders) + 1)


def arrangements(labels: Numbers) -> int:
    """In how many ways labels can be given out."""
    counts = Counter(labels.tolist()).values()
    return math.factorial(labels.size) // math.prod(math.factorial(count) for count in counts)


def every_labelling(labels: Numbers, blocks: Sequence[NDArray[np.intp]]) -> Iterator[Numbers]:
    """Every way to give the labels out anew within the blocks."""
    for parts in product(*(list(_orders(sorted(labels[block].tolist()))) for block in blocks)):
        labelled = labels.copy()
        for block, part in zip(blocks, parts, strict=True):
            labelled[block] = part
        yield labelled


def _orders(labels: list[int]) -> Iterator[list[int]]:
    """Every different order of labels that may repeat."""
    if not labels:
        yield []
    for first in dict.fromkeys(labels):
        rest = labels.copy()
        rest.remove(first)
        for others in _orders(rest):
            yield [first, *others]


def drawn_labellings(
    labels: Numbers, blocks: Sequence[NDArray[np.intp]], draws: int, rng: np.random.Generator
) -> Iterator[Numbers]:
    """Labels shuffled within the blocks, `draws` times."""
    for _ in range(draws):
        labelled = labels.copy()
        for block in blocks:
            labelled[block] = rng.permutation(labels[block])
        yield labelled
