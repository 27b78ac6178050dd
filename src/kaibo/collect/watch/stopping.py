"""Signals: the first one lets what is under way finish and be kept, a second interrupt stops at once."""

from __future__ import annotations

import signal
import threading
from types import FrameType, TracebackType
from typing import Any

from kaibo.errors import StoppedError

WATCHED = tuple(getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name))


class Stopping:
    """While the block runs, the first signal only sets `signal`; the work asks `check()` between its steps.

    Outside the main thread signals cannot be watched, and nothing happens.
    """

    def __init__(self) -> None:
        self.signal: int | None = None
        self._before: dict[int, Any] = {}

    def __enter__(self) -> Stopping:
        if threading.current_thread() is threading.main_thread():
            for number in WATCHED:
                self._before[number] = signal.signal(number, self._note)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _note(self, number: int, frame: FrameType | None) -> None:
        if self.signal is not None:
            raise KeyboardInterrupt
        self.signal = number

    def check(self) -> None:
        """Raises StoppedError (exit 130, or 128 + the signal's number) once a signal has come."""
        if self.signal is not None:
            name = signal.Signals(self.signal).name
            message = f"stopped by {name}; what was finished is kept"
            raise StoppedError(message, exit=128 + self.signal, next="run the same command again to go on")
