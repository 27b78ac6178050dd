"""The little that is read beside the census: rows of the table of tokens, samples of stacked experts, scales."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from kaibo.chapters.check.rows import Fault, fault
from kaibo.chapters.check.tokens import Table
from kaibo.models.packings import group_of
from kaibo.vocabulary import Model, Tensor, floats_of

SHARE, LEAST = 0.02, 8 << 20
"""Of a model's bytes are read again for its table of tokens, but so many bytes in any case."""

RUN = 64
"""Rows that are read at a time: consecutive ones, since tokens that are kept free lie together."""

SAMPLE = 1024
"""Values of each stacked expert that are looked at, at its beginning, its middle and its end."""

FEW = 4


def table_of(model: Model) -> Table | None:
    """The rows of the one table of tokens, all of them where they are few, else runs of them evenly spread."""
    found = [tensor for tensor in model.weights if tensor.role == "embedding" and len(tensor.shape) == 2]
    if len(found) != 1 or not found[0].size:
        return None
    (tensor,) = found
    rows, long = tensor.shape
    budget = max(LEAST, int(SHARE * sum(one.size * one.dtype.itemsize for one in model.weights)))
    most = max(RUN, budget // (long * max(tensor.dtype.itemsize, 1)))
    step = RUN if most >= rows else RUN * math.ceil(rows / most)
    begins = [*range(0, rows, step)]
    tail = max(0, rows - RUN)
    begins = begins if step == RUN else sorted({*begins, tail})
    weights = np.random.default_rng(0).standard_normal(long)
    parts = [_sums(tensor, first, min(first + RUN, rows), weights) for first in begins]
    ids = np.concatenate([np.arange(first, min(first + RUN, rows)) for first in begins])
    once = np.unique(ids, return_index=True)[1]
    squares, mixed = (np.concatenate([part[k] for part in parts])[once] for k in (0, 1))
    return Table(tensor.canonical, rows, ids[once].astype(np.int64), squares, mixed)


def _sums(
    tensor: Tensor, first: int, last: int, weights: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    long = tensor.shape[1]
    values = floats_of(tensor, first * long, last * long).reshape(last - first, long).astype(np.float64)
    with np.errstate(all="ignore"):
        return (values * values).sum(axis=1), (values * weights).sum(axis=1)


def stacked_experts(model: Model) -> Iterator[Fault]:
    """Experts that lie in one tensor and are equal to another, or hold nothing, where they were looked at."""
    for tensor in model.weights:
        if tensor.role.startswith("expert.") and len(tensor.shape) == 3 and tensor.shape[0] > 1:
            yield from _stacked(tensor)


def _stacked(tensor: Tensor) -> Iterator[Fault]:
    experts, size = tensor.shape[0], math.prod(tensor.shape[1:])
    seen: dict[bytes, int] = {}
    for expert in range(experts):
        looked = min(SAMPLE, size)
        places = sorted({0, (size - looked) // 2, size - looked})
        found = np.concatenate([floats_of(tensor, expert * size + at, expert * size + at + looked) for at in places])
        name = f"{tensor.canonical}[{expert}]"
        if not found.any():
            yield fault("dead-expert", name, size="0", usual="–")
        elif np.unique(found[:looked]).size > 1:
            before = seen.setdefault(found.tobytes(), expert)
            if before != expert:
                first = f"{tensor.canonical}[{before}]"
                yield fault("equal-experts", name, first=first, others=name, n=f"{found.size:,} of {size:,}")


def scales(model: Model) -> Iterator[Fault]:
    """Scales of packed weights that are not numbers, and those that are one in every weight."""
    ones, counted = [], 0
    for tensor in model.weights:
        group = group_of(tensor)
        for part in group.parts.values() if group is not None else ():
            if not part.dtype.measurable or not part.name.rpartition(".")[2].endswith(_ENDINGS) or not part.size:
                continue
            found = floats_of(part)
            counted += 1
            odd = int((~np.isfinite(found)).sum())
            if odd:
                yield fault("scale", part.name, weight=tensor.canonical, count=f"{odd:,}", n=f"{part.size:,}")
            elif (found == 1).all():
                ones.append(part)
    if ones and len(ones) == counted and (counted >= FEW or sum(part.size for part in ones) >= FEW):
        yield fault("scale-one", ones[0].name, count=f"{counted:,}", n=f"{sum(part.size for part in ones):,}")


_ENDINGS = ("scale", "scales", "scale_inv", "scale_2", "absmax", "SCB", "scale_weight", "scaling_factor")
