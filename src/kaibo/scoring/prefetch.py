"""The next checkpoint's weights, read from disk in a thread while another checkpoint is scored."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType
from typing import Any

from kaibo.errors import KaiboError

Values = Mapping[str, Any]
"""Tensors of torch by the names of their parts."""


class Ahead:
    """At most one checkpoint is read ahead; `take` waits for it. What goes wrong is left for the one who needs it."""

    def __init__(self) -> None:
        self._thread = ThreadPoolExecutor(1, "prefetch")
        self._address: str | None = None
        self._reading: Future[Values | None] | None = None

    def __enter__(self) -> Ahead:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._reading = None
        self._thread.shutdown(cancel_futures=True)

    def begin(self, address: str, read: Callable[[], Values | None]) -> None:
        """Starts to read a checkpoint; what was read before and not taken is let go."""
        self._address, self._reading = address, self._thread.submit(read)

    def take(self, address: str) -> Values | None:
        """The values of this checkpoint if they were read ahead, else None; they are the caller's alone."""
        reading, wanted = self._reading, self._address == address
        self._address = self._reading = None
        if reading is None or not wanted:
            return None
        try:
            return reading.result()
        except KaiboError:
            return None
