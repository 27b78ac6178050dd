"""A file far away as a place: pages of it are kept for what is small, streams go straight to who reads much.

Whatever the other side does, a byte is handed on only if it came in an answer whose range, length, size and state were
those that were asked for. What broke off is asked for again from the very byte on; after some tries, or too long a
time, it is an error.
"""

from __future__ import annotations

import hashlib
import itertools
import threading
import weakref
from collections import OrderedDict
from typing import Protocol

from kaibo.errors import FormatError
from kaibo.models.places import Bytes, is_far, waiting
from kaibo.models.places.asking import AgainError, Tries, changed
from kaibo.vocabulary import Buffer

PAGE = 1 << 17
"""Bytes of a page; the first one is what opening a file asks for. Almost every header of a shard is shorter."""

RANGE = 32 << 20
"""Bytes that are asked for at a time, at most."""

STREAM = 4 << 20
"""From so many bytes on a read goes past the pages."""

KEPT = 128 << 20
"""Bytes of pages that all files together keep."""


class Answered(Protocol):
    """One answered range; see `wire.Answer`."""

    size: int
    tag: str | None

    def readinto(self, room: Bytes) -> int: ...  # noqa: D102
    def close(self) -> None: ...  # noqa: D102


class Source(Protocol):
    """What answers ranges of one object. `key` names the object, in whatever state; `met` is whether its host spoke.

    `published` names the bytes where the place says what they are: its host and their SHA-256.
    """

    name: str

    @property
    def key(self) -> str: ...  # noqa: D102
    @property
    def published(self) -> str | None: ...  # noqa: D102
    @property
    def met(self) -> bool: ...  # noqa: D102
    def ask(self, start: int, stop: int, tag: str | None, seconds: float) -> Answered:
        """Raises AgainError for what may pass, else our own errors."""
        ...


_owners = itertools.count()


class RemoteFile:
    """A file far away. Several threads may read it at once; opening it asks for its first page.

    `page` tells that the place answered with a page of the web. Raises what the source raises.
    """

    def __init__(self, source: Source) -> None:
        self.name, self._source = source.name, source
        self._local, self._pages = threading.local(), _Pages(self)
        self._size: int | None = None
        self._tag: str | None = None
        first = _Stream(self, 0, PAGE)
        answer = first.begun()
        self._size, self._tag = answer.size, answer.tag
        self.page = bool(getattr(answer, "page", False))
        first.stop = min(PAGE, answer.size)
        room = bytearray(first.stop)
        first.fill(memoryview(room))
        self._pages.put(0, bytes(room))
        is_far(self)

    @property
    def size(self) -> int:
        """Bytes of the file when it was opened."""
        assert self._size is not None, "it was opened"
        return self._size

    @property
    def key(self) -> str | None:
        """Names the bytes by what is published of them, else by address and state; None where neither is told."""
        if self._source.published is None and self._tag is None:
            return None
        known = self._source.published or f"{self._source.key}|{self.size}|{self._tag}"
        return hashlib.sha256(f"far|{known}".encode()).hexdigest()

    @property
    def sha256(self) -> str | None:
        """What the place publishes of the whole file; None where it does not."""
        return None if self._source.published is None else self._source.published.rpartition("|")[2]

    def read(self, start: int, size: int) -> bytes:
        """Exactly `size` bytes from `start`, through the pages."""
        self._check(start, size)
        room = bytearray(size)
        self._pages.fill(start, memoryview(room))
        return bytes(room)

    def read_into(self, start: int, buffer: Buffer, ahead: int = 0) -> None:
        """Fills `buffer`; where much is read, by a stream that the next call of the same thread goes on with."""
        size = buffer.nbytes
        self._check(start, size)
        if size + ahead < STREAM and not self._streaming(start):
            self._pages.fill(start, buffer.data)
            return
        stream = self._taken(start, min(start + size + ahead, self.size))
        try:
            with waiting():
                stream.fill(buffer.data)
        except BaseException:
            stream.close()
            raise
        if stream.at < stream.stop:
            self._local.stream = stream

    def ask(self, start: int, stop: int, tries: Tries) -> Answered:
        """One answered range of the file as it was when it was opened, tried again where that may help."""
        while True:
            try:
                answer = self._source.ask(start, stop, self._tag, tries.left())
                break
            except AgainError as problem:
                tries.failed(problem, met=self._source.met)
        if self._size is not None and answer.size != self._size:
            answer.close()
            changed(self.name, f"it had {self._size} bytes and has {answer.size}")
        return answer

    def _streaming(self, start: int) -> bool:
        stream = getattr(self._local, "stream", None)
        return stream is not None and stream.at == start

    def _taken(self, start: int, stop: int) -> _Stream:
        """The stream of this thread where it stands at `start`, else a new one."""
        stream: _Stream | None = getattr(self._local, "stream", None)
        self._local.stream = None
        if stream is not None and stream.at == start:
            stream.stop = max(stream.stop, stop)
            return stream
        if stream is not None:
            stream.close()
        return _Stream(self, start, stop)

    def _check(self, start: int, size: int) -> None:
        if start < 0 or size < 0 or start + size > self.size:
            message = f"{size} bytes were to be read, the file ends at {self.size}"
            raise FormatError(message, file=self.name, offset=start, next="the file is cut; fetch it again")


class _Stream:
    """Bytes `at` to `stop` of a file, in answered ranges one after the other."""

    def __init__(self, file: RemoteFile, start: int, stop: int) -> None:
        self._file, self.at, self.stop = file, start, stop
        self._answer: Answered | None = None
        self._end = start
        self._tries = self._new_tries()

    def __del__(self) -> None:
        self.close()

    def _new_tries(self) -> Tries:
        return Tries(self._file.name, min(RANGE, self.stop - self.at))

    def begun(self) -> Answered:
        """The answer to the range that comes next."""
        if self._answer is None:
            self._end = min(self.at + RANGE, self.stop)
            self._answer = self._file.ask(self.at, self._end, self._tries)
        return self._answer

    def fill(self, room: Bytes) -> None:
        """The next bytes, exactly as many as there is room for."""
        done = 0
        while done < len(room):
            answer = self.begun()
            try:
                self._tries.left()  # raises where a body drips for too long
                wanted = min(len(room) - done, self._end - self.at)
                got = answer.readinto(room[done : done + wanted])
                if not got:
                    raise AgainError(f"{self._end - self.at} bytes of a range are missing")
            except AgainError as problem:
                self.close()
                self._tries.failed(problem, met=True)
                continue
            except BaseException:  # the deadline: the connection is not used again
                self.close()
                raise
            self._tries.count = 0  # it moves: only the deadline holds
            done, self.at = done + got, self.at + got
            if self.at == self._end:
                self.close()
                self._tries = self._new_tries()

    def close(self) -> None:
        """Lets go of the connection."""
        answer, self._answer = self._answer, None
        if answer is not None:
            answer.close()


class _Kept:
    """The pages of all files that were read last, up to a number of bytes."""

    def __init__(self, limit: int) -> None:
        self._limit, self._size = limit, 0
        self._pages: OrderedDict[tuple[int, int], bytes] = OrderedDict()
        self.lock = threading.Lock()

    def get(self, key: tuple[int, int]) -> bytes | None:
        """A page, None where it is not kept. The caller holds the lock, here and below."""
        if key in self._pages:
            self._pages.move_to_end(key)
        return self._pages.get(key)

    def put(self, key: tuple[int, int], page: bytes) -> None:
        """Keeps a page and lets go of those that rested longest."""
        self._size += len(page) - len(self._pages.pop(key, b""))
        self._pages[key] = page
        while self._size > self._limit and len(self._pages) > 1:
            self._size -= len(self._pages.popitem(last=False)[1])

    def forget(self, owner: int) -> None:
        """Nobody will read these pages again. Called by the garbage collector, so it never waits for the lock."""
        if self.lock.acquire(blocking=False):
            try:
                for key in [key for key in self._pages if key[0] == owner]:
                    self._size -= len(self._pages.pop(key))
            finally:
                self.lock.release()


_KEPT = _Kept(KEPT)


class _Pages:
    """Pages of one file; what several threads want is asked for once, and more of it where it is read in order."""

    def __init__(self, file: RemoteFile) -> None:
        self._file, self._owner = weakref.proxy(file), next(_owners)
        self._turn = threading.Condition(_KEPT.lock)
        self._coming: set[int] = set()
        self._next: OrderedDict[int, int] = OrderedDict()
        weakref.finalize(self, _KEPT.forget, self._owner)

    def put(self, number: int, page: bytes) -> None:
        """Keeps a page."""
        with self._turn:
            _KEPT.put((self._owner, number), page)

    def fill(self, start: int, room: Bytes) -> None:
        """Fills the room from the pages, asking for those that are not there."""
        done = 0
        while done < len(room):
            number, skip = divmod(start + done, PAGE)
            with waiting():
                page = self._page(number, (start + len(room) - 1) // PAGE)
            taken = min(len(page) - skip, len(room) - done)
            room[done : done + taken] = page[skip : skip + taken]
            done += taken

    def _page(self, number: int, last: int) -> bytes:
        with self._turn:
            while True:
                held = _KEPT.get((self._owner, number))
                if held is not None:
                    return held
                if number not in self._coming:
                    break
                self._turn.wait()
            stop = self._run(number, last)
            self._coming.update(range(number, stop))
        found: list[bytes] = []
        try:
            begin, end = number * PAGE, min(stop * PAGE, self._file.size)
            whole = bytearray(end - begin)
            _Stream(self._file, begin, end).fill(memoryview(whole))
            found = [bytes(whole[at : at + PAGE]) for at in range(0, len(whole), PAGE)]
        finally:
            with self._turn:
                for place, page in enumerate(found):
                    _KEPT.put((self._owner, number + place), page)
                self._coming.difference_update(range(number, stop))
                self._turn.notify_all()
        return found[0]

    def _run(self, number: int, last: int) -> int:
        """Up to which page is asked for: what is wanted, twice as much as before where it goes on from there."""
        window = self._next.pop(number, 0)
        most = min(max(last + 1, number + window), number + RANGE // PAGE, -(-self._file.size // PAGE))
        stop = number + 1
        while stop < most and stop not in self._coming and _KEPT.get((self._owner, stop)) is None:
            stop += 1
        if number:  # not behind the head, which is read for itself
            self._next[stop] = min(max(2 * (stop - number), 8), RANGE // PAGE // 2)
        while len(self._next) > 64:
            self._next.popitem(last=False)
        return stop
