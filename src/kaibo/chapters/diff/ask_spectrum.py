"""`kaibo diff --spectrum`: the singular values of what changed, and its numerical rank."""

from __future__ import annotations

from collections.abc import Iterable

from kaibo.chapters.diff.ask import compare_addresses
from kaibo.chapters.diff.change_spectra import change_spectra, storing_noise
from kaibo.chapters.diff.rows import DIFF_SPECTRUM, ChangeSpectrum
from kaibo.chapters.spectrum.ask import spectrum_options
from kaibo.collect.differences import Compared
from kaibo.collect.spectra import take_spectra
from kaibo.desk.addresses import Address, OnError, addresses, raising
from kaibo.desk.measuring import Settings, open_store
from kaibo.errors import KaiboError
from kaibo.models.derived.difference import difference_of
from kaibo.vocabulary import Finding, Row, SpectrumRow, Tensor


def change_spectrum(
    base: Address,
    tuned: Address | Iterable[Address],
    *,
    settings: Settings | None = None,
    on_error: OnError | None = None,
) -> Finding[ChangeSpectrum]:
    """The spectrum of Δ = tuned − base for every pair of matrices, and how many directions stand above rounding.

    Δ is formed in float32, a block of rows at a time. Pairs that were compared before are not compared again, and
    nothing that the store knows is decomposed again. Raises whatever opening and reading the models raises.
    """
    settings, report = settings or Settings(), on_error or raising
    compared: list[Compared] = []
    for address in addresses(tuned):
        try:
            compared.append(compare_addresses(base, address, settings))
        except KaiboError as error:
            if settings.fail_fast or error.kind in ("storage", "stopped"):
                raise
            report(error)
    return spectra_of(compared, settings=settings, on_error=report)


def spectra_of(
    compared: Iterable[Compared], *, settings: Settings | None = None, on_error: OnError | None = None
) -> Finding[ChangeSpectrum]:
    """The same of models that were compared already: `kaibo.diff(…).compared`."""
    settings, report = settings or Settings(), on_error or raising
    found: list[Finding[ChangeSpectrum]] = []
    for one in compared:
        rows, failures = spectra_of_change(one, settings)
        found.append(change_spectra(rows, one.base.model.address))
        for failure in failures:
            report(failure)
    return _together(found)


def spectra_of_change(compared: Compared, settings: Settings) -> tuple[list[SpectrumRow], tuple[KaiboError, ...]]:
    """The spectra of one compared pair of models, with the noise of storing beside each."""
    by_name = {row.difference.tensor: row for row in compared.rows}
    wanted: list[tuple[Tensor, Row]] = [
        (difference_of(pair), by_name[pair.base.canonical].difference)
        for pair in compared.pairing.pairs
        if pair.base.canonical in by_name
    ]
    name = f"{compared.tuned.model.name} - {compared.base.model.name}"
    taken = take_spectra(name, wanted, open_store(settings.store), spectrum_options(settings))
    noises = {name: storing_noise(row) for name, row in by_name.items()}
    rows = [SpectrumRow(one.row, one.part, one.spectrum, one.why, noises[one.row.tensor]) for one in taken.rows]
    return rows, taken.failures


def _together(found: list[Finding[ChangeSpectrum]]) -> Finding[ChangeSpectrum]:
    rows = tuple(row for one in found for row in one.rows)
    models = {model: identity for one in found for model, identity in one.provenance["models"].items()}
    notes = tuple(dict.fromkeys(told for one in found for told in one.notes))
    kaibo = found[0].provenance["kaibo"] if found else ""
    return Finding(DIFF_SPECTRUM, rows, notes, {"models": models, "kaibo": kaibo})
