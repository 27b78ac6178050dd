"""kaibo takes open language models apart: one function per command, and the nouns they speak in.

>>> import kaibo
>>> sorted(kaibo.__all__)[:3]
['Adapters', 'Census', 'CensusRow']

Everything is loaded when it is first used, so that importing kaibo costs nothing.
"""

from __future__ import annotations

import sys
from importlib import import_module
from types import ModuleType
from typing import Any

from kaibo.version import __version__ as __version__

_HOMES = {
    "kaibo.verbs.adapters": ("Adapters", "adapters_of"),
    "kaibo.verbs.census": ("CensusRow", "census"),
    "kaibo.verbs.change_spectrum": ("change_spectrum",),
    "kaibo.verbs.context": ("ContextOptions", "context"),
    "kaibo.verbs.digit_groups": ("Grouped", "digit_groups"),
    "kaibo.verbs.diff": ("DiffOptions", "Differences", "diff"),
    "kaibo.verbs.digits": ("digits",),
    "kaibo.verbs.dissect": ("Dissection", "Output", "dissect"),
    "kaibo.verbs.doctor": ("doctor",),
    "kaibo.verbs.evaluate": ("EvalOptions", "Evaluations", "evaluate"),
    "kaibo.verbs.fine_tunes": ("FineTunes", "fine_tunes"),
    "kaibo.analyses.fine_tune_records": ("FineTune",),
    "kaibo.verbs.generate": ("Prompt", "generate"),
    "kaibo.verbs.grids": ("grids",),
    "kaibo.verbs.quantise": ("quantise",),
    "kaibo.verbs.rescale": ("rescale",),
    "kaibo.verbs.running": ("Running",),
    "kaibo.verbs.inspect": ("inspect",),
    "kaibo.verbs.merge": ("Merge", "Writing", "merge"),
    "kaibo.verbs.measuring": ("Settings",),
    "kaibo.verbs.prompt_formats": ("Chat", "chats", "prompt_formats"),
    "kaibo.verbs.score": ("score",),
    "kaibo.verbs.side_by_side": ("side_by_side",),
    "kaibo.verbs.token_losses": ("token_losses",),
    "kaibo.verbs.corrupt": ("CorruptSettings", "corrupt"),
    "kaibo.verbs.decode": ("DecodeSettings", "Decodings", "decode"),
    "kaibo.verbs.series": ("Series", "series"),
    "kaibo.verbs.spectrum": ("Spectra", "spectrum"),
    "kaibo.verbs.norms": ("norm_sizes", "norm_ways", "norms"),
    "kaibo.study": ("Inputs", "Results", "Study"),
    "kaibo.verbs.study": ("study_list", "study_run"),
    "kaibo.vocabulary.claims": ("Claim", "Outcome"),
    "kaibo.analyses": ("Label",),
    "kaibo.analyses.components": ("ComponentSettings",),
    "kaibo.analyses.lawfit": ("FitSettings",),
    "kaibo.analyses.splits": ("Split",),
    "kaibo.analyses.tables_beside": ("tables_beside",),
    "kaibo.verbs.stats": ("magnitudes", "profile", "stats"),
    "kaibo.verbs.tables": ("TableOptions", "score_table", "table"),
    "kaibo.verbs.comparing": ("against", "paired", "pass_curves", "shares"),
    "kaibo.verbs.components": ("pca",),
    "kaibo.verbs.law_trial": ("law_trial",),
    "kaibo.verbs.laws": ("LawOptions", "forecast", "law"),
    "kaibo.verbs.selection": ("select",),
    "kaibo.verbs.measures": ("correlate", "measures"),
    "kaibo.verbs.tour": ("tour",),
    "kaibo.verbs.probe": ("probe",),
    "kaibo.verbs.nursery": ("Nursery", "nursery"),
    "kaibo.verbs.train": ("TrainOptions", "plan", "runs", "train"),
    "kaibo.verbs.task_trajectories": ("TrajectoryOptions", "task_trajectories"),
    "kaibo.verbs.trajectories": ("trajectories",),
    "kaibo.verbs.trends": ("trends",),
    "kaibo.analyses.trends": ("TrendOptions", "Trends"),
    "kaibo.vocabulary.merging": ("Recipe",),
    "kaibo.vocabulary": ("Census", "Finding", "Model", "Row", "Tensor"),
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


class _Package(ModuleType):
    """`kaibo.census` is the verb although a room has that name: the room may not be put in its place."""

    @property
    def census(self) -> Any:
        """The verb; the room is reached as `from kaibo.census import …`."""
        return import_module("kaibo.verbs.census").census

    @census.setter
    def census(self, room: ModuleType) -> None:
        """Called by the import system when the room is loaded."""


sys.modules[__name__].__class__ = _Package
