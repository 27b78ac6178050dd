"""Folders and files behind http:// and https://, which cannot be listed: what is asked for is there or is not."""

from __future__ import annotations

from collections.abc import Sequence
from urllib.parse import quote

from kaibo.models.places.answers import Answer
from kaibo.models.places.opened import Opened
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
        return self._files.listed()

    def has(self, name: str) -> bool:
        """Whether the server has such a file."""
        return self._files.has(name)

    def opened(self, name: str) -> RemoteFile:
        """One file. Raises MissingError where the server has none."""
        return self._files.get(name)
