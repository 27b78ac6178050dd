"""Bounds on time and memory that hold on any machine: one measurement beside another of the same run."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager


def seconds(work: Callable[[], object], times: int = 3) -> float:
    """Processor time of the shortest of several runs: what the work takes when nothing else is in the way."""
    found = []
    for _ in range(times):
        begun = time.thread_time()
        work()
        found.append(time.thread_time() - begun)
    return min(found)


def linear(work: Callable[[int], object], size: int, *, by: int = 8) -> bool:
    """Whether the work takes about `by` times as long at `by` times the size, in one of three tries.

    What is quadratic takes `by` times as long again, in every try; a machine that is short of memory for a moment may
    spoil one of them. What fills the caches wants a larger `by`: the allowance is half of the way to the quadratic.
    """
    most = max(3 * by, by**1.5)
    return any(seconds(lambda: work(by * size)) < most * max(seconds(lambda: work(size)), 1e-4) for _ in range(3))


@contextmanager
def no_hang(limit: int = 120) -> Iterator[None]:
    """Ends work that would never end. The limit is no measure of speed: what is right here takes next to no time."""

    def stop(*_: object) -> None:
        raise AssertionError(f"it did not end within {limit} s")

    before = signal.signal(signal.SIGALRM, stop)
    signal.alarm(limit)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)
