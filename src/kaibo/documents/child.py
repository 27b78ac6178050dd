"""A long-lived child process that answers requests, a line of JSON each, within limits of time and memory."""

from __future__ import annotations

import atexit
import contextlib
import json
import os
import selectors
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

START = 60.0
"""Seconds that a child may take to start: nothing of a stranger runs yet."""


class ExceededError(Exception):
    """The child took too long, needed too much memory or ended; it is gone."""


class Child:
    """A script beside this file, started when it is first asked and again after it was stopped.

    `size` is the memory that its process may have, in bytes. One request is answered at a time; a forked process
    starts a child of its own.
    """

    def __init__(self, script: str, size: int) -> None:
        self._script, self._size = Path(__file__).with_name(script), size
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._owner = 0

    def ask(self, request: Mapping[str, Any], seconds: float) -> Mapping[str, Any]:
        """The answer to a request. Raises ExceededError where there is none within the limits."""
        line = json.dumps(request).encode() + b"\n"
        with self._lock:
            process = self._started()
            answer: Mapping[str, Any] = json.loads(self._exchanged(process, line, seconds))
            return answer

    def _started(self) -> subprocess.Popen[bytes]:
        if self._process is not None and self._owner == os.getpid() and self._process.poll() is None:
            return self._process
        command = [sys.executable, "-I", str(self._script)]
        pipe = subprocess.PIPE
        process = subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=subprocess.DEVNULL, env={})
        self._process, self._owner = process, os.getpid()
        atexit.register(_stopped, process, os.getpid())
        self._exchanged(process, f"{self._size}\n".encode(), START)
        return process

    def _exchanged(self, process: subprocess.Popen[bytes], line: bytes, seconds: float) -> bytes:
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            process.stdin.write(line)
            process.stdin.flush()
            return _line(process.stdout.fileno(), time.monotonic() + seconds)
        except (OSError, ExceededError) as problem:
            _stopped(process, os.getpid())
            self._process = None
            raise ExceededError(str(problem)) from problem


def _line(number: int, deadline: float) -> bytes:
    """What the child writes up to the end of a line."""
    parts: list[bytes] = []
    with selectors.DefaultSelector() as selector:
        selector.register(number, selectors.EVENT_READ)
        while not (parts and parts[-1].endswith(b"\n")):
            if not selector.select(max(0.0, deadline - time.monotonic())):
                raise ExceededError("too long")
            part = os.read(number, 1 << 20)
            if not part:
                raise ExceededError("it ended")
            parts.append(part)
    return b"".join(parts)


def _stopped(process: subprocess.Popen[bytes], owner: int) -> None:
    if owner == os.getpid() and process.poll() is None:
        process.kill()
        process.wait()
    for pipe in (process.stdin, process.stdout):
        if pipe is not None and owner == os.getpid():
            with contextlib.suppress(OSError):  # what was not written yet goes nowhere
                pipe.close()
