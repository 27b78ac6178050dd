"""Where bytes are: a place answers `read(start, size)`, whether it is a file here or far away."""

from __future__ import annotations

from typing import Protocol

from kaibo.vocabulary import Buffer


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

    def read_into(self, start: int, buffer: Buffer) -> None:
        """Fills `buffer` with the bytes from `start`."""
        ...
