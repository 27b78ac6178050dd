"""Where bytes are: a place answers `read(start, size)`, whether it is a file here or far away.

- `folder`: files of this machine
- `remote`: a file far away, read by range; `wire` asks for ranges over HTTP
- `web`: folders of the web; `objects`: those of object stores
- `repository`: those of the hub, which `hub` knows through its own client
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Protocol
from weakref import WeakSet

if TYPE_CHECKING:
    from kaibo.vocabulary import Buffer


Bytes = memoryview

AT_ONCE = 8
"""Ranges that are under way together while files far away are read."""

_far: WeakSet[Place] = WeakSet()
_turn = threading.local()


def readers(workers: int) -> int:
    """How many threads take turns: more than may work where files far away are open, for most of them wait."""
    return max(workers, AT_ONCE) if len(_far) else workers


def is_far(place: Place) -> None:
    """Tells that a place is far away."""
    _far.add(place)


@contextmanager
def taking_turns(turns: threading.Semaphore) -> Iterator[None]:
    """This thread works when it has a turn, and gives it to another one while it waits for what lies far away."""
    with turns:
        _turn.held = turns
        try:
            yield
        finally:
            _turn.held = None


@contextmanager
def waiting() -> Iterator[None]:
    """This thread waits for a place far away."""
    turns: threading.Semaphore | None = getattr(_turn, "held", None)
    if turns is None:
        yield
        return
    _turn.held = None
    turns.release()
    try:
        yield
    finally:
        turns.acquire()
        _turn.held = turns


class Place(Protocol):
    """One object of bytes that can be read by range.

    `name` is what the user would recognise (a path, a URL), for messages. `key` identifies the bytes without
    reading them, or is None. Reads raise FormatError when the object is shorter than asked or changed since it
    was opened, MissingError when it cannot be read, NetworkError when it did not answer.
    """

    @property
    def name(self) -> str: ...  # noqa: D102
    @property
    def size(self) -> int: ...  # noqa: D102
    @property
    def key(self) -> str | None: ...  # noqa: D102

    def read(self, start: int, size: int) -> bytes:
        """Exactly `size` bytes from `start`."""
        ...

    def read_into(self, start: int, buffer: Buffer, ahead: int = 0) -> None:
        """Fills `buffer` with the bytes from `start`; the caller means to read `ahead` more bytes behind them."""
        ...


class Far(Protocol):
    """A folder far away: its files by name, opened once each.

    `listed` says the names of all files where the place can be asked for them, else of those that are known to be
    there. `has` and `opened` may ask the place; `opened` raises MissingError for what is not there.
    """

    def listed(self) -> Sequence[str]: ...  # noqa: D102
    def has(self, name: str) -> bool: ...  # noqa: D102
    def opened(self, name: str) -> Place: ...  # noqa: D102
