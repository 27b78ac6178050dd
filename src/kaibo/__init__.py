"""kaibo takes open language models apart: one function per command, and the nouns they speak in.

>>> import kaibo
>>> sorted(kaibo.__all__)[:3]
['Census', 'Claim', 'Drawing']

Everything is loaded when it is first used, so that importing kaibo costs nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

from kaibo.face import loader, names
from kaibo.version import __version__ as __version__

_HOMES = {
    "kaibo.chapters.census.ask": ("census",),
    "kaibo.chapters.check.ask": ("check",),
    "kaibo.chapters.context.ask": ("context",),
    "kaibo.chapters.digits.ask": ("digits",),
    "kaibo.chapters.diff.ask": ("diff",),
    "kaibo.chapters.dissect.ask": ("dissect",),
    "kaibo.chapters.doctor.ask": ("doctor",),
    "kaibo.chapters.eval.ask": ("evaluate",),
    "kaibo.chapters.generate.ask": ("generate",),
    "kaibo.chapters.stats.ask": ("stats",),
    "kaibo.chapters.quantise.ask": ("quantise",),
    "kaibo.chapters.rescale.ask": ("rescale",),
    "kaibo.chapters.inspect.ask": ("inspect",),
    "kaibo.chapters.merge.ask": ("merge",),
    "kaibo.desk.measuring": ("Settings",),
    "kaibo.chapters.same.ask": ("same",),
    "kaibo.chapters.score.ask": ("score",),
    "kaibo.chapters.corrupt.ask": ("corrupt",),
    "kaibo.chapters.decode.ask": ("decode",),
    "kaibo.chapters.series.ask": ("series",),
    "kaibo.chapters.spectrum.ask": ("spectrum",),
    "kaibo.chapters.norms.ask": ("norms",),
    "kaibo.study": (
        "Inputs",
        "Results",
        "Study",
    ),
    "kaibo.chapters.study.ask": (
        "study_list",
        "study_run",
    ),
    "kaibo.vocabulary.claims": (
        "Claim",
        "Outcome",
    ),
    "kaibo.chapters.table.ask": (
        "score_table",
        "table",
    ),
    "kaibo.chapters.pca.ask": ("pca",),
    "kaibo.chapters.law.ask": (
        "forecast",
        "law",
    ),
    "kaibo.chapters.select.ask": ("select",),
    "kaibo.chapters.correlate.ask": ("correlate",),
    "kaibo.chapters.tour.ask": ("tour",),
    "kaibo.chapters.probe.ask": ("probe",),
    "kaibo.chapters.nursery.ask": ("nursery",),
    "kaibo.chapters.train.ask": ("train",),
    "kaibo.chapters.trajectories.ask": ("trajectories",),
    "kaibo.chapters.trends.ask": ("trends",),
    "kaibo.chapters.unpack.ask": ("unpack",),
    "kaibo.vocabulary.kinds": (
        "Drawing",
        "Kind",
    ),
    "kaibo.vocabulary.merging": ("Recipe",),
    "kaibo.vocabulary": (
        "Census",
        "Finding",
        "Model",
        "Row",
        "Tensor",
    ),
    "kaibo.errors": ("KaiboError",),
    "kaibo.models": ("open_model",),
    "kaibo.store": ("Store",),
    "kaibo.figures": ("figure",),
    "kaibo.words": ("note",),
}
_SPACES = ("options", "questions", "results")
"""Names that belong together: `kaibo.options.DiffOptions`, `kaibo.questions.paired`."""

__all__ = sorted([*names(_HOMES), *_SPACES, "__version__"])

_find = loader("kaibo", _HOMES)


def __getattr__(name: str) -> Any:
    return import_module(f"kaibo.face.{name}") if name in _SPACES else _find(name)


def __dir__() -> list[str]:
    return list(__all__)
