"""A bar for runs that train: the loss, tokens a second and the time left, a bar a run; nothing in a pipe."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from kaibo.errors import escaped
from kaibo.vocabulary.terminals import guarded, unguarded

if TYPE_CHECKING:
    from rich.progress import Progress as Bar
    from rich.progress import TaskID


class TrainingBar:
    """Told of runs and their steps; shows them on stderr where that is a terminal."""

    def __init__(self, shown: bool) -> None:
        self._shown = shown
        self._bar: Bar | None = None
        self._task: TaskID | None = None
        self._started, self._before = 0.0, 0

    def begin(self, run: str, steps: int) -> None:
        """A run of so many optimiser steps begins."""
        self._started, self._before = time.monotonic(), 0
        if not self._shown:
            return
        self._bar = self._bar or _bar()
        self._task = self._bar.add_task(escaped(run, 40), total=steps, said="")

    def step(self, step: int, tokens: int, loss: float) -> None:
        """So many steps are done over so many tokens; the loss of the last one in nats."""
        if self._bar is None or self._task is None:
            return
        if not self._before:  # a resumed run does not count what it did before
            self._before = tokens
            self._started = time.monotonic()
        seconds = time.monotonic() - self._started
        rate = f"{(tokens - self._before) / seconds:,.0f} tokens/s" if tokens > self._before and seconds > 0 else ""
        self._bar.update(self._task, completed=step, said=f"loss {loss:.4f}  {rate}")

    def stop(self) -> None:
        """Takes the bars away."""
        if self._bar is not None:
            self._bar.stop()


def _bar() -> Bar:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as Bar

    name, said = TextColumn("{task.description}", markup=False), TextColumn("{task.fields[said]}", markup=False)
    columns = (name, BarColumn(), MofNCompleteColumn(), said, TimeRemainingColumn())
    bar = Bar(*columns, console=guarded(Console(file=unguarded(sys.stderr))), transient=True)
    bar.start()
    return bar


@contextmanager
def training_bar(enabled: bool | None = None) -> Iterator[TrainingBar]:
    """Bars for the runs of the block; quiet where stderr is no terminal, or `enabled` is False."""
    bar = TrainingBar(sys.stderr is not None and sys.stderr.isatty() if enabled is None else enabled)
    try:
        yield bar
    finally:
        bar.stop()
