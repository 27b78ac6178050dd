"""What one measured checkpoint says by itself, and how far two are apart: sums over all tensors, taken once."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from statistics import median

import numpy as np

from kaibo.chapters.census.groups import groups
from kaibo.chapters.digits.benford import mean_absolute_error
from kaibo.chapters.spectrum.effective_ranks import spectra
from kaibo.vocabulary import Census, PairRow, Row, SpectrumRow, sums
from kaibo.vocabulary.counts.points import digit_counts
from kaibo.vocabulary.findings import BUFFER
from kaibo.vocabulary.series import CheckpointFacts


def facts_of(
    rows: Sequence[Row], name: str, step: int | None, saved_step: int | None = None, ranks: Sequence[SpectrumRow] = ()
) -> CheckpointFacts:
    """The facts of one checkpoint from its rows and, where they were asked for, its spectra. Buffers do not count."""
    trained = [row for row in rows if row.census is not None and row.role != BUFFER]
    censuses = [row.census for row in trained if row.census is not None]
    counts = sum((digit_counts(census) for census in censuses), np.zeros(10, np.int64))[1:]
    stable, entropy = _medians(ranks)
    return CheckpointFacts(
        address=rows[0].model if rows else "",
        name=name,
        step=step,
        model_id=rows[0].model_id if rows else "",
        n=sum(census.n for census in censuses),
        norm=math.sqrt(sums(censuses).square),
        mae=float(mean_absolute_error(counts / counts.sum())) if counts.any() else math.nan,
        nonfinite=sum(census.nonfinite for census in censuses),
        sigma={str(group.key): _sigma(group.censuses()) for group in groups(trained, "role")},
        dtypes={row.tensor: row.dtype for row in rows},
        shapes={row.tensor: row.shape for row in rows},
        saved_step=saved_step,
        stable_rank=stable,
        entropy_rank=entropy,
    )


def _sigma(censuses: Sequence[Census]) -> float:
    return math.sqrt(sums(censuses).variance)


def _medians(rows: Sequence[SpectrumRow]) -> tuple[Mapping[str, float], Mapping[str, float]]:
    found: tuple[dict[str, list[float]], dict[str, list[float]]] = ({}, {})
    for row in spectra(rows).rows if rows else ():
        for values, value in zip(found, (row.stable_rank, row.entropy_rank), strict=True):
            if value is not None:
                values.setdefault(row.role, []).append(value)
    stable, entropy = ({role: median(values) for role, values in sorted(one.items())} for one in found)
    return stable, entropy


def distance(rows: Sequence[PairRow]) -> float:
    """‖θ_b − θ_a‖ over all tensors that two models share, buffers aside."""
    kept = [row.difference for row in rows if row.difference.role != BUFFER]
    return math.sqrt(sums(row.census for row in kept if row.census is not None).square)
