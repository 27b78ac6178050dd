"""What the singular values of a matrix say: norm, effective ranks, the tail's exponent, each beside a Gaussian's.

Four ranks, none of them the number of nonzero values:

    stable rank    ‖W‖_F² / σ₁²
    entropy rank   exp(H(p)) with p = σ²/Σσ², the shares of energy
    erank          exp(H(p)) with p = σ/Σσ: Roy and Vetterli, "The effective rank" (EUSIPCO 2007)
    rank90, rank99 the least k with σ₁² + … + σ_k² ≥ 90 %, 99 % of Σσ²

The null is a Gaussian matrix of the same shape and ‖W‖_F: its largest singular value lies near s·(√m + √n), s² the
mean square of the entries (Marchenko–Pastur), so its stable rank is mn/(√m + √n)², and its entropy rank is
k·exp(−k/(2·max)), k the smaller side (Page 1993).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kaibo.chapters.spectrum.gaussian_matrix import gaussian
from kaibo.chapters.spectrum.powerlaw import FEWEST, fit_tail, tail_p_value
from kaibo.vocabulary import Spectrum
from kaibo.words import note

Floats = NDArray[np.float64]
Interval = tuple[float, float]

_NUMBERS = (
    *("spectral_norm", "error", "frobenius", "stable_rank", "entropy_rank", "erank", "rank90", "rank99"),
    *("alpha", "alpha_error", "alpha_distance", "alpha_tail", "alpha_from", "alpha_p"),
)
_NULLS = ("gaussian_norm", "gaussian_stable_rank", "gaussian_entropy_rank", "above")


@dataclass(frozen=True)
class Measures:
    """What one matrix says; None where it cannot be said, with the reason under its name in `why`.

    `error` bounds how far the spectral norm is from a singular value. For a matrix of which only the largest values
    are known the ranks are None; `intervals` hold them and the spectral norm, by name, as (low, high).
    """

    spectral_norm: float | None = None
    error: float | None = None
    frobenius: float | None = None
    stable_rank: float | None = None
    entropy_rank: float | None = None
    erank: float | None = None
    rank90: int | None = None
    rank99: int | None = None
    alpha: float | None = None
    alpha_error: float | None = None
    alpha_distance: float | None = None
    alpha_tail: int | None = None
    alpha_from: float | None = None
    alpha_p: float | None = None
    gaussian_norm: float | None = None
    gaussian_stable_rank: float | None = None
    gaussian_entropy_rank: float | None = None
    above: int | None = None
    intervals: Mapping[str, Interval] = field(default_factory=dict)
    why: Mapping[str, str] = field(default_factory=dict)


def measures_of(spectrum: Spectrum | None, why: str = "", draws: int = 0, seed: int = 0) -> Measures:
    """The measures of one spectrum; with `draws` the exponent gets its p-value."""
    if spectrum is None or spectrum.method == "none":
        bad = 0 if spectrum is None else spectrum.nonfinite
        reason = note("audit_nonfinite", count=bad) if bad else why
        return Measures(why=dict.fromkeys([*_NUMBERS, *_NULLS], reason))
    if not spectrum.values.size or spectrum.values[0] == 0.0:
        reasons = dict.fromkeys([*_NUMBERS[3:], *_NULLS[1:3]], "all its values are zero")
        return Measures(0.0, 0.0, 0.0, gaussian_norm=0.0, above=0, why=reasons)
    top, unit = float(spectrum.values[0]), spectrum.values / spectrum.values[0]
    total = _energy(spectrum, unit)
    ranks, intervals, reasons = _ranks(spectrum, unit, total)
    tail = _tail(spectrum, unit, draws, seed)
    if tail["alpha"] is None:
        reasons |= dict.fromkeys(tail, f"fewer than {FEWEST} eigenvalues that differ stand above rounding")
    elif not draws:
        reasons["alpha_p"] = "no synthetic tails were drawn"
    null = gaussian(spectrum.rows, spectrum.columns, total)
    return Measures(
        spectral_norm=top,
        error=_error(spectrum),
        frobenius=top * math.sqrt(total),
        stable_rank=total,
        **ranks,
        **tail,
        gaussian_norm=top * null.norm,
        gaussian_stable_rank=null.stable_rank,
        gaussian_entropy_rank=null.entropy_rank,
        above=int(np.count_nonzero(unit > null.limit)),
        intervals=intervals,
        why=reasons,
    )


def _energy(spectrum: Spectrum, unit: Floats) -> float:
    """Σσ²/σ₁², from the values where all are known, else from the entries."""
    if spectrum.complete:
        return float((unit**2).sum())
    return max(float((unit**2).sum()), spectrum.square / float(spectrum.values[0]) ** 2)


def _error(spectrum: Spectrum) -> float:
    return spectrum.error if spectrum.complete else spectrum.residual


def _ranks(
    spectrum: Spectrum, unit: Floats, total: float
) -> tuple[
    dict[str, Any],
    dict[str, Interval],
    dict[str, str],
]:
    if spectrum.complete:
        energy = np.cumsum(unit**2) / total
        known: dict[str, Any] = {
            "entropy_rank": entropy_rank(unit**2),
            "erank": entropy_rank(unit),
            "rank90": int(np.searchsorted(energy, 0.9) + 1),
            "rank99": int(np.searchsorted(energy, 0.99) + 1),
        }
        return known, {}, {}
    names = ("entropy_rank", "erank", "rank90", "rank99")
    top = float(spectrum.values[0])
    found = {
        "spectral_norm": (top, math.hypot(top, spectrum.error)),
        "entropy_rank": _entropy_interval(spectrum, unit, total),
    }
    for name, share in (("rank90", 0.9), ("rank99", 0.99)):
        found[name] = _rank_interval(spectrum, unit, total, share)
    reasons = dict.fromkeys(names, f"only the {unit.size} largest singular values are known; see intervals")
    settled = {name: round(low) for name, (low, high) in found.items() if low == high and name in names[2:]}
    for name in settled:
        del reasons[name]
    return {name: settled.get(name) for name in names}, found, reasons


def entropy_rank(weights: Floats) -> float:
    """exp of the entropy of positive weights, divided by their sum; between one and their number.

    >>> round(entropy_rank(np.ones(8)), 12), round(entropy_rank(np.array([3.0, 0.0])), 12)
    (8.0, 1.0)
    """
    shares = weights[weights > 0] / weights.sum()
    return float(math.exp(-(shares * np.log(shares)).sum()))


def _rest(spectrum: Spectrum, unit: Floats, total: float) -> tuple[float, int, float]:
    """What the unknown values may be: their energy, their number, and the most that one of them may have."""
    least = float(unit[-1])
    most = least**2 + (spectrum.error / float(spectrum.values[0])) ** 2
    return max(total - float((unit**2).sum()), 0.0), spectrum.whole - unit.size, most


def _entropy_interval(spectrum: Spectrum, unit: Floats, total: float) -> Interval:
    """The unknown energy spread as evenly as can be (high), or in as few values as can be (low)."""
    energy, count, most = _rest(spectrum, unit, total)
    shares = unit**2 / total
    known = float(-(shares * np.log(shares)).sum())
    if not energy or not count:
        return math.exp(known), math.exp(known)
    even, few = energy / total / count, min(most, energy) / total
    high, low = (math.exp(known - energy / total * math.log(share)) for share in (even, few))
    return min(low, high), max(low, high)


def _rank_interval(spectrum: Spectrum, unit: Floats, total: float, share: float) -> Interval:
    energy, count, most = _rest(spectrum, unit, total)
    held = np.cumsum(unit**2)
    if held[-1] >= share * total:
        rank = float(np.searchsorted(held, share * total) + 1)
        return rank, rank
    wanted = share * total - held[-1]
    return unit.size + math.ceil(wanted / most), unit.size + math.ceil(count * min(1.0, wanted / energy))


def _tail(spectrum: Spectrum, unit: Floats, draws: int, seed: int) -> dict[str, Any]:
    floor = spectrum.error / float(spectrum.values[0]) if spectrum.complete else 0.0
    values = unit[unit > floor] ** 2
    fit = fit_tail(values)
    names = ("alpha", "alpha_error", "alpha_distance", "alpha_tail", "alpha_from", "alpha_p")
    if fit is None:
        return dict.fromkeys(names)
    p = tail_p_value(values, fit, draws, seed) if draws else None
    start = fit.xmin * float(spectrum.values[0]) ** 2
    return dict(zip(names, (fit.alpha, fit.error, fit.distance, fit.tail, start, p), strict=True))
