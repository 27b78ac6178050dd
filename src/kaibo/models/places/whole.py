"""Whole files far away beside the SHA-256 that is published of them: read once in order, several files at a time."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from kaibo.errors import FormatError
from kaibo.models.places import AT_ONCE, Place
from kaibo.models.places.remote import STREAM, RemoteFile


def published(places: Sequence[Place]) -> list[RemoteFile]:
    """Those of which a SHA-256 is published."""
    return [place for place in places if isinstance(place, RemoteFile) and place.sha256 is not None]


def check(files: Sequence[RemoteFile]) -> None:
    """Raises FormatError for the first file that is not what is published, and what reading raises."""
    with ThreadPoolExecutor(AT_ONCE, thread_name_prefix="kaibo") as pool:
        for _ in pool.map(_check, files):
            pass


def _check(file: RemoteFile) -> None:
    digest, room = hashlib.sha256(), np.empty(min(STREAM, file.size), np.uint8)
    for start in range(0, file.size, STREAM):
        part = room[: min(STREAM, file.size - start)]
        file.read_into(start, part, file.size - start - part.nbytes)
        digest.update(part.data)
    if digest.hexdigest() != file.sha256:
        message = f"has the SHA-256 {digest.hexdigest()[:16]}…, published is {(file.sha256 or '')[:16]}…"
        raise FormatError(message, file=file.name, next="the copy that was served is damaged: run it again, later")
