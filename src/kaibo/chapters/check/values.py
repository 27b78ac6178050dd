"""What is wrong with the values of single tensors, from their censuses alone."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator

import numpy as np

from kaibo.chapters.census.moments import zeros
from kaibo.chapters.check.rows import Fault, fault
from kaibo.vocabulary import Census, Row, points, sums
from kaibo.vocabulary.findings import BUFFER

PLAIN = ("norm", "bias", BUFFER)
"""Roles (or the beginnings of them) whose tensors may well hold one value: a norm of ones, a bias of zeros."""

FEWEST = 64
"""A tensor of fewer values may hold one value by right: a gate, a scale."""

LARGEST, LARGE, LARGE_SHARE = 2.0**40, 2.0**12, 0.01
"""No trained weight is beyond the first; no trained matrix has that share of values beyond the second."""


def values(rows: Iterable[Row]) -> Iterator[Fault]:
    """Values that no training leaves: not finite, all zero, all the same, or memory that nobody wrote."""
    for row in rows:
        if row.census is not None and row.role != BUFFER:
            yield from _of(row, row.census)


def is_matrix(row: Row) -> bool:
    """Whether a tensor is one of many trained numbers: no norm, bias, mask, gate or table of one row."""
    plain = row.role.rpartition(".")[2].endswith(PLAIN) or row.role.startswith(PLAIN)
    return not plain and len(row.shape) > 1 and row.n >= FEWEST and min(row.shape) > 1


def _of(row: Row, census: Census) -> Iterator[Fault]:
    if census.nonfinite:
        infinite = census.positive_infinity + census.negative_infinity
        yield fault("nonfinite", row.tensor, nan=f"{census.nan:,}", infinite=f"{infinite:,}", n=f"{census.n:,}")
    if not is_matrix(row) or census.minimum is None or census.maximum is None:
        return
    if zeros(census) == census.n:
        yield fault("zero", row.tensor, n=f"{census.n:,}")
    elif census.minimum == census.maximum and not census.nonfinite:
        yield fault("constant", row.tensor, n=f"{census.n:,}", value=f"{census.minimum:.6g}")
    else:
        yield from _unwritten(row, census)


def _unwritten(row: Row, census: Census) -> Iterator[Fault]:
    """Values as they lie in memory that nothing was written to: of all sizes up to the greatest of the type."""
    greatest = max(abs(census.minimum or 0.0), abs(census.maximum or 0.0))
    found = points(census)
    large = int(found.counts[np.minimum(np.abs(found.low), np.abs(found.high)) > LARGE].sum())
    if greatest > LARGEST or large > LARGE_SHARE * census.n:
        yield fault("unwritten", row.tensor, greatest=f"{greatest:.3g}", large=f"{large:,}", n=f"{census.n:,}")


def rms(row: Row) -> float:
    """The root of the mean square of a tensor's finite values; NaN where it has none."""
    if row.census is None:
        return math.nan
    found = sums([row.census])
    return math.sqrt(found.square / found.finite) if found.finite else math.nan
