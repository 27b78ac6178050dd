"""What verbs give that is more than one finding."""

from __future__ import annotations

from kaibo.face import loader, names

HOMES = {
    "kaibo.chapters.diff.ask_adapters": ("Adapters",),
    "kaibo.chapters.census.ask": ("CensusRow",),
    "kaibo.chapters.diff.ask": ("Differences",),
    "kaibo.chapters.dissect.ask": ("Dissection",),
    "kaibo.chapters.eval.ask": ("Evaluations",),
    "kaibo.chapters.fine_tunes.ask": ("FineTunes",),
    "kaibo.chapters.merge.ask": ("Merge",),
    "kaibo.chapters.decode.ask": ("Decodings",),
    "kaibo.chapters.series.ask": ("Series",),
    "kaibo.chapters.spectrum.ask": ("Spectra",),
    "kaibo.chapters.nursery.ask": ("Nursery",),
    "kaibo.chapters.trends.whole": ("Trends",),
}

__all__ = names(HOMES)
__getattr__ = loader("kaibo.results", HOMES)


def __dir__() -> list[str]:
    return __all__
