"""Fault points: every write, fsync, rename and unlink of a store's life is made to fail, or to be the last thing done.

`disturbed` counts the operations of `kaibo.store.disk`, through which all rooms that store go, and lets one of them (or
all from it on) meet trouble. Their number is finite, so a test can try each: `every_point` goes from the first to the
one that is never reached, because the work was done before.
"""

from __future__ import annotations

import errno
import os
import signal
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from kaibo.errors import KaiboError
from kaibo.store import Store, disk
from kaibo.store.schemas import SCHEMAS

OPERATIONS = ("create", "write", "write_at", "fsync", "rename", "unlink", "mkdir")


@contextmanager
def disturbed(
    at: int, trouble: Callable[[str], None], forever: bool = False, only: tuple[str, ...] = OPERATIONS
) -> Iterator[list[str]]:
    """The `at`-th operation (from 1) among `only` meets trouble, or all from there on; the list says which were begun.

    With `at` 0 nothing happens, and the list is all there is.
    """
    begun: list[str] = []
    plain = {name: getattr(disk, name) for name in only}

    def wrapped(name: str) -> Callable[..., Any]:
        def operation(*given: Any) -> Any:
            begun.append(name)
            if at and (len(begun) == at or (forever and len(begun) > at)):
                if name in ("write", "write_at"):  # the worst write is one that stops half-way
                    plain[name](given[0], given[1][: len(given[1]) // 2], *given[2:])
                trouble(name)
            # nothing here outlives the machine, so nothing need wait for the platter
            return None if name == "fsync" else plain[name](*given)

        return operation

    for name in only:
        setattr(disk, name, wrapped(name))
    try:
        yield begun
    finally:
        for name, operation in plain.items():
            setattr(disk, name, operation)


def nothing(_: str) -> None:
    """No trouble."""


def die(_: str) -> None:
    """The process is killed: nothing of it runs any more."""
    os.kill(os.getpid(), signal.SIGKILL)


def refusing(code: int) -> Callable[[str], None]:
    """Trouble of which the system says so much."""

    def refuse(_: str) -> None:
        raise OSError(code, os.strerror(code))

    return refuse


full = refusing(errno.ENOSPC)


def refused(work: Callable[[], object]) -> KaiboError | None:
    """The error of ours that work ends with; None where it gets through. Any other error is a fault."""
    try:
        work()
    except KaiboError as error:
        return error
    return None


def in_a_child(work: Callable[[Callable[[str], None]], object], at: int) -> tuple[list[str], bool]:
    """Work in a process that is killed at an operation; what it reported by then, and whether it got through."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        status = 1
        try:
            with disturbed(at, die):
                work(lambda name: _say(writing, name))
            status = 0
        except BaseException:  # noqa: BLE001 - a forked child must never return into pytest
            traceback.print_exc()
        finally:
            os._exit(status)
    os.close(writing)
    with os.fdopen(reading) as lines:
        reported = lines.read().splitlines()
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    assert code in (0, -signal.SIGKILL), code
    return reported, code == 0


def _say(pipe: int, name: str) -> None:
    os.write(pipe, f"{name}\n".encode())


def everything(folder: Path) -> dict[str, list[str]]:
    """All rows of all tables of a store, each once, in an order that does not depend on when they came."""
    store = Store(folder)
    found = {name: sorted(map(repr, store.parts.read(name).to_pylist())) for name in SCHEMAS}
    assert store.warnings == ()
    return found
