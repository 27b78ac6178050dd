"""Windows of like length together, and always the same ones, so that an interrupted run gives the same bytes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from kaibo.scoring.texts.windows import Window


@dataclass(frozen=True)
class Job:
    """One window of one text: `document` and `place` say which, in the order of the texts."""

    document: int
    place: int
    window: Window


def batches(jobs: Sequence[Job], tokens: int, *, alike: bool = False) -> Iterator[tuple[Job, ...]]:
    """All jobs, longest first, in batches whose padded size stays within `tokens` (one job may exceed it alone).

    With `alike` only windows of one length come together: some positions turn by the length of the whole batch.
    """
    ordered = sorted(jobs, key=lambda job: (-job.window.length, job.document, job.place))
    held: list[Job] = []
    for job in ordered:
        longest = held[0].window.length if held else 0
        if held and ((len(held) + 1) * longest > tokens or (alike and job.window.length != longest)):
            yield tuple(held)
            held = []
        held.append(job)
    if held:
        yield tuple(held)
