"""Findings about spectra, from matrices made by hand."""

import numpy as np

from kaibo.chapters.spectrum import effective_ranks as analyse
from kaibo.chapters.spectrum import tails as choose
from kaibo.vocabulary import Row, Spectrum, SpectrumRow

ROLES = ("attention.q", "mlp.up")


def rows(models=1):
    random = np.random.default_rng(0)
    found = []
    for model in range(models):
        for layer in range(3):
            for role in ROLES:
                sigma = np.linalg.svd(random.standard_t(3, size=(24, 30)), compute_uv=False)
                row = Row(f"/models/m{model}", "id", f"layers.{layer}.{role}", layer, role, "F32", (24, 30), "c", None)
                spectrum = Spectrum(24, 30, "exact", sigma, 1e-14, float((sigma**2).sum()))
                found.append(SpectrumRow(row, None, spectrum))
    return found


def spectra(models=1):
    return analyse.spectra(rows(models))


def tails(models=1):
    return choose.tails(rows(models), 3)


def change(models=1):
    """What changed in every matrix: a spectrum with noise of storing beside it."""
    from dataclasses import replace

    from kaibo.chapters.diff.change_spectra import change_spectra

    return change_spectra([replace(row, noise=1e-3) for row in rows(models)], "/models/base")
