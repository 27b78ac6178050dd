"""How often and how long a place is asked, and what may come of it."""

from __future__ import annotations

import os
import random
import time
from dataclasses import dataclass, field
from typing import NoReturn

from kaibo.errors import FormatError, MissingError, NetworkError, UsageError

TRIES = 5
RATE = 1 << 16
"""Bytes a second below which a place counts as not answering: what a range may take grows with its length."""

AGAIN = "run it again: what was finished is kept"
DOWNLOAD = "download the file and name its path"


class AgainError(Exception):
    """What may go away by itself: asked again after a while, `after` seconds where the server said so.

    `away` says that the host could not be reached at all.
    """

    def __init__(self, reason: str, after: float | None = None, *, away: bool = False) -> None:
        super().__init__(reason)
        self.after, self.away = after, away


class WholeError(AgainError):
    """The place does not answer ranges."""


class AbsentError(MissingError):
    """The place answers, and has no such file."""


def patience() -> float:
    """Seconds that a place may take before anything arrives: KAIBO_NETWORK_SECONDS, else 60."""
    said = os.environ.get("KAIBO_NETWORK_SECONDS", "60")
    try:
        return max(0.1, float(said))
    except ValueError:
        raise UsageError(f"KAIBO_NETWORK_SECONDS is {said!r}, expected a number of seconds") from None


@dataclass
class Tries:
    """How often one range is asked for without a byte that arrives, and how long in all."""

    name: str
    size: int
    count: int = 0
    until: float = field(init=False)

    def __post_init__(self) -> None:
        self.until = time.monotonic() + patience() + self.size / RATE

    def left(self) -> float:
        """Seconds to the deadline. Raises NetworkError where it has passed."""
        left = self.until - time.monotonic()
        if left <= 0:
            raise NetworkError("did not answer in time", file=self.name, next=AGAIN)
        return left

    def failed(self, problem: AgainError, *, met: bool) -> None:
        """Waits before the next try: twice as long each time, with jitter. Raises NetworkError after the last one.

        Where the host was not `met` before and is out of reach, that is said at once. Raises MissingError for a place
        that does not answer ranges.
        """
        self.count += 1
        if problem.away and not met:
            raise NetworkError(f"{problem}; is this machine online?", file=self.name, next=AGAIN) from None
        if self.count >= TRIES and isinstance(problem, WholeError):
            raise MissingError(str(problem), file=self.name, next=DOWNLOAD) from None
        if self.count >= TRIES:
            raise NetworkError(f"{problem}, {TRIES} times", file=self.name, next=AGAIN) from None
        wait = min(0.25 * 2**self.count * (0.5 + random.random()), patience() / 4)
        wait = wait if problem.after is None else max(wait, problem.after)
        if wait >= self.left():
            raise NetworkError(f"{problem}; it did not answer in time", file=self.name, next=AGAIN) from None
        time.sleep(wait)


def changed(name: str, how: str) -> NoReturn:
    """Raises the error for a file that became another one while it was read."""
    raise FormatError(f"changed while reading: {how}", file=name, next="run again when nobody writes to it any more")
