"""Further questions, which studies ask and no command of their own does."""

from __future__ import annotations

from kaibo.face import loader, names

HOMES = {
    "kaibo.chapters.digits.ask": (
        "Grouped",
        "digit_groups",
    ),
    "kaibo.chapters.fine_tunes.rows": ("FineTune",),
    "kaibo.chapters.fine_tunes.ask": ("fine_tunes",),
    "kaibo.chapters.stats.ask": (
        "grids",
        "magnitudes",
        "profile",
    ),
    "kaibo.chapters.diff.ask_spectrum": ("change_spectrum",),
    "kaibo.chapters.diff.ask_adapters": ("adapters_of",),
    "kaibo.chapters.inspect.ask": ("side_by_side",),
    "kaibo.chapters.generate.ask_formats": (
        "Chat",
        "chats",
        "prompt_formats",
    ),
    "kaibo.chapters.score.ask": ("token_losses",),
    "kaibo.chapters.norms.ask": (
        "norm_sizes",
        "norm_ways",
    ),
    "kaibo.chapters.pca.tables_beside": ("tables_beside",),
    "kaibo.chapters.published.ask": (
        "against",
        "paired",
        "pass_curves",
        "shares",
    ),
    "kaibo.chapters.rescale.ask_trial": ("law_trial",),
    "kaibo.chapters.train.ask": (
        "plan",
        "runs",
    ),
    "kaibo.chapters.correlate.ask": ("measures",),
    "kaibo.chapters.trajectories.ask_tasks": ("task_trajectories",),
}

__all__ = names(HOMES)
__getattr__ = loader("kaibo.questions", HOMES)


def __dir__() -> list[str]:
    return __all__
