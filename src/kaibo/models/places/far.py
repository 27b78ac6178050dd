"""The folder that an address far away names."""

from __future__ import annotations

import threading
import time

from kaibo.models.places import Far
from kaibo.models.places.web import WebFolder

FRESH = 30.0
"""Seconds in which an address that is opened again leads to the files that were opened already."""

_lock = threading.Lock()
_open: dict[str, tuple[float, Far]] = {}


def far_folder(address: str) -> Far:
    """The folder of an address without a file in it. Raises UsageError for what is none.

    One verb opens an address several times (weights, tokenizer, what is beside them): these share what was asked.
    """
    with _lock:
        now = time.monotonic()
        for old in [key for key, (made, _) in _open.items() if now - made > FRESH]:
            del _open[old]
        if address not in _open:
            _open[address] = now, WebFolder(address)
        return _open[address][1]
