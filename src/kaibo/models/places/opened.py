"""The files of a folder far away: each is opened once, and what is not there is asked for once, too."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import Generic, TypeVar

from kaibo.models.places import Place
from kaibo.models.places.asking import AbsentError

File = TypeVar("File", bound=Place)

MISSES = 2
"""So many files that are not there cost a request each, before the folder is asked for its list."""


class Opened(Generic[File]):
    """Files by name. `path` says what a message calls one, `names` what is there, None where it cannot be asked."""

    def __init__(
        self,
        path: Callable[[str], str],
        open_file: Callable[[str], File],
        names: Callable[[], Sequence[str]] | None = None,
    ) -> None:
        self._path, self._open, self._names = path, open_file, names
        self._files: dict[str, File | None] = {}
        self._there: Sequence[str] | None = None
        self._misses = 0
        self._lock = threading.Lock()

    def get(self, name: str) -> File:
        """The file of a name. Raises AbsentError where there is none."""
        with self._lock:
            known, held = name in self._files, self._files.get(name)
        if known and held is None:
            raise AbsentError("no such file", file=self._path(name), next="is the address right?")
        if held is not None:
            return held
        try:
            held = self._open(name)
        except AbsentError:
            with self._lock:
                self._files[name] = None
                self._misses += 1
            raise
        with self._lock:
            found = self._files.setdefault(name, held)
        return found or held

    def has(self, name: str) -> bool:
        """Whether there is such a file; a page of the web in its place is none."""
        if self._there is None and self._misses >= MISSES and self._names is not None:
            self.listed()
        if self._there is not None and "/" not in name:
            return name in self._there
        try:
            return not getattr(self.get(name), "page", False)
        except AbsentError:
            return False

    def listed(self) -> Sequence[str]:
        """The names of all files, where the place can be asked for them, else of those that were opened."""
        if self._names is not None:
            if self._there is None:
                self._there = tuple(self._names())
            return self._there
        with self._lock:
            held = [(name, file) for name, file in self._files.items() if file is not None]
        return [name for name, file in held if not getattr(file, "page", False)]
