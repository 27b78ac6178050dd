"""Every operation that changes the disk, in one place, so that a test can make each of them fail or kill us there.

The five plain operations `create`, `write`, `fsync`, `rename` and `unlink` (and `mkdir`) are called by their
names in this module and nowhere else in the room; `write_durably` and `remove` are what the other modules use.
"""

from __future__ import annotations

import errno
import fcntl
import os
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from kaibo.errors import StorageError

TEMPORARY = ".tmp"
"""How the name of a file that is not finished ends; never `.parquet` or `.json`."""

_NEXT = {
    errno.ENOSPC: "free some space, or name another store with --store",
    errno.EDQUOT: "your quota is used up; name another store with --store",
    errno.EROFS: "the place is read-only; name another store with --store",
    errno.EACCES: "you may not write there; name another store with --store",
    errno.EPERM: "you may not write there; name another store with --store",
    errno.EMFILE: "too many files are open; raise `ulimit -n`",
    errno.ENFILE: "too many files are open on this machine",
}


def create(path: Path) -> int:
    """Opens a new file for writing; it must not be there yet."""
    return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o644)


def write(descriptor: int, data: bytes) -> None:
    """Writes all of the bytes."""
    rest = memoryview(data)
    while rest:
        rest = rest[os.write(descriptor, rest) :]


def write_at(descriptor: int, data: bytes | memoryview, offset: int) -> None:
    """Writes all of the bytes at a place of their own; several threads may write to one file."""
    rest = memoryview(data)
    while rest:
        done = os.pwrite(descriptor, rest, offset)
        rest, offset = rest[done:], offset + done


def fsync(descriptor: int) -> None:
    """Waits until what was written, or the names in a folder, will survive a loss of power."""
    os.fsync(descriptor)


def rename(old: Path, new: Path) -> None:
    """Gives a file its name, at once and whole."""
    os.rename(old, new)


def link(old: Path, new: Path) -> None:
    """Gives a file a second name."""
    os.link(old, new)


def unlink(path: Path) -> None:
    """Takes a name away."""
    os.unlink(path)


def mkdir(path: Path) -> None:
    """Makes one folder."""
    os.mkdir(path)


def fsync_folder(path: Path) -> None:
    """Makes the names in a folder durable; file systems that cannot (EINVAL) are taken at their word."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        fsync(descriptor)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOTSUP):
            raise
    finally:
        os.close(descriptor)


def make_folder(path: Path) -> None:
    """Makes a folder and those above it that are missing, durably. Raises StorageError."""
    if path.is_dir():
        return
    if path.parent != path:
        make_folder(path.parent)
    try:
        with suppress(FileExistsError):  # another writer made it a moment ago
            mkdir(path)
        fsync_folder(path.parent)
    except OSError as error:
        raise storage_error(error, path) from error


def write_durably(path: Path, data: bytes) -> None:
    """A new file that is there whole, or not at all, and survives a loss of power once this returns.

    The name must be new. Raises StorageError, and leaves nothing behind, when the bytes cannot be written.
    """
    temporary = path.with_name(f".{path.name}{TEMPORARY}")
    try:
        try:
            _fill(temporary, data)
            rename(temporary, path)
            fsync_folder(path.parent)
        except BaseException:
            with suppress(OSError):
                unlink(temporary)
            raise
    except OSError as error:
        raise storage_error(error, path) from error


def _fill(path: Path, data: bytes) -> None:
    descriptor = create(path)
    try:
        write(descriptor, data)
        fsync(descriptor)
    finally:
        os.close(descriptor)


def remove(path: Path) -> None:
    """Takes a file away if it is there. Raises StorageError."""
    try:
        with suppress(FileNotFoundError):
            unlink(path)
    except OSError as error:
        raise storage_error(error, path, "cannot be removed") from error


def settle(folder: Path) -> None:
    """Makes what was removed from a folder durable. Raises StorageError."""
    try:
        fsync_folder(folder)
    except OSError as error:
        raise storage_error(error, folder) from error


def move(old: Path, new: Path) -> None:
    """Renames a file within the store, durably; raises OSError."""
    rename(old, new)
    fsync_folder(new.parent)
    fsync_folder(old.parent)


@contextmanager
def held(folder: Path, patience: float = 0.0) -> Iterator[None]:
    """An output folder for one writer at a time; waits up to `patience` seconds for another to be done.

    The system gives the lock back when a process ends, however it ends. Where a file system knows no locks there is
    none. Raises OSError where the folder cannot be made, StorageError where another process keeps it.
    """
    folder.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(folder, os.O_RDONLY | os.O_CLOEXEC)
    try:
        until = time.monotonic() + patience
        while not _locked(descriptor):
            if time.monotonic() >= until:
                advice = "wait until it is done, or choose another --out"
                raise StorageError("another kaibo is writing there", file=folder, next=advice)
            time.sleep(0.02)
        yield
    finally:
        os.close(descriptor)


def _locked(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:  # a network file system without locks
        return True
    return True


def storage_error(error: OSError, path: Path, what: str = "cannot be written") -> StorageError:
    """What the system refused, where, and how much room there is."""
    reason = os.strerror(error.errno) if error.errno else str(error)
    advice = _NEXT.get(error.errno or 0)
    return StorageError(f"{what}: {reason} ({free_space(path)})", file=path, next=advice)


def free_space(path: Path) -> str:
    """The room left where a path lies, in words."""
    for folder in (path, *path.parents):
        with suppress(OSError):
            return f"{shutil.disk_usage(folder).free} bytes free"
    return "free space unknown"
