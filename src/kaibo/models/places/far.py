"""The folders that addresses far away name."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from kaibo.models.places import Far
from kaibo.models.places.web import WebFolder

FRESH = 30.0
"""Seconds in which an address that is opened again leads to the files that were opened already."""

_lock = threading.Lock()
_open: dict[str, tuple[float, Far]] = {}


def web_folder(address: str) -> Far:
    """The folder of an address of the web without a file in it. Raises UsageError for what is none."""
    return _shared(address, lambda: WebFolder(address))


def object_folder(address: str) -> Far:
    """A folder of an object store. Raises UsageError for what is none, MissingError without the extra "remote"."""
    from kaibo.models.places.objects import ObjectFolder

    return _shared(address, lambda: ObjectFolder(address))


def repository(name: str, revision: str | None) -> Far:
    """The repository `org/name` of the hub. Raises MissingError without the extra "hub"."""
    from kaibo.models.places.repository import Repository

    return _shared(f"hf:{name}@{revision}", lambda: Repository(name, revision))


def _shared(key: str, opened: Callable[[], Far]) -> Far:
    """One verb opens an address several times (weights, tokenizer, what is beside them): these share what was asked."""
    with _lock:
        now = time.monotonic()
        for old in [key for key, (made, _) in _open.items() if now - made > FRESH]:
            del _open[old]
        if key not in _open:
            _open[key] = now, opened()
        return _open[key][1]
