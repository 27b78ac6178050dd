"""The rank of a change: how many singular values of Δ stand above what storing the weights rounded away.

Storing w + δ in a type moves each entry by up to half a unit in the last place: noise of standard deviation at most
√(mean ulp²/12), a matrix of which has its largest singular value near that times √m + √n (Marchenko–Pastur). The
singular values above this edge are counted. Where some of them lie little above it (the noise is not the same in all
entries) and the spectrum falls by a third or more at once before them, down to the size of the noise, the fall counts.

A change is called numerically low in rank where the rest is at most the rounding and the values above it hold most of
the energy: so a LoRA of rank r shows itself, merged or not. A dense change below the resolution of its type has a
rest at the rounding level, too, but holds its energy there.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from kaibo.chapters.census.moments import MANTISSA_BITS
from kaibo.chapters.census.provenance import provenance
from kaibo.chapters.diff.rows import DIFF_SPECTRUM, ChangeSpectrum
from kaibo.chapters.spectrum.effective_ranks import key_of
from kaibo.chapters.spectrum.gaussian_matrix import gaussian
from kaibo.chapters.spectrum.singular_values import measures_of
from kaibo.vocabulary import Census, Finding, PairRow, Spectrum, SpectrumRow, points
from kaibo.words import note

NOTES = (
    note("change_rank"),
    note("change_noise"),
)

TOLERANCE = 1.25
"""The rest counts as rounding up to so many times the noise of the stored type."""

FALL = 1.5
"""Gaussian noise of 16 or more directions falls by no more than a third from one singular value to the next."""

MOST_ENERGY = 0.5

_LEAST = {"F64": -1074, "F32": -149, "F16": -24, "BF16": -133}
_BITS = {**MANTISSA_BITS, "F32": 23, "F64": 52}


@dataclass(frozen=True)
class Ranked:
    """How many singular values stand above the noise, their share of the energy, and what is left per entry."""

    rank: int
    energy: float
    gap: float | None
    rest: float


def change_spectra(rows: Sequence[SpectrumRow], base: str) -> Finding[ChangeSpectrum]:
    """The rank and the other measures of every matrix of a change; what is no matrix is left out."""
    found = tuple(_row(row, base) for row in rows if row.spectrum is not None)
    return Finding(DIFF_SPECTRUM, found, NOTES, provenance([row.row for row in rows]))


def _row(row: SpectrumRow, base: str) -> ChangeSpectrum:
    spectrum, of = row.spectrum, row.row
    assert spectrum is not None, "only matrices have a rank"
    found = measures_of(spectrum)
    why = dict(found.why)
    ranked = None
    if spectrum.method == "none":
        why |= dict.fromkeys(("rank", "low_rank", "energy", "gap", "rest"), why["spectral_norm"])
    else:
        ranked = rank_above(spectrum, row.noise or 0.0)
        why |= {} if ranked.gap is not None else {"gap": "nothing above, or nothing below"}
    low = None if ranked is None else is_low(ranked, spectrum, row.noise or 0.0)
    return ChangeSpectrum(
        base=base,
        tuned=of.model,
        by="tensor",
        key=key_of(row),
        tensor=of.tensor,
        part=row.part,
        layer=of.layer,
        role=of.role,
        shape=(spectrum.rows, spectrum.columns),
        method=spectrum.method,
        rank=None if ranked is None else ranked.rank,
        low_rank=low,
        energy=None if ranked is None else ranked.energy,
        gap=None if ranked is None else ranked.gap,
        noise=row.noise,
        rest=None if ranked is None else ranked.rest,
        **{name: getattr(found, name) for name in _SHARED},
        why={name: reason for name, reason in why.items() if name in ChangeSpectrum.__dataclass_fields__},
    )


_SHARED = (
    *("spectral_norm", "error", "stable_rank", "entropy_rank", "erank", "rank90", "rank99", "alpha", "alpha_error"),
    *("alpha_distance", "above", "intervals"),
)


def rank_above(spectrum: Spectrum, noise: float) -> Ranked:
    """How many singular values stand above noise of at most this size per entry."""
    squares = spectrum.values**2
    total = float(squares.sum()) if spectrum.complete else max(spectrum.square, float(squares.sum()))
    if total == 0.0:
        return Ranked(0, 0.0, None, 0.0)
    floor = max(spectrum.error if spectrum.complete else 0.0, float(spectrum.values[0]) * 2.0**-24)
    edge = gaussian(spectrum.rows, spectrum.columns, noise * noise * spectrum.rows * spectrum.columns).limit
    rank = _fall(spectrum, int(np.count_nonzero(spectrum.values > max(floor, edge))), total, noise)
    gap = None
    if 0 < rank < spectrum.values.size and spectrum.values[rank] > 0:
        gap = float(spectrum.values[rank - 1] / spectrum.values[rank])
    return Ranked(rank, min(1.0, float(squares[:rank].sum()) / total), gap, _rest(spectrum, rank, total))


def _fall(spectrum: Spectrum, counted: int, total: float, noise: float) -> int:
    """The place of the steepest fall among the values counted, where what lies below it is noise; else their count."""
    values = spectrum.values[: counted + 1]
    if values.size < 2 or not noise:
        return counted
    falls = values[:-1] / np.maximum(values[1:], np.finfo(np.float64).tiny)
    place = int(np.argmax(falls)) + 1
    steep = falls[place - 1] >= FALL and _rest(spectrum, place, total) <= TOLERANCE * noise
    return place if steep else counted


def _rest(spectrum: Spectrum, rank: int, total: float) -> float:
    """What lies below the rank as a standard deviation per entry."""
    free = (spectrum.rows - rank) * (spectrum.columns - rank)
    return math.sqrt(max(0.0, total - float((spectrum.values[:rank] ** 2).sum())) / free) if free > 0 else 0.0


def is_low(ranked: Ranked, spectrum: Spectrum, noise: float) -> bool:
    """Whether a change is numerically of low rank."""
    floor = float(spectrum.values[0]) * 2.0**-24 if spectrum.values.size else 0.0
    small = 0 < ranked.rank <= spectrum.whole // 2
    return small and ranked.energy >= MOST_ENERGY and ranked.rest <= TOLERANCE * max(noise, floor, spectrum.error)


def storing_noise(row: PairRow) -> float:
    """√(mean ulp²/12): what rounding each of the base's weights once to the tuned model's type does per entry."""
    census, dtype = row.base_census, row.tuned_dtype
    if dtype not in _LEAST or dtype not in _BITS:
        return 0.0
    return _noise(census, _BITS[dtype], _LEAST[dtype])


def _noise(census: Census, bits: int, least: int) -> float:
    found = points(census)
    size = np.maximum(np.abs(found.low), np.abs(found.high))
    exponents = np.where(size > 0, np.frexp(size)[1].astype(np.int64) - 1 - bits, least)
    steps = np.ldexp(1.0, np.maximum(exponents, least))
    counts = found.counts.astype(np.float64)
    return math.sqrt(float((counts * steps * steps).sum()) / 12 / float(counts.sum())) if counts.sum() else 0.0
