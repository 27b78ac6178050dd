"""A stand-in for the hub on 127.0.0.1: resolve, lists with hashes, revisions, gates; bytes come from a second server.

Files lie under `folder/org/name/REVISION/`. Weights are kept as in LFS: the hub redirects to the other
server, which answers ranges and must never see a token.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from urllib.parse import unquote

from range_server import Handler, Request, Served

LARGE = (".safetensors", ".gguf", ".bin")


class Hub:
    """`gated` and `private` repositories want `token`; `moved` is asked for the address of a file's bytes.

    `heads` are further branches, by the folders of revisions that they stand at.
    """

    def __init__(self, folder: Path) -> None:
        self.folder, self.token = folder, "hf_secret_token"
        self.gated: set[str] = set()
        self.private: set[str] = set()
        self.heads: dict[str, str] = {}
        self.blobs = Served(folder)
        self.moved: Callable[[str], str] = lambda path: f"{self.blobs.url}/{path}?X-Signature=signed"
        self.front = Served(folder, answer=self._answer)
        self.blobs.answer = self._bytes
        self.url = self.front.url
        self._revisions: dict[str, tuple[int, dict[str, str]]] = {}
        self._hashes: dict[Path, tuple[int, str]] = {}

    def __enter__(self) -> Hub:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.front.close()
        self.blobs.close()

    @property
    def asked(self) -> list[str]:
        """The paths that the hub itself was asked for."""
        return [request.path for request in self.front.requests]

    def commit(self, repository: str, revision: str) -> str:
        """Changes with the contents, as a commit does."""
        files = sorted((self.folder / repository / revision).rglob("*"))
        said = "".join(f"{path.name} {self.sha256(path)}" for path in files if path.is_file())
        return hashlib.sha1(f"{revision} {said}".encode()).hexdigest()

    def sha256(self, path: Path) -> str:
        changed = path.stat().st_mtime_ns
        if self._hashes.get(path, (0, ""))[0] != changed:
            self._hashes[path] = changed, hashlib.sha256(path.read_bytes()).hexdigest()
        return self._hashes[path][1]

    def revisions(self, repository: str) -> dict[str, str]:
        """Commits by the names of branches."""
        folder = self.folder / repository
        changed = folder.stat().st_mtime_ns
        if self._revisions.get(repository, (0, {}))[0] != changed:
            found = {one.name: self.commit(repository, one.name) for one in sorted(folder.iterdir())}
            self._revisions[repository] = changed, found
        return self._revisions[repository][1]

    def _answer(self, handler: Handler, request: Request) -> bool:
        path = request.path.partition("?")[0].lstrip("/")
        parts = path.removeprefix("api/models/").split("/")
        repository, kind, rest = "/".join(parts[:2]), parts[2] if len(parts) > 2 else "", parts[3:]
        if not self._allowed(handler, request, repository):
            return True
        known = self.revisions(repository)
        if kind == "refs":
            branches = [{"name": one, "ref": f"refs/heads/{one}", "targetCommit": known[one]} for one in known]
            self._json(handler, {"branches": branches, "converts": [], "tags": []})
            return True
        wanted = self.heads.get(unquote(rest[0]), unquote(rest[0]))
        revision = next((one for one, commit in known.items() if wanted in (one, commit)), None)
        if revision is None:
            handler.plain(404, b"", {"X-Error-Code": "RevisionNotFound"})
        elif kind == "tree":
            self._json(handler, self._tree(self.folder / repository / revision))
        else:
            self._resolve(handler, "/".join([repository, revision, *rest[1:]]), known[revision])
        return True

    def _allowed(self, handler: Handler, request: Request, repository: str) -> bool:
        entered = handler.headers.get("Authorization") == f"Bearer {self.token}"
        if not (self.folder / repository).is_dir() or (repository in self.private and not entered):
            handler.plain(401, b"", {"X-Error-Code": "RepoNotFound"})
        elif repository in self.gated and not entered:
            handler.plain(401, b"", {"X-Error-Code": "GatedRepo"})
        else:
            return True
        return False

    def _tree(self, folder: Path) -> list[dict[str, object]]:
        found = []
        for path in sorted(folder.iterdir()):
            size, name = path.stat().st_size, path.name
            entry: dict[str, object] = {"type": "file", "path": name, "size": size, "oid": self.git(path)}
            if name.endswith(LARGE):
                entry["lfs"] = {"oid": self.sha256(path), "size": size, "pointerSize": 134}
                entry["xetHash"] = self.sha256(path)[::-1]
            found.append(entry)
        return found

    def git(self, path: Path) -> str:
        """The hash that git has for a file."""
        data = path.read_bytes()
        return hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()

    def _resolve(self, handler: Handler, path: str, commit: str) -> None:
        file, said = self.folder / path, {"X-Repo-Commit": commit}
        if not file.is_file():
            handler.plain(404, b"", {**said, "X-Error-Code": "EntryNotFound"})
        elif path.endswith(LARGE):
            hashed = {"X-Linked-Etag": f'"{self.sha256(file)}"', "X-Linked-Size": str(file.stat().st_size)}
            hashed["X-Xet-Hash"] = self.sha256(file)[::-1]
            handler.plain(302, b"", {**said, **hashed, "Location": self.moved(path)})
        else:
            data = file.read_bytes()
            handler.plain(200, data, {**said, "ETag": f'"{self.git(file)}"', "X-Linked-Etag": f'"{self.git(file)}"'})

    def _bytes(self, handler: Handler, request: Request) -> bool:
        handler.path = request.path.partition("?")[0]  # the signature is none of the file's name
        file = self.folder / handler.path.lstrip("/")
        if not file.is_file():
            return False
        start, stop = request.range or (0, file.stat().st_size)
        trouble = self.blobs.trouble(request)
        if trouble is None or not trouble(handler, file.read_bytes()[start:stop], start, file.stat().st_size):
            handler.ranged(file, start, min(stop, file.stat().st_size), file.stat().st_size)
        return True

    def _json(self, handler: Handler, document: object) -> None:
        handler.plain(200, json.dumps(document).encode(), {"Content-Type": "application/json"})
