"""A plan of tensors to safetensors files: spans are formed and written by several threads, a file at a time.

A file has its name only when it is whole and synced. What is held at any time is a buffer a worker.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import xxhash

from kaibo.collect.censuses import Options
from kaibo.collect.engine import named, ordered
from kaibo.collect.files.outputs import BLOCK, PART, Output, storage_errors
from kaibo.collect.files.shards import INDEX, Shard, index_of
from kaibo.collect.watch.stopping import Stopping
from kaibo.errors import KaiboError, StorageError
from kaibo.store import disk
from kaibo.vocabulary import Tensor

PIECE = 1 << 20
"""Bytes that are formed and written at a time."""


@dataclass(frozen=True)
class Written:
    """How many files were written, how many were there already, and the bytes of all."""

    written: int
    kept: int
    bytes: int


@dataclass(frozen=True)
class _Span:
    """Bytes `begin` to `end` of a file: one block of its hash. `parts` are (tensor, first unit, last unit)."""

    begin: int
    end: int
    parts: tuple[tuple[Tensor, int, int], ...]


def write_shards(shards: Sequence[Shard], output: Output, options: Options) -> Written:
    """Writes every file that is not whole already, then the index of several.

    Raises StorageError where the disk refuses, StoppedError after a signal: finished files are kept, the one under
    way is taken away.
    """
    missing = [shard for shard in shards if not output.whole(shard.name, shard.size)]
    _check_room(missing, output.folder)
    options.progress.begin("merging", sum(shard.size for shard in missing))
    with Stopping() as stopping:
        for shard in missing:
            digest = _write(shard, output.folder, options, stopping)
            output.finished(shard.name, digest)
            stopping.check()
    if len(shards) > 1:
        output.put(INDEX, index_of(shards))
    return Written(len(missing), len(shards) - len(missing), sum(shard.size for shard in shards))


def _check_room(missing: Sequence[Shard], folder: Path) -> None:
    """A disk that is surely too small is told before hours of work."""
    needed = sum(shard.size for shard in missing)
    with storage_errors(folder):
        room = os.statvfs(folder)
    free = room.f_bavail * room.f_frsize
    if needed > free:
        message = f"{needed} bytes are to be written, {free} are free"
        raise StorageError(message, file=folder, next="make room or choose another --out")


def _write(shard: Shard, folder: Path, options: Options, stopping: Stopping) -> str:
    """One file under a temporary name, then its own; the hash of its blocks."""
    path = folder / shard.name
    part = path.with_name(f".{shard.name}{PART}")
    with storage_errors(path):
        descriptor = disk.create(part)
        try:
            disk.write_at(descriptor, shard.header, 0)
            digests = _fill(shard, descriptor, options, stopping)
            disk.fsync(descriptor)
            disk.rename(part, path)
            disk.fsync_folder(folder)
        except BaseException:
            with suppress(OSError):
                disk.unlink(part)
            raise
        finally:
            os.close(descriptor)
    return digests


def _fill(shard: Shard, descriptor: int, options: Options, stopping: Stopping) -> str:
    def run(span: _Span) -> tuple[_Span, bytes | Exception]:
        try:
            return span, _span(shard, span, descriptor)
        except (KaiboError, OSError) as error:
            return span, error

    digests = b""
    with closing(ordered(_spans(shard), run, options.workers)) as under_way:
        for span, outcome in under_way:
            if isinstance(outcome, Exception):
                raise outcome
            digests += outcome
            options.progress.advance(span.end - span.begin)
            stopping.check()
    return xxhash.xxh3_128_hexdigest(digests)


def _spans(shard: Shard) -> Iterator[_Span]:
    """The file in blocks, each with the pieces of tensors that lie in it (by values; of packed types, by bytes)."""
    for begin in range(0, shard.size, BLOCK):
        end = min(begin + BLOCK, shard.size)
        parts = []
        for placed in shard.placed:
            low, high = max(begin, placed.begin), min(end, placed.end)
            if low < high:
                parts.append((placed.tensor, low - placed.begin, high - placed.begin))
        yield _Span(begin, end, tuple(parts))


def _span(shard: Shard, span: _Span, descriptor: int) -> bytes:
    """Forms and writes one block; its digest."""
    hasher = xxhash.xxh3_128(shard.header[span.begin : span.end])
    at = max(span.begin, min(span.end, len(shard.header)))
    buffer = np.empty(PIECE, np.uint8)
    for tensor, low, high in span.parts:
        for data in _bytes(tensor, low, high, buffer):
            disk.write_at(descriptor, data, at)
            hasher.update(data)
            at += len(data)
    return hasher.digest()


def _bytes(
    tensor: Tensor, low: int, high: int, buffer: np.ndarray[tuple[int], np.dtype[np.uint8]]
) -> Iterator[memoryview]:
    """Bytes `low` to `high` of a tensor's values; where a block's end cuts a value, the value is formed twice."""
    width = tensor.dtype.itemsize or 1
    first, last = low // width, -(-high // width)
    at = first * width
    try:
        for chunk in tensor.chunks(buffer, first, last):
            data = chunk.view(np.uint8)
            begin, end = max(low - at, 0), min(high - at, data.size)
            yield data[begin:end].data
            at += data.size
    except KaiboError as error:
        raise named(error, tensor) from error
