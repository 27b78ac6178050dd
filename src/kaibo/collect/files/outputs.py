"""A folder that a long run fills: what is there and whose it is, which files are finished, and how one is replaced.

`.kaibo-merge.json` in the folder says which merge it belongs to and which files are finished, with the hash of each;
it is replaced whenever a file is, so that a run that was stopped or killed at any point can be taken up again.
"""

from __future__ import annotations

import errno
import json
import os
from collections.abc import Collection, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import xxhash

from kaibo.errors import StorageError
from kaibo.store import disk
from kaibo.version import __version__

MANIFEST = ".kaibo-merge.json"
MANIFEST_LIMIT = 1 << 24
PART = ".part"
"""How the name of a file that is not finished ends."""

BLOCK = 16 << 20


@dataclass
class Output:
    """An output folder of one merge, named by `key`.

    `names` are the files that it will have: whatever lies under them since the folder was opened is ours. `files` are
    those that are finished, with their hashes.
    """

    folder: Path
    key: str
    names: tuple[str, ...] = ()
    files: dict[str, str] = field(default_factory=dict)
    report: Any = None

    def save(self) -> None:
        """Writes the manifest, durably."""
        document = {
            "kaibo": {"command": "merge", "model": self.key, "version": __version__},
            "names": list(self.names),
            "files": dict(sorted(self.files.items())),
            "report": self.report,
        }
        self._replace(MANIFEST, json.dumps(document, indent=1).encode() + b"\n")

    def put(self, name: str, data: bytes) -> None:
        """A small file, whole or not at all; one that is there and the same is left alone."""
        digest = xxhash.xxh3_128_hexdigest(xxhash.xxh3_128_digest(data))
        path = self.folder / name
        if self.files.get(name) == digest and path.is_file() and path.read_bytes() == data:
            return
        self._replace(name, data)
        self.finished(name, digest)

    def finished(self, name: str, digest: str) -> None:
        """Notes that a file is complete under its name."""
        self.files[name] = digest
        self.save()

    def whole(self, name: str, size: int) -> bool:
        """Whether a finished file is there with the bytes that it had when it was finished; reads it."""
        path = self.folder / name
        if name not in self.files or not path.is_file() or path.is_symlink() or path.stat().st_size != size:
            return False
        digests = b""
        with path.open("rb", buffering=0) as file:
            while block := file.read(BLOCK):
                digests += xxhash.xxh3_128_digest(block)
        return xxhash.xxh3_128_hexdigest(digests) == self.files[name]

    def _replace(self, name: str, data: bytes) -> None:
        path = self.folder / name
        with storage_errors(path):
            part = path.with_name(f".{name}{PART}")
            with suppress(FileNotFoundError):
                disk.unlink(part)
            descriptor = disk.create(part)
            try:
                disk.write(descriptor, data)
                disk.fsync(descriptor)
            finally:
                os.close(descriptor)
            disk.rename(part, path)
            disk.fsync_folder(self.folder)


def open_output(folder: Path, key: str, names: Collection[str], *, force: bool) -> Output:
    """The folder, made where it is not there, with what an earlier run of the same merge finished.

    Raises StorageError, before anything is touched, where it holds another merge, or a file of one of the `names` or
    weights that this merge did not write, unless `force`: then those files go.
    """
    known = _read_manifest(folder)
    ours = known is not None and known["kaibo"].get("model") == key
    files = dict(known["files"]) if ours and known is not None else {}
    mine = {*files, *known["names"]} if ours and known is not None else set()
    strange = [] if not folder.is_dir() else sorted(_strange(folder, names, mine))
    if strange and not force:
        what = "holds another merge" if known is not None and not ours else "was not made by this merge"
        next_step = "choose another --out, or pass --force to overwrite it"
        raise StorageError(what, file=folder / strange[0], next=next_step)
    with storage_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
        for name in strange:
            if (folder / name).is_dir():
                raise StorageError("is a folder where a file is to be written", file=folder / name)
            disk.unlink(folder / name)
        for part in folder.glob(f".*{PART}"):
            disk.unlink(part)
    output = Output(folder, key, tuple(names), files, known["report"] if ours and known is not None else None)
    output.save()
    return output


def _strange(folder: Path, names: Collection[str], mine: Collection[str]) -> Iterator[str]:
    """What lies in the way: our names, and other weights, that are not files of this merge."""
    for name in os.listdir(folder):
        weights = name.endswith((".safetensors", ".safetensors.index.json"))
        if (name in names or weights) and name not in mine:
            yield name


def _read_manifest(folder: Path) -> dict[str, Any] | None:
    path = folder / MANIFEST
    try:
        if path.is_symlink() or path.stat().st_size > MANIFEST_LIMIT:
            return None
        document = json.loads(path.read_bytes())
        kinds = (("kaibo", dict), ("files", dict), ("names", list))
        if all(isinstance(document[name], kind) for name, kind in kinds) and "report" in document:
            return dict(document)
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return None
    return None


@contextmanager
def storage_errors(path: Path) -> Iterator[None]:
    """Turns what the system refuses into StorageError, with the room that is left."""
    try:
        yield
    except OSError as error:
        reason = os.strerror(error.errno) if error.errno else str(error)
        full = error.errno in (errno.ENOSPC, errno.EDQUOT)
        advice = "make room or choose another --out; " if full else "choose an --out that you may write to; "
        advice += "run the same command again to go on"
        message = f"cannot be written: {reason} ({disk.free_space(path)})"
        raise StorageError(message, file=path, next=advice) from error
