"""What verbs take beside models: their options, one dataclass a verb."""

from __future__ import annotations

from kaibo.face import loader, names

HOMES = {
    "kaibo.chapters.pca.components": ("ComponentSettings",),
    "kaibo.chapters.context.ask": ("ContextOptions",),
    "kaibo.chapters.corrupt.ask": ("CorruptSettings",),
    "kaibo.chapters.decode.ask": ("DecodeSettings",),
    "kaibo.chapters.diff.ask": ("DiffOptions",),
    "kaibo.chapters.eval.ask": ("EvalOptions",),
    "kaibo.chapters.law.lawfit": ("FitSettings",),
    "kaibo.chapters.diff.seeds": ("Label",),
    "kaibo.chapters.law.ask": ("LawOptions",),
    "kaibo.chapters.dissect.ask": ("Output",),
    "kaibo.chapters.generate.ask": ("Prompt",),
    "kaibo.chapters.law.splits": ("Split",),
    "kaibo.desk.running": ("Running",),
    "kaibo.chapters.table.ask": ("TableOptions",),
    "kaibo.chapters.train.ask": ("TrainOptions",),
    "kaibo.chapters.trajectories.ask_tasks": ("TrajectoryOptions",),
    "kaibo.chapters.trends.whole": ("TrendOptions",),
    "kaibo.chapters.merge.ask": ("Writing",),
}

__all__ = names(HOMES)
__getattr__ = loader("kaibo.options", HOMES)


def __dir__() -> list[str]:
    return __all__
