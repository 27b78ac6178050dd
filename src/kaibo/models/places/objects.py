"""Folders of object stores (`s3://bucket/prefix`, `gs://…`, `az://container/…`) through `obstore`, which signs.

Credentials and endpoints are those of the environment; where it names none, nothing is signed and nobody is asked for
them. ETag and version of a file are pinned by its first answer. What the client says is never repeated.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any, NoReturn
from urllib.parse import urlsplit

from kaibo.errors import MissingError, UsageError, missing_extra
from kaibo.models.places import Bytes
from kaibo.models.places.asking import RATE, AbsentError, AgainError, changed, patience
from kaibo.models.places.opened import Opened
from kaibo.models.places.remote import RANGE, RemoteFile

_STATUS = re.compile(r"\b(?:status(?: code)?:?|HTTP error|response error:?)\D{0,20}(\d{3})\b", re.IGNORECASE)
_AWS = ("AWS_ACCESS_KEY_ID", "AWS_WEB_IDENTITY_TOKEN_FILE", "AWS_METADATA_ENDPOINT")
_AWS_CONTAINER = ("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "AWS_CONTAINER_CREDENTIALS_FULL_URI")
_GOOGLE_FILE = "~/.config/gcloud/application_default_credentials.json"
CHUNK = 1 << 20


class ObjectAnswer:
    """One answered range: `start` to `stop` of an object of `size` bytes in the state `tag`."""

    def __init__(self, result: Any, start: int, stop: int) -> None:
        meta = result.meta
        self.size, self.tag = meta["size"], meta.get("e_tag") or str(meta["last_modified"])
        if tuple(result.range) != (start, min(stop, self.size)):
            raise AgainError(f"answers another range than the one from {start} to {stop}")
        self._chunks: Iterator[Any] | None = iter(result.stream(min_chunk_size=CHUNK))
        self._left = memoryview(b"")

    def readinto(self, room: Bytes) -> int:
        """Some of the next bytes; 0 at the end. Raises AgainError where the connection breaks."""
        while not self._left:
            try:
                found = None if self._chunks is None else next(self._chunks, None)
            except Exception as problem:  # noqa: BLE001 - the client's errors are of no common kind
                raise AgainError(_what(problem)) from None
            if found is None:
                return 0
            self._left = memoryview(found)
        taken = min(len(room), len(self._left))
        room[:taken], self._left = self._left[:taken], self._left[taken:]
        return taken

    def close(self) -> None:
        """Lets go of the connection."""
        self._chunks, self._left = None, memoryview(b"")


class Nothing:
    """The answer of an object without bytes, of which no range can be asked for."""

    size = 0

    def __init__(self, tag: str | None) -> None:
        self.tag = tag

    def readinto(self, room: Bytes) -> int:
        """There is nothing to read."""
        return 0

    def close(self) -> None:
        """Nothing is held."""


class ObjectSource:
    """One object under a prefix."""

    published: str | None = None

    def __init__(self, store: Any, path: str, name: str) -> None:
        self.name, self.met = name, False
        self._store, self._path = store, path
        self._version: str | None = None

    @property
    def key(self) -> str:
        """Its address, and the version that is read."""
        return f"{self.name}|{self._version}"

    def ask(self, start: int, stop: int, tag: str | None, seconds: float) -> ObjectAnswer | Nothing:
        """One range, of the version and the state of the first answer; raises as `Wire.ask` does."""
        asked: dict[str, Any] = {"range": (start, stop)}
        if self._version is not None:
            asked["version"] = self._version
        if tag is not None and tag.startswith('"'):
            asked["if_match"] = tag
        try:
            result = _client().get(self._store, self._path, options=asked)
        except Exception as problem:  # noqa: BLE001 - as above
            if tag is None and start == 0 and (empty := self._empty(problem)) is not None:
                return empty
            _refused(problem, self.name)
        self.met = True
        found = ObjectAnswer(result, start, stop)
        if tag is not None and found.tag != tag:
            changed(self.name, "its ETag is another one by now")
        self._version = self._version or result.meta.get("version")
        return found

    def _empty(self, problem: Exception) -> Nothing | None:
        if _status(problem) != 416 and "InvalidRange" not in str(problem):
            return None
        meta = _client().head(self._store, self._path)
        return Nothing(meta.get("e_tag")) if meta["size"] == 0 else None


class ObjectFolder:
    """The objects under an address. Raises MissingError without the extra "remote", UsageError for no address."""

    def __init__(self, address: str) -> None:
        self.address = address.rstrip("/")
        self._store = _store(self.address)
        self._files = Opened(self._path, self._file, self._names)

    def listed(self) -> Sequence[str]:
        """The objects right under the address: one request, more where there are thousands."""
        return self._files.listed()

    def has(self, name: str) -> bool:
        """Whether there is such an object."""
        return self._files.has(name)

    def opened(self, name: str) -> RemoteFile:
        """One object. Raises AbsentError where there is none."""
        return self._files.get(name)

    def _path(self, name: str) -> str:
        return f"{self.address}/{name}"

    def _file(self, name: str) -> RemoteFile:
        return RemoteFile(ObjectSource(self._store, name, self._path(name)))

    def _names(self) -> Sequence[str]:
        try:
            found = _client().list_with_delimiter(self._store)
        except Exception as problem:  # noqa: BLE001 - as above
            try:
                _refused(problem, self.address)
            except AgainError as again:
                raise MissingError(f"cannot be listed: {again}", file=self.address, next="run it again") from None
        return [one["path"] for one in found["objects"]]


def _client() -> Any:
    try:
        import obstore
    except ImportError:
        raise missing_extra("remote", "addresses that begin with s3:, gs: or az:") from None
    return obstore


def _store(address: str) -> Any:
    _client()
    from obstore import store

    parts = urlsplit(address)
    kind = parts.scheme.lower()
    if not parts.netloc or "@" in parts.netloc or parts.query or parts.fragment:
        shown = f"{kind}://…" if "@" in parts.netloc or parts.query else address
        raise UsageError("is no address of an object store", file=shown, next="write it as s3://bucket/folder")
    opening = {"s3": store.S3Store, "gs": store.GCSStore, "az": store.AzureStore}[kind].from_url
    seconds = patience()
    config = {"skip_signature": True} if _unsigned(kind) else {}
    options = {
        "timeout": timedelta(seconds=seconds + RANGE / RATE),
        "connect_timeout": timedelta(seconds=seconds / 3),
        "read_timeout": timedelta(seconds=seconds / 3),
        "user_agent": "kaibo",
        **({"allow_http": True} if _plain() else {}),
    }
    try:
        return opening(address, config=config, client_options=options, retry_config={"max_retries": 0})
    except Exception as problem:
        next_step = "see its credentials and endpoint in the environment: docs/howto/places.md"
        raise UsageError("cannot be set up as an object store", file=address, next=next_step) from problem


def _plain() -> bool:
    """Whether the environment names an endpoint that speaks plain http."""
    names = ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL", "AWS_ENDPOINT", "AZURE_STORAGE_ENDPOINT", "GOOGLE_BASE_URL")
    return any(os.environ.get(name, "").lower().startswith("http://") for name in names)


def _unsigned(kind: str) -> bool:
    """Whether the environment has no credentials: the addresses of a machine's metadata are then not asked either."""
    if kind == "s3":
        return not any(os.environ.get(name) for name in (*_AWS, *_AWS_CONTAINER))
    prefix = {"gs": "GOOGLE_", "az": "AZURE_"}[kind]
    named = [name for name in os.environ if name.startswith(prefix) and name != "AZURE_STORAGE_ACCOUNT_NAME"]
    return not named and not (kind == "gs" and Path(_GOOGLE_FILE).expanduser().is_file())


def _status(problem: Exception) -> int | None:
    found = _STATUS.search(str(problem))
    return int(found[1]) if found else None


def _what(problem: Exception) -> str:
    """What happened, without what the other side or the client wrote."""
    status, text = _status(problem), str(problem).lower()
    if status is not None:
        return f"the server answers {status}"
    return "did not answer in time" if "timed out" in text or "timeout" in text else "the connection broke"


def _refused(problem: Exception, name: str) -> NoReturn:
    """Raises our error for one of the client's."""
    from obstore import exceptions

    status = _status(problem)
    if isinstance(problem, FileNotFoundError) or status == 404:
        raise AbsentError("no such file", file=name, next="is the address right?") from None
    if isinstance(problem, exceptions.PreconditionError) or status == 412:
        changed(name, "its ETag is another one by now")
    if isinstance(problem, exceptions.PermissionDeniedError | exceptions.UnauthenticatedError) or status in (401, 403):
        message = "may not be read with these credentials, or is not there"
        raise MissingError(message, file=name, next="the environment names them: docs/howto/places.md") from None
    if status in (301, 307, 308, 400) or "redirect" in str(problem).lower():
        message = f"is not answered there ({status or 'a redirect'}): another region, or none of the service"
        raise MissingError(message, file=name, next="AWS_REGION and AWS_ENDPOINT_URL name where it is") from None
    if status == 416:
        changed(name, "it is shorter by now")
    away = "connect" in str(problem).lower() or "dns" in str(problem).lower()
    raise AgainError(_what(problem), away=away and status is None) from None
