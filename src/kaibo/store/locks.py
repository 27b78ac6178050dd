"""The one lock there is: who is compacting. It says PID and host, and a dead process's lock does not count.

Each contender leaves a file of its own name and then looks whether anybody else has one. There is no moment at
which a lock changes hands, so two can never both believe that they hold it.
"""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from kaibo.errors import StorageError
from kaibo.store import disk
from kaibo.store.writers import alive, token_of, writing


@contextmanager
def alone(folder: Path) -> Iterator[None]:
    """Holds the lock kept in a folder. Raises StorageError, naming PID and host, when somebody else does."""
    _refuse_others(folder, None)
    disk.make_folder(folder)
    with writing() as token:
        mine = folder / f"{token}.json"
        who = {"pid": os.getpid(), "host": socket.gethostname()}
        disk.write_durably(mine, json.dumps(who).encode())
        try:
            _refuse_others(folder, mine.name)
            yield
        finally:
            with suppress(OSError):
                disk.unlink(mine)


def _refuse_others(folder: Path, mine: str | None) -> None:
    try:
        names = sorted(os.listdir(folder))
    except FileNotFoundError:
        return
    for name in names:
        token = token_of(name)
        if token is None or name == mine:
            continue
        if not alive(token):  # its process is gone, so nobody will take the file away
            disk.remove(folder / name)
        elif name.endswith(".json") and not name.startswith("."):
            raise _held(folder / name, token)


def _held(path: Path, token: str) -> StorageError:
    host, pid = "another host", token.split("-")[1]
    with suppress(OSError, ValueError, KeyError, TypeError):
        host = str(json.loads(path.read_text("utf-8"))["host"])
    return StorageError(
        f"the store is being compacted by process {pid} on {host}",
        file=path,
        next="wait for it; if that machine is gone, delete this file",
    )
