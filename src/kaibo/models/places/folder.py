"""Local files as places: read by range through a descriptor, and checked to be the file that was opened.

A file that shrinks, is rewritten or is replaced under a reader must be an error and never a signal, so nothing is
mapped into memory. Descriptors are few: a model may have hundreds of shards, a folder tens of thousands of files.
"""

from __future__ import annotations

import errno
import hashlib
import itertools
import os
import stat
import threading
import weakref
from collections import OrderedDict, deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple, NoReturn

from kaibo.errors import FormatError, MissingError, PolicyError, UsageError

if TYPE_CHECKING:
    from kaibo.vocabulary import Buffer

DESCRIPTOR_LIMIT = 64
"""Files kept open at once; beyond it the one that rested longest is closed and opened again when it is needed."""

_KINDS = (
    (stat.S_ISDIR, "a folder"),
    (stat.S_ISFIFO, "a named pipe"),
    (stat.S_ISCHR, "a device"),
    (stat.S_ISBLK, "a device"),
    (stat.S_ISSOCK, "a socket"),
)


class Identity(NamedTuple):
    """What tells one state of a file from another without reading it."""

    device: int
    inode: int
    size: int
    mtime_ns: int

    @classmethod
    def of(cls, status: os.stat_result) -> Identity:
        """The identity in what `os.stat` answered."""
        return cls(status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns)


@dataclass
class _Held:
    number: int
    readers: int = 0


class Descriptors:
    """Open files, at most `limit` of them unless more are being read at the same moment.

    >>> Descriptors(limit=2).count
    0
    """

    def __init__(self, limit: int = DESCRIPTOR_LIMIT) -> None:
        self._limit = limit
        self._lock = threading.Lock()
        self._held: OrderedDict[int, _Held] = OrderedDict()
        self._released: deque[int] = deque()

    @property
    def count(self) -> int:
        """How many files are open now."""
        return len(self._held)

    def borrow(self, key: int, path: str, identity: Identity) -> int:
        """A descriptor of the file `path`, which must still be the one that `identity` describes; else OSError."""
        with self._lock:
            self._sweep()
            held = self._held.get(key)
            if held is None:
                self._make_room(self._limit - 1)
                held = _Held(self._open(path, identity))
                self._held[key] = held
            else:
                self._held.move_to_end(key)
            held.readers += 1
            return held.number

    def give_back(self, key: int) -> None:
        """The reader of `borrow` is done; the descriptor stays open for the next one."""
        with self._lock:
            self._held[key].readers -= 1

    def release(self, key: int) -> None:
        """Nobody will read `key` again. Called by the garbage collector, so it never waits for the lock."""
        self._released.append(key)
        if self._lock.acquire(blocking=False):
            try:
                self._sweep()
            finally:
                self._lock.release()

    def _sweep(self) -> None:
        while self._released:
            held = self._held.pop(self._released.popleft(), None)
            if held is not None:
                os.close(held.number)

    def _make_room(self, limit: int) -> None:
        excess = len(self._held) - limit
        idle = [key for key, held in self._held.items() if held.readers == 0] if excess > 0 else []
        for key in idle[:excess]:
            os.close(self._held.pop(key).number)

    def _open(self, path: str, identity: Identity) -> int:
        try:
            number = _open_regular(path)
        except OSError as problem:
            if problem.errno not in (errno.EMFILE, errno.ENFILE):
                raise
            self._make_room(0)
            number = _open_regular(path)
        if Identity.of(os.fstat(number)) != identity:
            os.close(number)
            raise OSError(errno.ESTALE, "changed while reading")
        return number


def _open_regular(path: str) -> int:
    # Not blocking and not following a last link: the path was resolved, and something else may stand there by now.
    return os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOFOLLOW)


DESCRIPTORS = Descriptors()
"""The descriptors of this process."""

_keys = itertools.count()


class LocalFile:
    """A regular file on this machine as a place. Several threads may read it at once.

    `name` is the path as the user gave it, for messages; `real` the path with its links resolved, where somebody
    has already seen to it that they lead nowhere they should not. Raises FormatError for what is not a regular
    file (a pipe is never waited for), MissingError for what is absent or may not be read.
    """

    def __init__(self, path: str, *, name: str | None = None, real: str | None = None) -> None:
        self.name = path if name is None else name
        self._path = os.path.abspath(path)
        self._real, self.identity = self._look(real)
        self._key = next(_keys)
        weakref.finalize(self, DESCRIPTORS.release, self._key)

    @property
    def size(self) -> int:
        """Bytes of the file when it was opened."""
        return self.identity.size

    @property
    def real(self) -> str:
        """The path with every link resolved."""
        return self._real

    @property
    def key(self) -> str:
        """SHA-256 over (real path, size, mtime, inode): equal keys mean the same bytes, unread."""
        seen = f"{self.identity.size}|{self.identity.mtime_ns}|{self.identity.inode}|".encode("ascii")
        return hashlib.sha256(seen + os.fsencode(self._real)).hexdigest()

    def read(self, start: int, size: int) -> bytes:
        """Exactly `size` bytes from `start`. Raises FormatError where the file is shorter or was changed."""
        if start < 0 or size < 0 or start + size > self.size:
            self._fail_short(start, size)
        parts = []
        got = 0
        number = self._borrow()
        try:
            while got < size and (part := os.pread(number, min(size - got, 1 << 30), start + got)):
                parts.append(part)
                got += len(part)
        except OSError as problem:
            self._fail_unreadable(problem)
        finally:
            DESCRIPTORS.give_back(self._key)
        self._check(start, size, got)
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def read_into(self, start: int, buffer: Buffer, ahead: int = 0) -> None:
        """Fills `buffer` with the bytes from `start`: one system call to read and one to check, no copy."""
        size = buffer.nbytes
        if start < 0 or start + size > self.size:
            self._fail_short(start, size)
        room = buffer.data
        number = self._borrow()
        try:
            got = os.preadv(number, [room], start) if size else 0
            while 0 < got < size and (more := os.preadv(number, [room[got:]], start + got)):
                got += more
        except OSError as problem:
            self._fail_unreadable(problem)
        finally:
            DESCRIPTORS.give_back(self._key)
        self._check(start, size, got)

    def _look(self, real: str | None) -> tuple[str, Identity]:
        try:
            real = real or os.path.realpath(self._path, strict=True)
            status = os.stat(real)
        except OSError as problem:
            self._fail_unreadable(problem)
        except ValueError as problem:  # a NUL in the path
            raise UsageError("is no path", file=self.name) from problem
        if not stat.S_ISREG(status.st_mode):
            kind = next((kind for is_kind, kind in _KINDS if is_kind(status.st_mode)), "something else")
            raise FormatError(f"is {kind}, not a regular file", file=self.name, next="name a file of weights")
        if not os.access(real, os.R_OK):
            self._fail_unreadable(PermissionError(errno.EACCES, "Permission denied"))
        return real, Identity.of(status)

    def _borrow(self) -> int:
        try:
            return DESCRIPTORS.borrow(self._key, self._real, self.identity)
        except FileNotFoundError:
            self._fail_changed("it is gone")
        except OSError as problem:
            if problem.errno in (errno.ESTALE, errno.ELOOP):
                self._fail_changed("another file stands there, or it was written to")
            self._fail_unreadable(problem)

    def _check(self, start: int, size: int, got: int) -> None:
        # After the read, by path: one look finds a file that was cut, rewritten (time, size) or replaced (inode).
        try:
            now = Identity.of(os.stat(self._path))
        except OSError:
            self._fail_changed("it is gone")
        if now != self.identity:
            same = (now.device, now.inode) == (self.identity.device, self.identity.inode)
            self._fail_changed("it was written to" if same else "another file was put in its place")
        if got != size:
            self._fail_short(start, size)

    def _fail_short(self, start: int, size: int) -> NoReturn:
        message = f"{size} bytes were to be read, the file ends at {self.size}"
        raise FormatError(message, file=self.name, offset=start, next="the file is cut; fetch it again")

    def _fail_changed(self, how: str) -> NoReturn:
        raise FormatError(
            f"changed while reading: {how}", file=self.name, next="run again when nothing writes to it any more"
        )

    def _fail_unreadable(self, problem: OSError) -> NoReturn:
        if problem.errno == errno.ELOOP:
            raise PolicyError("is a link that leads back to itself", file=self.name) from problem
        if problem.errno in (errno.ENOENT, errno.ENOTDIR):
            dangling = os.path.islink(self._path)
            message = "is a link to a file that is not there" if dangling else "no such file"
            raise MissingError(message, file=self.name) from problem
        reason = os.strerror(problem.errno) if problem.errno else str(problem)
        raise MissingError(f"cannot be read: {reason}", file=self.name) from problem
