"""Progress of long work: bytes or tokens, rate and time left on a terminal, nothing in a pipe."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Protocol

from kaibo.errors import escaped
from kaibo.vocabulary.terminals import guarded, unguarded

if TYPE_CHECKING:
    from rich.progress import Progress as Bar
    from rich.progress import TaskID

PATIENCE = 2.0
"""Seconds of work before a bar is worth showing."""


class Progress(Protocol):
    """Told what is to be done and what has been."""

    def begin(self, label: str, total: int, unit: str = "bytes") -> None:
        """A piece of work of `total` bytes (or tokens) begins."""
        ...

    def advance(self, done: int) -> None:
        """So many more of them are done."""
        ...


class _Quiet:
    def begin(self, label: str, total: int, unit: str = "bytes") -> None:
        """Nothing is shown."""

    def advance(self, done: int) -> None:
        """Nothing is shown."""


quiet: Progress = _Quiet()


class _Shown:
    """A bar on stderr, drawn only once the work has taken longer than `PATIENCE`."""

    def __init__(self) -> None:
        self._started = time.monotonic()
        self._bar: Bar | None = None
        self._task: TaskID | None = None
        self._label, self._total, self._done, self._unit = "", 0, 0, "bytes"

    def begin(self, label: str, total: int, unit: str = "bytes") -> None:
        self._label, self._total, self._done, self._unit = escaped(label, 40), total, 0, unit
        if self._bar is not None:
            self._task = self._bar.add_task(self._label, total=total, unit=unit)

    def advance(self, done: int) -> None:
        self._done += done
        if self._bar is None and time.monotonic() - self._started > PATIENCE:
            self._show()
        if self._bar is not None and self._task is not None:
            self._bar.update(self._task, completed=self._done)

    def _show(self) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, TextColumn, TimeRemainingColumn
        from rich.progress import Progress as Bar

        from kaibo.collect.watch.amounts import Amount, Rate

        columns = (TextColumn("{task.description}", markup=False), BarColumn(), Amount(), Rate(), TimeRemainingColumn())
        self._bar = Bar(*columns, console=guarded(Console(file=unguarded(sys.stderr))), transient=True)
        self._task = self._bar.add_task(self._label, total=self._total, unit=self._unit)
        self._bar.start()

    def stop(self) -> None:
        if self._bar is not None:
            self._bar.stop()


@contextmanager
def progress_bar(enabled: bool | None = None) -> Iterator[Progress]:
    """A bar on stderr for the block; quiet where stderr is no terminal, or `enabled` is False."""
    if not (sys.stderr is not None and sys.stderr.isatty() if enabled is None else enabled):
        yield quiet
        return
    shown = _Shown()
    try:
        yield shown
    finally:
        shown.stop()
