"""One program behind walls, seen from outside: start it, say a line, hear a line within a time, end it."""

from __future__ import annotations

import functools
import importlib
import importlib.util
import marshal
import os
import secrets
import selectors
import signal
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from kaibo.errors import PolicyError
from kaibo.sandbox.limits import Limits
from kaibo.sandbox.ways import USERS, Way, python, readable, stage

MODULES = {
    "sample": ("filter", "walls", "channel", "plain", "sample"),
    "desk": ("filter", "walls", "channel", "plain", "sameness", "oracles", "strict", "desk"),
}
"""The modules of each program inside, each after those that it imports."""

SIGNALS = {int(each) for each in signal.Signals}

STARTING = 60.0
"""Seconds within which a program behind walls must be ready: a bound on the machine, not on the sample."""

BOOT = """
import marshal, os, sys, types
def part(size):
    held = b""
    while len(held) < size:
        more = os.read(0, size - len(held))
        if not more: os._exit(1)
        held += more
    return held
modules, main, plan = marshal.loads(part(int(part(12))))
for name, code in modules:
    module = sys.modules[name] = types.ModuleType(name)
    exec(code, vars(module))
sys.modules[main].main(plan)
"""


class EndedError(Exception):
    """The program is gone: `verdict` says how, `why` in a few words."""

    def __init__(self, verdict: str, why: str) -> None:
        super().__init__(f"{verdict}: {why}")
        self.verdict = verdict
        self.why = why


@functools.cache
def _modules(program: str) -> list[tuple[str, Any]]:
    """A program inside as code objects; compiled once for all samples."""
    found = []
    for name in MODULES[program]:
        full = f"kaibo.sandbox.inside.{name}"
        spec = importlib.util.find_spec(full)
        if spec is None or spec.loader is None:
            raise ImportError(full)
        found.append((full, spec.loader.get_code(full)))  # type: ignore[attr-defined]  # every source loader has it
    return found


@dataclass
class Boxed:
    """A program that runs behind walls, and the pipes to it. Use it as a context: leaving it ends the program."""

    process: subprocess.Popen[bytes]
    key: bytes
    limits: Limits
    user: int | None
    spent: float = 0.0
    printed: int = 0
    begun: bytes = b""
    _held: bytearray = field(default_factory=bytearray)

    def say(self, word: str, text: str = "") -> None:
        """Send one line. Raises EndedError where the program is gone or does not read."""
        self._send(f"{word} {text}\n".encode(), STARTING)

    def _send(self, data: bytes, seconds: float) -> None:
        assert self.process.stdin is not None
        number, left, until = self.process.stdin.fileno(), memoryview(data), time.monotonic() + seconds
        os.set_blocking(number, False)
        with selectors.DefaultSelector() as ready:
            ready.register(number, selectors.EVENT_WRITE)
            while left:
                if not ready.select(max(0.0, until - time.monotonic())):
                    raise self._ended("timeout", "it does not read what it is asked")
                try:
                    left = left[os.write(number, left) :]
                except BrokenPipeError:
                    raise self._gone() from None

    def hear(self, seconds: float) -> tuple[str, str]:
        """The next answer, its word and its text. Raises EndedError after `seconds`, and where the program is gone."""
        begun = time.monotonic()
        try:
            line = self._line(begun + seconds)
        finally:
            self.spent += time.monotonic() - begun
        key, _, rest = line.partition(b" ")
        word, _, text = rest.partition(b" ")
        if not secrets.compare_digest(key, self.key):
            raise self._ended("killed", "it wrote to the channel itself")
        try:
            return word.decode("ascii"), text.decode("ascii")
        except UnicodeDecodeError:
            raise self._ended("killed", "it wrote to the channel itself") from None

    def _line(self, until: float) -> bytes:
        process = self.process
        assert process.stdout is not None
        assert process.stderr is not None
        answers, prints = process.stdout.fileno(), process.stderr.fileno()
        with selectors.DefaultSelector() as ready:
            ready.register(answers, selectors.EVENT_READ)
            ready.register(prints, selectors.EVENT_READ)
            while (end := self._held.find(b"\n")) < 0:
                if (left := until - time.monotonic()) <= 0 or not (found := ready.select(left)):
                    raise self._ended("timeout", "it ran out of time")
                for each, _ in found:
                    data = os.read(each.fd, 1 << 16)
                    if each.fd == prints:
                        self._count_printed(data, ready)
                    elif data:
                        self._held += data
                    else:
                        raise self._gone()
                if len(self._held) > self.limits.answers:
                    raise self._ended("output", "a value that it gave back is too large")
        line = bytes(self._held[:end])
        del self._held[: end + 1]
        return line

    def _count_printed(self, data: bytes, ready: selectors.BaseSelector) -> None:
        assert self.process.stderr is not None
        if not data:
            ready.unregister(self.process.stderr.fileno())
        self.printed += len(data)
        self.begun = (self.begun + data)[:300]
        if self.printed > self.limits.printed:
            raise self._ended("output", "it printed too much")

    def _ended(self, verdict: str, why: str) -> EndedError:
        self.end()
        return EndedError(verdict, why)

    def _gone(self) -> EndedError:
        """How it went: by itself, by a signal, or not at all though its channel is closed."""
        try:
            status = self.process.wait(1.0)
        except subprocess.TimeoutExpired:
            return self._ended("killed", "it closed its channel")
        self.end()
        number = -status if status < 0 else status - 128 if status > 128 else 0
        if number == signal.SIGXCPU:
            return EndedError("timeout", "it ran out of processor time")
        if number in SIGNALS:
            return EndedError("killed", f"ended by {signal.Signals(number).name}")
        return EndedError("error", f"it ended itself with exit code {status}")

    def end(self) -> None:
        """End the program and all that it started. Nothing of it is left after this."""
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        self._drained()
        for pipe in (self.process.stdin, self.process.stdout, self.process.stderr):
            if pipe is not None and not pipe.closed:
                with _quiet():
                    pipe.close()
        if self.user is not None:
            _free_users.append(self.user)
            self.user = None

    def _drained(self) -> None:
        """Wait until nobody inside holds a pipe any more: the walls' own process ends a moment before the rest."""
        until = time.monotonic() + 1.0
        for pipe in (self.process.stdout, self.process.stderr):
            if pipe is None or pipe.closed:
                continue
            with selectors.DefaultSelector() as ready:
                ready.register(pipe, selectors.EVENT_READ)
                while ready.select(max(0.0, until - time.monotonic())) and os.read(pipe.fileno(), 1 << 16):
                    pass

    def __enter__(self) -> Boxed:
        return self

    def __exit__(self, *_: object) -> None:
        self.end()


class _quiet:  # noqa: N801 - reads as contextlib.suppress, which keeps a frame per use
    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> bool:
        return kind is not None and issubclass(kind, OSError)


def _numbers() -> Iterator[int]:
    number = USERS + os.getpid() % 65536 * 256
    while True:
        yield number
        number += 1


_next_users = _numbers()
_free_users: list[int] = []


def _user() -> int:
    """A number that no other sample has now: the kernel counts its threads by it."""
    try:
        return _free_users.pop()
    except IndexError:
        return next(_next_users)


def started(program: str, way: Way, limits: Limits, packages: tuple[str, ...] = ()) -> Boxed:
    """Start `sample` or `desk` behind walls and wait until they stand. Raises PolicyError where they do not."""
    paths, hidden = readable(packages)
    key = secrets.token_hex(16)
    user = _user() if os.geteuid() == 0 and way.walled else None
    plan = {
        "way": way.name,
        "key": key,
        "readable": paths,
        "hidden": hidden,
        "stage": stage(paths) if way.name == "unshare" else "",
        "machine": os.uname().machine,
        "user": user,
        "bounds": limits.bounds(),
        "folder_bytes": limits.folder,
        "files": limits.files,
        "packages": list(packages),
    }
    held = marshal.dumps((_modules(program), f"kaibo.sandbox.inside.{program}", plan))
    command = [*way.before(paths, hidden), python(), "-B", "-s", "-S", "-P", "-X", "utf8", "-c", BOOT]
    process = subprocess.Popen(
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={"PYTHONHASHSEED": "0"},
        cwd="/",
        bufsize=0,
    )
    boxed = Boxed(process, key.encode(), limits, user)
    try:
        boxed._send(f"{len(held):12d}".encode() + held, STARTING)
        word, text = boxed.hear(STARTING)
    except EndedError as error:
        boxed.end()
        says = boxed.begun.decode(errors="replace").strip()
        raise PolicyError(f"a program behind walls ({way.name}) did not start: {error.why}; {says}") from None
    if word != "ready":
        boxed.end()
        raise PolicyError(f"a wall of {way.name} could not be put up: {text}")
    boxed.spent, boxed.printed = 0.0, 0
    return boxed
