"""A repository of the hub, read by range where it is; what the hub's cache on this machine holds is read there.

The first answer says which commit a revision is, and every later request names that commit. A file's answer says the
SHA-256 of what is kept in LFS or Xet, so nothing else is asked before a header is read. Code is never read.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Sequence
from email.message import Message
from typing import NoReturn

from kaibo.errors import MissingError, NetworkError, PolicyError
from kaibo.models.places import Place, hub
from kaibo.models.places.answers import Answer
from kaibo.models.places.asking import AbsentError
from kaibo.models.places.folder import LocalFile
from kaibo.models.places.opened import Opened
from kaibo.models.places.remote import RemoteFile
from kaibo.models.places.wire import Wire


class HubSource:
    """One file of a repository, at the commit that is read."""

    def __init__(self, repository: Repository, path: str) -> None:
        self.name, self._repository, self._path = repository.path(path), repository, path

    @property
    def key(self) -> str:
        """Repository, commit and path."""
        return f"{self._repository.home}@{self._repository.commit}/{self._path}"

    @property
    def published(self) -> str | None:
        """The host and the SHA-256 that it publishes; None of a small file, which is kept in git."""
        known = self._repository.sha256.get(self._path)
        return None if known is None else f"{hub.endpoint()}|sha256|{known}"

    @property
    def met(self) -> bool:
        """Whether the hub has answered before."""
        return self._repository.wire.met

    def ask(self, start: int, stop: int, tag: str | None, seconds: float) -> Answer:
        """One range; raises as `Wire.ask` does, and MissingError for what the hub refuses."""
        return self._repository.ask(self._path, start, stop, tag, seconds)


class Repository:
    """The files of `org/name` at a revision (None: main). Raises MissingError without the extra "hub".

    `commit` is None until the hub, or its cache, has said which one is read.
    """

    def __init__(self, repository: str, revision: str | None) -> None:
        hub.check(repository, revision)
        self.repository, self.revision = repository, revision
        self.home = f"{hub.endpoint()}/{repository}"
        self.sha256: dict[str, str] = {}
        self.wire = Wire(hub.endpoint(), hub.private_headers(), self._heard)
        self.commit: str | None = None
        self._said: dict[str, str] = {}
        self._paths: dict[str, str] = {}
        self._away = hub.offline()
        self._first = threading.Lock()
        self._files: Opened[Place] = Opened(self.path, self._opened, self._names)

    def path(self, name: str) -> str:
        """A file, as a message names it."""
        return f"{hub.address_of(self.repository, self.revision)}/{name}"

    def listed(self) -> Sequence[str]:
        """The files at the top of the repository: as the hub lists them, or as the cache holds them."""
        return self._files.listed()

    def has(self, name: str) -> bool:
        """Whether there is such a file; after some that are not, the list is asked for."""
        try:
            return self._files.has(name)
        except NetworkError:
            if not self._away or self.commit is None:
                raise
            return False

    def opened(self, name: str) -> Place:
        """One file: of the cache where that holds it. Raises AbsentError for what is not there."""
        return self._files.get(name)

    def ask(self, path: str, start: int, stop: int, tag: str | None, seconds: float) -> Answer:
        """One range of a file, at the commit where that is known; raises as `HubSource.ask` does."""
        url = hub.url_of(self.repository, path, self.commit or self.revision)
        self._paths[url] = path
        self._said.pop(url, None)
        try:
            return self.wire.ask(url, self.path(path), start, stop, tag, seconds)
        except MissingError as problem:
            self._refused(url, problem)

    def _refused(self, url: str, problem: MissingError) -> NoReturn:
        """What a refusal means, by what the hub said of it."""
        said = self._said.get(url, "")
        known = hub.refusal(self.repository, self.revision, said)
        if known is not None:
            raise known from problem
        raise problem

    def _heard(self, url: str, headers: Message) -> None:
        """What the hub says beside an answer, or a redirect to where the bytes are."""
        commit, linked = headers.get("X-Repo-Commit", ""), headers.get("X-Linked-Etag", "").strip('"')
        if self.commit is None and hub.is_commit(commit):
            self.commit = commit
        if hub.is_sha256(linked) and url in self._paths:
            self.sha256[self._paths[url]] = linked
        if code := headers.get("X-Error-Code"):
            self._said[url] = code

    def _opened(self, name: str) -> Place:
        with self._first:
            if self.commit is None:
                return self._opened_first(name)
        return self._opened_pinned(name)

    def _opened_first(self, name: str) -> Place:
        """The first file, with which the commit is learned; where the hub cannot be asked, the cache's own is read."""
        kept = hub.cached_commit(self.repository, self.revision)
        if self._away or hub.is_commit(self.revision or ""):
            self.commit = kept if self._away else self.revision
            return self._opened_pinned(name)
        try:
            return RemoteFile(HubSource(self, name))
        except NetworkError as problem:
            if kept is None:
                raise hub.not_cached(self.repository, self.revision) from problem
        self.commit, self._away = kept, True
        return self._opened_pinned(name)

    def _opened_pinned(self, name: str) -> Place:
        path = hub.cached_file(self.repository, self.commit, name) if self.commit else None
        if path is not None:
            return LocalFile(path, name=self.path(name), real=_real(path, self.path(name)))
        if self._away:
            raise hub.not_cached(self.repository, self.revision)
        return RemoteFile(HubSource(self, name))

    def _names(self) -> Sequence[str]:
        if self.commit is None:
            try:
                self.opened("config.json")
            except AbsentError:
                pass
            except NetworkError:
                if self.commit is None:
                    raise
        if self._away:
            return hub.cached_names(self.repository, self.commit or "")
        found = hub.files_of(self.repository, self.commit or self.revision)
        self.sha256 |= {name: one.sha256 for name, one in found.items() if one.sha256 is not None}
        return list(found)


def _real(path: str, name: str) -> str:
    """Where a file of the cache lies. Raises PolicyError for a link that leaves its repository's part of the cache."""
    real, home = os.path.realpath(path), os.path.realpath(path.partition(f"{os.sep}snapshots{os.sep}")[0])
    if not real.startswith(home + os.sep):
        raise PolicyError("is a link out of the cache's own folder, which is not followed", file=name)
    return real
