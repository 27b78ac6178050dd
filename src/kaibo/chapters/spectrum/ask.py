"""`kaibo spectrum`: singular values, effective ranks and the tail's exponent of every matrix."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase

from kaibo.chapters.spectrum.effective_ranks import by_level, spectra
from kaibo.chapters.spectrum.rows import LevelSpectrum, MatrixSpectrum, TailRow
from kaibo.chapters.spectrum.tails import tails
from kaibo.collect import Collected, Options, granted_workers
from kaibo.collect.spectra import Decomposed, take_spectra
from kaibo.desk.addresses import Address, OnError, raising
from kaibo.desk.measuring import Settings, measurable, measured, notes_of, open_store
from kaibo.errors import UsageError
from kaibo.store import Store
from kaibo.vocabulary import LEVELS, By, Finding, Row, SpectrumRow, Tensor
from kaibo.vocabulary.seen import with_seen
from kaibo.words import Note


@dataclass(frozen=True)
class Spectra:
    """The spectra of models: every matrix, the tails that are drawn, and the level asked for where it is not tensors.

    `measured` matrices were decomposed, `known` ones looked up.
    """

    matrices: Finding[MatrixSpectrum]
    tails: Finding[TailRow]
    levels: Finding[LevelSpectrum] | None = None
    measured: int = 0
    known: int = 0
    rows: tuple[SpectrumRow, ...] = field(default=(), repr=False)

    @property
    def asked(self) -> Finding[MatrixSpectrum] | Finding[LevelSpectrum]:
        """The finding at the level that was asked for."""
        return self.matrices if self.levels is None else self.levels

    def _repr_html_(self) -> str:
        return self.asked._repr_html_()


def spectrum(
    models: Address | Iterable[Address],
    by: By = "tensor",
    *,
    tensors: str | None = None,
    draws: int = 0,
    settings: Settings | None = None,
    on_error: OnError | None = None,
) -> Spectra:
    """Spectral norm, effective ranks and the exponent of the eigenvalues' tail of every matrix, beside a Gaussian's.

    `tensors` is a pattern of canonical names (`*.mlp.*`), `draws` how many synthetic tails give each exponent its
    p-value. All singular values up to a smaller side of 4096, the largest 256 beyond, with their bracket. Nothing
    that the store knows is decomposed again. Raises UsageError for an unknown level or a pattern that names nothing,
    and whatever opening and reading the models raises.
    """
    if by not in LEVELS:
        raise UsageError(f'"{by}" is no level', next=f"levels: {', '.join(LEVELS)}")
    settings, report = settings or Settings(), on_error or raising
    collected = measurable(measured(models, settings, report), report)
    store = open_store(settings.store)
    taken = [decomposed(one, store, settings, tensors) for one in collected]
    for failure in (failure for one in taken for failure in one.failures):
        report(failure)
    rows = [row for one in taken for row in one.rows]
    if tensors is not None and collected and not rows:
        raise UsageError(f'no tensor is named like "{tensors}"', next="kaibo inspect MODEL --tensors lists the names")
    notes = tuple(told for one in collected for told in notes_of(one))
    shares = {one.model.address: one.model.seen for one in collected}
    return gathered(rows, by, draws, notes, taken, shares)


def gathered(
    rows: Sequence[SpectrumRow],
    by: By,
    draws: int,
    notes: Sequence[Note],
    taken: Sequence[Decomposed],
    seen: Mapping[str, float] | None = None,
) -> Spectra:
    """The findings of matrices that were decomposed."""
    found = spectra(rows, draws=draws)
    found = Finding(found.kind, found.rows, (*found.notes, *notes), found.provenance)
    levels = None if by == "tensor" else by_level(found, by)
    if seen is not None:
        found = with_seen(found, lambda row: seen[row.model])
        levels = None if levels is None else with_seen(levels, lambda row: seen[row.model])
    counts = sum(one.measured for one in taken), sum(one.known for one in taken)
    return Spectra(found, tails(rows), levels, *counts, tuple(rows))


def decomposed(collected: Collected, store: Store, settings: Settings, pattern: str | None = None) -> Decomposed:
    """The spectra of the tensors of one measured model whose names fit a pattern."""
    rows = {row.tensor: row for row in collected.rows}
    wanted: list[tuple[Tensor, Row]] = [
        (tensor, rows[tensor.canonical])
        for tensor in collected.model.weights
        if tensor.canonical in rows and (pattern is None or fnmatchcase(tensor.canonical, pattern))
    ]
    return take_spectra(collected.model.name, wanted, store, spectrum_options(settings))


def spectrum_options(settings: Settings) -> Options:
    """How spectra are computed, from the settings of a verb."""
    return Options(granted_workers(settings.workers), settings.verify, settings.progress, settings.fail_fast)
