"""Files that are there whole or not at all."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path
from typing import Any

from kaibo.documents.json_text import read_json
from kaibo.errors import FormatError
from kaibo.recipes.runs.account import storing


def write_whole(path: Path, data: bytes) -> None:
    """Writes a file beside its place, synced and renamed. Raises StorageError where the disk is full or forbidden."""
    temporary = path.with_name(f".{path.name}.part")
    with storing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            temporary.write_bytes(data)
            synced(temporary)
            os.replace(temporary, path)
        except BaseException:
            with suppress(OSError):
                temporary.unlink()
            raise


def synced(path: Path) -> None:
    """What was written to a file is on the disk once this returns."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def read_object(path: Path) -> dict[str, Any] | None:
    """The JSON object of a file, None where there is no file. Raises FormatError for anything else."""
    if not path.exists():
        return None
    found = read_json(path, advice="remove it to have it made again")
    if not isinstance(found, dict):
        raise FormatError("is no JSON object", file=path, next="remove it to have it made again")
    return found
