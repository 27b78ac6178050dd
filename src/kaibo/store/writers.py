"""Who writes: names that no two writers share, and whether the writer behind a name is still alive.

    token    host-pid-run-number    8 hex digits of the host's name, the PID, 8 hex digits that tell two
                                    processes with one PID apart (boot and start), 12 random hex digits

No clock is asked: a file is left over because its writer is gone, not because it is old. What a merge writes is named
by its bytes alone, so that the same rows get the same names: a token with the PID 0, which no process has.
"""

from __future__ import annotations

import hashlib
import os
import re
import secrets
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

TOKEN = re.compile(r"[0-9a-f]{8}-[0-9]+-[0-9a-f]{8}-[0-9a-f]{12}")
_at_work: set[str] = set()


@contextmanager
def writing() -> Iterator[str]:
    """A fresh token, counted as at work until the block is left."""
    token = f"{_short(socket.gethostname())}-{os.getpid()}-{_run(os.getpid())}-{secrets.token_hex(6)}"
    _at_work.add(token)
    try:
        yield token
    finally:
        _at_work.discard(token)


def alive(token: str) -> bool:
    """Whether the writer of a token may still be at work: False only where that can be known to be over."""
    host, pid, run, _ = token.split("-")
    if pid == "0":  # a merge, which works alone: what it left is left over
        return False
    if host != _short(socket.gethostname()):
        return True  # another machine's processes cannot be seen from here
    if int(pid) == os.getpid() and run == _run(os.getpid()):
        return token in _at_work
    return _exists(int(pid)) and run == _run(int(pid))


def merged_token(sha256: str) -> str:
    """The token of a part that a merge makes, by the hash of its bytes."""
    return f"{sha256[16:24]}-0-{sha256[24:32]}-{sha256[32:44]}"


def token_of(name: str) -> str | None:
    """The token inside a file's name."""
    found = TOKEN.search(name)
    return found.group() if found else None


def _exists(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:
        return True
    return not _zombie(pid)


def _zombie(pid: int) -> bool:
    return _stat(pid)[:1] == ["Z"]


def _run(pid: int) -> str:
    """Tells this process from an earlier one with the same PID, where the system lets us (Linux)."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text("ascii")
    except OSError:
        boot = ""
    return _short(boot + "".join(_stat(pid)[19:20]))  # field 22 of the line: when the process started


def _stat(pid: int) -> list[str]:
    """The fields of /proc/PID/stat from the state on; empty where there is none."""
    try:
        line = Path(f"/proc/{pid}/stat").read_text("utf-8", errors="replace")
    except OSError:
        return []
    return line.rpartition(")")[2].split()


def _short(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:8]
