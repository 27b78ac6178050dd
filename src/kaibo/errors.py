"""The family of errors. Each says what, where and what next, in one line, and knows its exit code.

    KaiboError
    ├── UsageError      2    the command was called in a way it does not understand
    ├── FormatError     3    a file is malformed
    ├── MissingError    4    a file, a model or an extra is missing or unreadable
    ├── NetworkError    5    a remote place did not answer, after retries
    ├── StorageError    6    the store or an output could not be written
    ├── PolicyError     7    refused: a pickle, a path out of the folder, no sandbox
    ├── UnfinishedError 8    done with recorded failures, can be resumed
    └── StoppedError  130    stopped by a signal (143 for SIGTERM), can be resumed

Text from strangers (names of tensors, paths, metadata) is escaped on its way into a message:

>>> FormatError("begins at 8, expected 4", file="x.safetensors", tensor="h.0\\x1b[31m", offset=1184,
...             next="the file is cut; fetch it again").line
'x.safetensors: tensor "h.0\\\\x1b[31m" at byte 1184: begins at 8, expected 4; the file is cut; fetch it again'
"""

from __future__ import annotations

import os
from typing import Any

NAME_LIMIT = 300


def escaped(text: object, limit: int = NAME_LIMIT) -> str:
    """The text with control characters, bidirectional marks and undecodable bytes spelled out, cut at `limit`.

    >>> escaped("a\\nb\\u202e")
    'a\\\\nb\\\\u202e'
    """
    spelled = "".join(
        character if character.isprintable() else character.encode("unicode_escape").decode("ascii")
        for character in str(text)[: limit + 1]
    )
    return spelled if len(spelled) <= limit else spelled[: limit - 1] + "…"


class KaiboError(Exception):
    """Anything kaibo refuses or could not do.

    `file` is the path as the user gave it, `tensor` a tensor's name, `offset` an absolute byte in the file,
    `next` what the user can do about it. `line` is the sentence that is shown (without the `kaibo: ` before it).
    """

    exit = 1
    kind = "error"

    def __init__(
        self,
        message: str,
        *,
        file: str | os.PathLike[str] | None = None,
        tensor: str | None = None,
        offset: int | None = None,
        next: str | None = None,  # noqa: A002 - the name that --json prints
    ) -> None:
        self.message = message
        self.file = None if file is None else os.fspath(file)
        self.tensor = tensor
        self.offset = offset
        self.next = next
        super().__init__(self.line)

    @property
    def line(self) -> str:
        """What, where and what next, in one line."""
        place = [] if self.tensor is None else [f'tensor "{escaped(self.tensor)}"']
        place += [] if self.offset is None else [f"at byte {self.offset}"]
        parts = [] if self.file is None else [escaped(self.file, 4096)]
        parts += [" ".join(place)] if place else []
        text = ": ".join([*parts, escaped(self.message, 4000)])
        return text if self.next is None else f"{text}; {escaped(self.next, 1000)}"

    def as_json(self) -> dict[str, Any]:
        """The same, as the object that `--json` prints under `errors`."""
        return {
            "kind": self.kind,
            "file": None if self.file is None else escaped(self.file, 4096),
            "tensor": None if self.tensor is None else escaped(self.tensor),
            "offset": self.offset,
            "message": escaped(self.message, 4000),
            "next": self.next,
            "exit": self.exit,
        }


class UsageError(KaiboError):
    """The call itself is wrong: an unknown option, level or column."""

    exit = 2
    kind = "usage"


class FormatError(KaiboError):
    """A file does not follow its format, or is not the format its name says."""

    exit = 3
    kind = "format"


class MissingError(KaiboError):
    """Something named is not there or cannot be read: a file, a folder, a shard, an installed extra."""

    exit = 4
    kind = "missing"


class NetworkError(KaiboError):
    """A remote place did not answer, after retries."""

    exit = 5
    kind = "network"


class StorageError(KaiboError):
    """The store or an output could not be written: full, read-only, locked, or it would overwrite."""

    exit = 6
    kind = "storage"


class PolicyError(KaiboError):
    """Refused on purpose: a pickle, a path that leaves its folder, code from a stranger."""

    exit = 7
    kind = "policy"


class UnfinishedError(KaiboError):
    """The run ended with failures that are recorded; running it again takes up what is missing."""

    exit = 8
    kind = "unfinished"


class StoppedError(KaiboError):
    """Stopped by a signal; everything that was finished is kept."""

    kind = "stopped"

    def __init__(self, message: str, *, exit: int = 130, next: str | None = None) -> None:  # noqa: A002
        super().__init__(message, next=next)
        self.exit = exit


def missing_extra(extra: str, what: str) -> MissingError:
    """The error for a feature whose optional packages are not installed, with the exact line that installs them.

    >>> missing_extra("hub", "addresses that begin with hf:").line
    'addresses that begin with hf: need the extra "hub"; pip install "kaibo[hub]"'
    """
    return MissingError(f'{what} need the extra "{extra}"', next=f'pip install "kaibo[{extra}]"')
