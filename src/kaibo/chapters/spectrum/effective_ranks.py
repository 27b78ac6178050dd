"""The spectra of a model, matrix by matrix, and gathered by role, layer or model."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from kaibo.chapters.census.provenance import provenance
from kaibo.chapters.spectrum.rows import SPECTRUM, SPECTRUM_LEVELS, LevelSpectrum, MatrixSpectrum
from kaibo.chapters.spectrum.singular_values import Interval, Measures, measures_of
from kaibo.errors import UsageError
from kaibo.vocabulary import By, Finding, SpectrumRow
from kaibo.words import note

NOTES = (
    note("spectrum_ranks"),
    note("spectrum_alpha"),
    note("spectrum_null"),
)


def spectra(rows: Sequence[SpectrumRow], *, draws: int = 0, seed: int = 0) -> Finding[MatrixSpectrum]:
    """Every matrix by itself; with `draws` each exponent gets a p-value from so many synthetic tails.

    What is no matrix has a row, too, with the reason.
    """
    found = tuple(_matrix(row, measures_of(row.spectrum, row.why, draws, seed)) for row in rows)
    vectors = sum(row.spectrum is None for row in rows)
    notes = (*NOTES, note("spectrum_vectors", count=vectors)) if vectors else NOTES
    return Finding(SPECTRUM, found, notes, provenance([row.row for row in rows]))


def _matrix(row: SpectrumRow, found: Measures) -> MatrixSpectrum:
    of, spectrum = row.row, row.spectrum
    return MatrixSpectrum(
        model=of.model,
        by="tensor",
        key=key_of(row),
        tensor=of.tensor,
        part=row.part,
        layer=of.layer,
        role=of.role,
        shape=of.shape if spectrum is None else (spectrum.rows, spectrum.columns),
        method="none" if spectrum is None else spectrum.method,
        **vars(found),
    )


def key_of(row: SpectrumRow) -> str:
    """The name of a matrix: its tensor's, with the expert in brackets where the tensor is a stack."""
    return row.row.tensor if row.part is None else f"{row.row.tensor}[{row.part}]"


def by_level(finding: Finding[MatrixSpectrum], by: By) -> Finding[LevelSpectrum]:
    """The matrices gathered by layer, role or model. Raises UsageError for another level."""
    if by not in ("layer", "role", "model"):
        raise UsageError(f'"{by}" is no level of a spectrum', next="levels: tensor, role, layer, model")
    groups: dict[tuple[str, str | int | None], list[MatrixSpectrum]] = {}
    for row in finding.rows:
        if row.method != "none":
            groups.setdefault((row.model, None if by == "model" else getattr(row, by)), []).append(row)
    order = sorted(groups, key=lambda group: (group[0], group[1] is None, group[1] if by == "layer" else str(group[1])))
    rows = tuple(_level(model, by, key, groups[model, key]) for model, key in order)
    notes = (*finding.notes, note("spectrum_levels"))
    return Finding(SPECTRUM_LEVELS, rows, notes, finding.provenance)


def _level(model: str, by: str, key: str | int | None, rows: Sequence[MatrixSpectrum]) -> LevelSpectrum:
    names = ("spectral_norm", "stable_rank", "entropy_rank", "erank", "rank90", "rank99", "alpha", "above")
    medians = {name: _quantile((getattr(row, name) for row in rows), 0.5) for name in names}
    why = {name: "no matrix of this part has one" for name, value in medians.items() if value is None}
    quartiles = {
        f"{name}_quartiles": _quartiles([getattr(row, name) for row in rows]) for name in ("stable_rank", "alpha")
    }
    return LevelSpectrum(model, by, key, None, None, len(rows), **medians, **quartiles, why=why)  # type: ignore[arg-type]


def _quantile(values: Iterable[float | None], share: float) -> float | None:
    known = [value for value in values if value is not None]
    return float(np.quantile(known, share)) if known else None


def _quartiles(values: Sequence[float | None]) -> Interval | None:
    low, high = _quantile(values, 0.25), _quantile(values, 0.75)
    return None if low is None or high is None else (low, high)
