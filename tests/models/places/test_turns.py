"""Threads that read what lies far away: several wait at a time, and no more than asked for work."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass

from kaibo.collect.engine import ordered
from kaibo.models.places import AT_ONCE, is_far, waiting


@dataclass(eq=False)
class Elsewhere:
    """As much of a place as is needed to be far away."""

    name: str = "elsewhere"


class Crowd:
    """How many are inside together, and at most."""

    def __init__(self) -> None:
        self._lock, self._inside, self.most = threading.Lock(), 0, 0

    def __enter__(self) -> None:
        with self._lock:
            self._inside += 1
            self.most = max(self.most, self._inside)

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self._inside -= 1


def most(workers: int) -> tuple[int, int]:
    working, at_rest = Crowd(), Crowd()

    def run(task: int) -> int:
        for _ in range(3):
            with waiting(), at_rest:
                time.sleep(0.002)
            with working:
                time.sleep(0.001)
        return task

    assert list(ordered(range(40), run, workers)) == list(range(40))
    return working.most, at_rest.most


def test_so_many_work_and_more_wait_for_what_is_far_away() -> None:
    place = Elsewhere()
    is_far(place)  # type: ignore[arg-type]
    for workers in (1, 2):
        working, at_rest = most(workers)
        assert working <= workers
        assert workers < at_rest <= AT_ONCE


def test_an_error_while_waiting_gives_the_turn_back() -> None:
    place = Elsewhere()
    is_far(place)  # type: ignore[arg-type]

    def run(task: int) -> int:
        try:
            with waiting():
                raise OSError
        except OSError:
            return task

    assert list(ordered(range(20), run, 1)) == list(range(20))
