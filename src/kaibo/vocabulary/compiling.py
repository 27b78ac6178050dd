"""Where compiled kernels are kept: `KAIBO_CACHE`, else the user's cache, else a private temporary folder.

Where nothing is writable the kernels are compiled in memory at each start, with a warning.
"""

from __future__ import annotations

import contextlib
import os
import tempfile
import warnings
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

Function = TypeVar("Function", bound=Callable[..., Any])


def compiled(function: Function) -> Function:
    """The function compiled by numba: without the interpreter's lock, cached on disk where a folder is writable."""
    import numba

    folder = cache_folder()
    if folder is not None:
        numba.config.CACHE_DIR = str(folder)
    compile_: Callable[[Function], Function] = numba.njit(nogil=True, cache=folder is not None, boundscheck=False)
    return compile_(function)


@cache
def cache_folder() -> Path | None:
    """The first folder that can be written, or None after a warning."""
    for folder in _candidates():
        try:
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            if folder.stat().st_uid != os.getuid():  # a cache is code: never one that somebody else can write
                continue
            with tempfile.TemporaryFile(dir=folder):
                return folder
        except OSError:
            continue
    warnings.warn(
        "no folder for compiled kernels is writable, so they are compiled at each start; set KAIBO_CACHE to one",
        stacklevel=2,
    )
    return None


def _candidates() -> Iterator[Path]:
    if named := os.environ.get("KAIBO_CACHE"):
        yield Path(named)
    base = os.environ.get("XDG_CACHE_HOME")
    with contextlib.suppress(RuntimeError):  # no home folder can be found
        yield (Path(base) if base else Path.home() / ".cache") / "kaibo"
    yield Path(tempfile.gettempdir()) / f"kaibo-{os.getuid()}"
