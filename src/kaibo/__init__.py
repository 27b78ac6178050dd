"""kaibo takes open language models apart: one function per command, and the nouns they speak in.

>>> import kaibo
>>> sorted(kaibo.__all__)[:3]
['Adapters', 'Census', 'CensusRow']

Everything is loaded when it is first used, so that importing kaibo costs nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

from kaibo.version import __version__ as __version__

_HOMES = {
    "kaibo.chapters.diff.ask_adapters": (
        "Adapters",
        "adapters_of",
    ),
    "kaibo.chapters.census.ask": (
        "CensusRow",
        "census",
    ),
    "kaibo.chapters.diff.ask_spectrum": ("change_spectrum",),
    "kaibo.chapters.context.ask": (
        "ContextOptions",
        "context",
    ),
    "kaibo.chapters.digits.ask": (
        "Grouped",
        "digit_groups",
        "digits",
    ),
    "kaibo.chapters.diff.ask": (
        "DiffOptions",
        "Differences",
        "diff",
    ),
    "kaibo.chapters.dissect.ask": (
        "Dissection",
        "Output",
        "dissect",
    ),
    "kaibo.chapters.doctor.ask": ("doctor",),
    "kaibo.chapters.eval.ask": (
        "EvalOptions",
        "Evaluations",
        "evaluate",
    ),
    "kaibo.chapters.fine_tunes.ask": (
        "FineTunes",
        "fine_tunes",
    ),
    "kaibo.chapters.fine_tunes.rows": ("FineTune",),
    "kaibo.chapters.generate.ask": (
        "Prompt",
        "generate",
    ),
    "kaibo.chapters.stats.ask": (
        "grids",
        "magnitudes",
        "profile",
        "stats",
    ),
    "kaibo.chapters.quantise.ask": ("quantise",),
    "kaibo.chapters.rescale.ask": ("rescale",),
    "kaibo.desk.running": ("Running",),
    "kaibo.chapters.inspect.ask": (
        "inspect",
        "side_by_side",
    ),
    "kaibo.chapters.merge.ask": (
        "Merge",
        "Writing",
        "merge",
    ),
    "kaibo.desk.measuring": ("Settings",),
    "kaibo.chapters.generate.ask_formats": (
        "Chat",
        "chats",
        "prompt_formats",
    ),
    "kaibo.chapters.score.ask": (
        "score",
        "token_losses",
    ),
    "kaibo.chapters.corrupt.ask": (
        "CorruptSettings",
        "corrupt",
    ),
    "kaibo.chapters.decode.ask": (
        "DecodeSettings",
        "Decodings",
        "decode",
    ),
    "kaibo.chapters.series.ask": (
        "Series",
        "series",
    ),
    "kaibo.chapters.spectrum.ask": (
        "Spectra",
        "spectrum",
    ),
    "kaibo.chapters.norms.ask": (
        "norm_sizes",
        "norm_ways",
        "norms",
    ),
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
    "kaibo.chapters.diff.seeds": ("Label",),
    "kaibo.chapters.pca.components": ("ComponentSettings",),
    "kaibo.chapters.law.lawfit": ("FitSettings",),
    "kaibo.chapters.law.splits": ("Split",),
    "kaibo.chapters.pca.tables_beside": ("tables_beside",),
    "kaibo.chapters.table.ask": (
        "TableOptions",
        "score_table",
        "table",
    ),
    "kaibo.chapters.published.ask": (
        "against",
        "paired",
        "pass_curves",
        "shares",
    ),
    "kaibo.chapters.pca.ask": ("pca",),
    "kaibo.chapters.rescale.ask_trial": ("law_trial",),
    "kaibo.chapters.law.ask": (
        "LawOptions",
        "forecast",
        "law",
    ),
    "kaibo.chapters.select.ask": ("select",),
    "kaibo.chapters.correlate.ask": (
        "correlate",
        "measures",
    ),
    "kaibo.chapters.tour.ask": ("tour",),
    "kaibo.chapters.probe.ask": ("probe",),
    "kaibo.chapters.nursery.ask": (
        "Nursery",
        "nursery",
    ),
    "kaibo.chapters.train.ask": (
        "TrainOptions",
        "plan",
        "runs",
        "train",
    ),
    "kaibo.chapters.trajectories.ask_tasks": (
        "TrajectoryOptions",
        "task_trajectories",
    ),
    "kaibo.chapters.trajectories.ask": ("trajectories",),
    "kaibo.chapters.trends.ask": ("trends",),
    "kaibo.chapters.trends.whole": (
        "TrendOptions",
        "Trends",
    ),
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
}
_HOME = {name: home for home, names in _HOMES.items() for name in names}

__all__ = sorted([*_HOME, "__version__"])


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"kaibo has no {name!r}")
    return getattr(import_module(_HOME[name]), name)


def __dir__() -> list[str]:
    return list(__all__)
