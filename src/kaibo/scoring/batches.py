"""Windows of like length together, always the same together, so that a run that was interrupted gives the same bytes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from kaibo.scoring.windows import Window


@dataclass(frozen=True)
class Job:
    """One window of one text: `document` and `place` say which, in the order of the texts."""

    document: int
    place: int
    window: Window


def batches(jobs: Sequence[Job], tokens: int) -> Iterator[tuple[Job, ...]]:
    """All jobs, longest first, in batches whose padded size stays within `tokens` (one job may exceed it alone)."""
    ordered = sorted(jobs, key=lambda job: (-job.window.length, job.document, job.place))
    held: list[Job] = []
    for job in ordered:
        if held and (len(held) + 1) * held[0].window.length > tokens:
            yield tuple(held)
            held = []
        held.append(job)
    if held:
        yield tuple(held)
