"""Writing an output folder: all or nothing as far as a file system can, and never over somebody else's file."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import os
import shutil
import stat
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from pathlib import Path, PurePosixPath
from typing import Any

from kaibo.errors import PolicyError, StorageError
from kaibo.reports.provenance import READ_FOR_MARK, Mark, found_mark, mark_of, marked, parsed_manifest
from kaibo.store.disk import held

MANIFEST = ".kaibo.json"
MANIFEST_LIMIT = 1 << 24
PATIENCE = 60.0
"""Seconds that are waited for another command to have written into the same folder."""


def write_output(
    folder: str | os.PathLike[str], files: Mapping[str, bytes], *, mark: Mark | Mapping[str, str], force: bool = False
) -> tuple[Path, ...]:
    """Writes `files` (names relative to `folder`, with `/`) and returns their paths; parents are created.

    Every file is written beside its place, synced, and renamed over it; links are replaced, not followed.
    Raises StorageError, before anything is touched, where a file exists that does not carry the same mark (unless
    `force`), and where the disk is full, read-only or forbidden; PolicyError for a name that leaves the folder.
    """
    chosen = mark if isinstance(mark, Mark) else Mark(str(mark["command"]), str(mark["model"]))
    root = Path(folder)
    contents = {name: marked(name, data, chosen) for name, data in files.items()}
    places = {name: _place(root, name) for name in contents}
    with _storage_errors(root), held(root, PATIENCE):  # the manifest is read and written as one
        manifest = _manifest(root)
        for name, path in places.items():
            _may_write(name, path, manifest, chosen, force)
        entries = {**manifest, **{name: _entry(places, name, contents[name], chosen, manifest) for name in contents}}
        document = {"files": dict(sorted(entries.items()))}
        # The manifest goes first and knows both the old and the new bytes: stopped at any point, a file is ours.
        _write_all({root / MANIFEST: json.dumps(document, indent=1).encode()})
        _write_all({places[name]: contents[name] for name in contents})
    return tuple(places.values())


def _place(root: Path, name: str) -> Path:
    parts = PurePosixPath(name).parts
    if not parts or name.startswith("/") or ".." in parts or "\\" in name or "\0" in name or name == MANIFEST:
        raise PolicyError("a file's name leaves its folder", file=name)
    path = root
    for part in parts[:-1]:
        path = path / part
        if path.is_symlink():
            raise StorageError("is a link, and links in an output folder are not followed", file=path, next="remove it")
    return path / parts[-1]


def _manifest(root: Path) -> dict[str, Any]:
    path = root / MANIFEST
    if path.is_symlink() or not path.is_file() or path.stat().st_size > MANIFEST_LIMIT:
        return {}
    return parsed_manifest(path.read_bytes())


def _may_write(name: str, path: Path, manifest: Mapping[str, Any], mark: Mark, force: bool) -> None:
    """Nothing is there, or what is there is ours: the same command made it of the same model."""
    try:
        kind = path.lstat().st_mode
    except FileNotFoundError:
        return
    if stat.S_ISDIR(kind):
        raise StorageError("is a folder where a file is to be written", file=path, next="choose another --out")
    if force:
        return
    if not stat.S_ISREG(kind):
        raise StorageError("is not a regular file", file=path, next="choose another --out, or pass --force")
    if _mark_at(name, path, manifest) != mark:
        raise StorageError(
            "exists and was not made by this command of this model",
            file=path,
            next="choose another --out, or pass --force to overwrite it",
        )


def _mark_at(name: str, path: Path, manifest: Mapping[str, Any]) -> Mark | None:
    with path.open("rb") as file:
        inside = found_mark(name, file.read(READ_FOR_MARK))
        if inside is not None:
            return inside
        file.seek(0)
        listed = manifest.get(name, {})
        known = listed.get("sha256") if isinstance(listed.get("sha256"), list) else []
        same = bool(known) and hashlib.file_digest(file, "sha256").hexdigest() in known
    return mark_of(listed.get("mark")) if same else None


def _entry(
    places: Mapping[str, Path], name: str, data: bytes, mark: Mark, manifest: Mapping[str, Any]
) -> dict[str, Any]:
    """The hash of the new bytes, and of the old ones where they are ours already."""
    path = places[name]
    hashes = [hashlib.sha256(data).hexdigest()]
    if path.is_file() and not path.is_symlink() and _mark_at(name, path, manifest) == mark:
        with path.open("rb") as file:
            hashes.append(hashlib.file_digest(file, "sha256").hexdigest())
    return {"mark": asdict(mark), "sha256": list(dict.fromkeys(hashes))}


def _write_all(contents: Mapping[Path, bytes]) -> None:
    """Every file is complete under a temporary name before the first takes its place."""
    temporary: dict[Path, str] = {}
    try:
        for path, data in contents.items():
            path.parent.mkdir(parents=True, exist_ok=True)
            temporary[path] = _written(path.parent, data)
        for path in contents:
            os.replace(temporary[path], path)
            del temporary[path]
        for parent in {path.parent for path in contents}:
            _sync_folder(parent)
    finally:
        for name in temporary.values():
            with contextlib.suppress(OSError):
                os.unlink(name)


def _written(folder: Path, data: bytes) -> str:
    handle, name = tempfile.mkstemp(prefix=".kaibo-", suffix=".part", dir=folder)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.chmod(name, 0o644)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(name)
        raise
    return name


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOTSUP):  # some network file systems cannot sync a folder
            raise
    finally:
        os.close(handle)


@contextlib.contextmanager
def _storage_errors(root: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise StorageError(f"cannot be written ({reason}; {_free(root)})", file=root, next=_advice(error)) from error


def _free(path: Path) -> str:
    for folder in (path, *path.absolute().parents):
        with contextlib.suppress(OSError):
            return f"{shutil.disk_usage(folder).free:,} bytes free"
    return "free space unknown"


def _advice(error: OSError) -> str:
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return "make room or choose another --out; what was there before is untouched"
    return "choose an --out that you may write to"
