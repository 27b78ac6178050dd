"""Folders and files behind http:// and https://, which cannot be listed: what is asked for is there or is not."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from urllib.parse import quote

from kaibo.models.places.answers import Answer
from kaibo.models.places.asking import AbsentError
from kaibo.models.places.remote import RemoteFile
from kaibo.models.places.urls import checked_url
from kaibo.models.places.wire import Wire


class WebSource:
    """One URL."""

    published: str | None = None

    def __init__(self, wire: Wire, url: str, name: str) -> None:
        self.name, self.key = name, url
        self._wire, self._url = wire, url

    @property
    def met(self) -> bool:
        """Whether the host has answered before."""
        return self._wire.met

    def ask(self, start: int, stop: int, tag: str | None, seconds: float) -> Answer:
        """One range; raises as `Wire.ask` does."""
        return self._wire.ask(self._url, self.name, start, stop, tag, seconds)


class Opened:
    """The files of a folder far away, each opened once; what is not there is asked for once, too."""

    def __init__(self, path: Callable[[str], str], open_file: Callable[[str], RemoteFile]) -> None:
        self._path, self._open = path, open_file
        self._files: dict[str, RemoteFile | None] = {}
        self._lock = threading.Lock()

    def get(self, name: str) -> RemoteFile:
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
            raise
        with self._lock:
            found = self._files.setdefault(name, held)
        return found or held

    def has(self, name: str) -> bool:
        """Whether there is such a file; a page of the web in its place is none."""
        try:
            return not self.get(name).page
        except AbsentError:
            return False

    @property
    def there(self) -> Sequence[str]:
        """The names of the files that were opened."""
        with self._lock:
            return [name for name, file in self._files.items() if file is not None and not file.page]


class WebFolder:
    """A folder of the web under a URL without the last slash."""

    def __init__(self, address: str) -> None:
        self.url = checked_url(address.rstrip("/"))
        self._wire = Wire(self.url)
        self._files = Opened(lambda name: f"{self.url}/{name}", self._file)

    def _file(self, name: str) -> RemoteFile:
        url = f"{self.url}/{quote(name)}"
        return RemoteFile(WebSource(self._wire, url, f"{self.url}/{name}"))

    def listed(self) -> Sequence[str]:
        """The names of the files that were found so far."""
        return self._files.there

    def has(self, name: str) -> bool:
        """Whether the server has such a file."""
        return self._files.has(name)

    def opened(self, name: str) -> RemoteFile:
        """One file. Raises MissingError where the server has none."""
        return self._files.get(name)
