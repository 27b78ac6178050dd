"""Where compiled kernels are kept: `KAIBO_CACHE`, else the user's cache, else a private temporary folder.

Where nothing is writable the kernels are compiled in memory at each start, with a warning.
"""

from __future__ import annotations

import contextlib
import os
import tempfile
import warnings
from collections.abc import Callable, Iterator
from functools import cache, update_wrapper
from pathlib import Path
from threading import RLock
from typing import Any, TypeVar, cast

Function = TypeVar("Function", bound=Callable[..., Any])


def compiled(function: Function) -> Function:
    """The function compiled by numba: without the interpreter's lock, cached on disk where a folder is writable.

    It is compiled when it is first called: what never calls one need not load numba, which takes 0.4 s and 70 MiB.
    """
    return cast(Function, update_wrapper(_Kernel(function), function))


def summing(function: Function) -> Function:
    """The same of a function that only adds: in whatever order the processor is quickest with, several at once."""
    return cast(Function, update_wrapper(_Kernel(function, {"reassoc"}), function))


class _Kernel:
    """A function that becomes a compiled one at its first call, together with those that it calls itself."""

    def __init__(self, function: Callable[..., Any], relaxed: set[str] | None = None) -> None:
        self._function, self._relaxed = function, relaxed or set()
        self._made: Callable[..., Any] | None = None

    def __call__(self, *arguments: Any) -> Any:
        return (self._made or self.made())(*arguments)

    def made(self) -> Callable[..., Any]:
        """The compiled function, made once."""
        with _MAKING:
            if self._made is None:
                _link(self._function)
                self._made = _njit(self._function, self._relaxed)
            return self._made


_MAKING = RLock()


def _link(function: Callable[..., Any]) -> None:
    """Puts compiled functions in the place of those that it calls: numba looks for them under their global names."""
    for name in function.__code__.co_names:
        called = function.__globals__.get(name)
        if isinstance(called, _Kernel):
            function.__globals__[name] = called.made()


def _njit(function: Callable[..., Any], relaxed: set[str]) -> Callable[..., Any]:
    import numba

    folder = cache_folder()
    if folder is not None:
        numba.config.CACHE_DIR = str(folder)
    compile_ = numba.njit(nogil=True, cache=folder is not None, boundscheck=False, fastmath=relaxed)
    made: Callable[..., Any] = compile_(function)
    return made


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
