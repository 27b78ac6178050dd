"""`kaibo trajectories`: published evaluations of checkpoints, and what accuracy is a function of."""

from __future__ import annotations

from collections.abc import Iterable

from kaibo.chapters.table.ask import Address, TableOptions, read
from kaibo.chapters.trajectories.along_training import trajectories as along
from kaibo.chapters.trajectories.rows import TrajectoryRow
from kaibo.vocabulary import Finding


def trajectories(
    tables: Address | Iterable[Address], *, columns: str | None = None, perplexity: str | None = None,
    smooth: float = 0.0, options: TableOptions | None = None,
) -> Finding[TrajectoryRow]:  # fmt: skip
    """Curves of every score against perplexity, FLOPs, tokens, steps and size, and where small models lead.

    `smooth` is how much of its past an exponential average along each run keeps.
    """
    scores = read(tables, options).table
    return along(scores, scores.matching(columns) if columns else None, perplexity, smooth=smooth)
