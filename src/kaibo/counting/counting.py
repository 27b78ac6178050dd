"""The pass over one span of a tensor: read a chunk, hash it, count it, while it is still in the cache."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import cache

import numpy as np
import xxhash
from numpy.typing import NDArray

from kaibo.counting import kernels
from kaibo.vocabulary import Buffer, Census, Patterns, Tensor, total, values_of
from kaibo.vocabulary.counts.census import NO_BOUNDARY, SIDE, side_digits, split_points
from kaibo.vocabulary.dtypes import boundaries64

BLOCK = 16 << 20
"""Bytes whose xxh3-128 digest is one link of a tensor's content hash."""

SPAN = 2 * BLOCK
"""Bytes that one task counts before its tables are emptied: whole blocks, few enough that no table word overflows."""

CHUNK = 4 << 20
"""Bytes read at a time; a power of two that divides BLOCK. Fits the cache, and the calls around it cost little."""


@dataclass(frozen=True)
class Part:
    """What one span gave: its census (None for what is not weights) and the digests of its blocks, in order."""

    census: Census | None
    digests: tuple[bytes, ...]


def spans(tensor: Tensor) -> list[tuple[int, int]]:
    """The (begin, end) of the tasks a tensor is counted in, in values (packed types: in bytes).

    One empty span for an empty tensor.
    """
    width = tensor.dtype.itemsize
    units = tensor.size if width else tensor.size * tensor.dtype.bits // 8
    step = SPAN // (width or 1)
    return [(begin, min(begin + step, units)) for begin in range(0, max(units, 1), step)]


def content_hash(tensor: Tensor, digests: tuple[bytes, ...]) -> str:
    """The tensor's content hash, 32 hex digits.

    xxh3-128 over the xxh3-128 digests of its consecutive 16 MiB blocks, followed by dtype and shape as ASCII text,
    for instance `BF16[4096,4096]`.
    """
    shape = ",".join(str(length) for length in tensor.shape)
    return xxhash.xxh3_128_hexdigest(b"".join(digests) + f"{tensor.dtype.name}[{shape}]".encode())


class Workspace:
    """What one worker owns and uses again: a buffer for a chunk, and the tables that the kernels add to.

    About 6 MiB. Not to be shared between threads.
    """

    def __init__(self) -> None:
        self.buffer: Buffer = np.empty(CHUNK, np.uint8)
        self.table16 = np.zeros(1 << 16, np.uint32)
        self.odd8: list[int] = []
        self.table32 = np.zeros((1 << 16, 2), np.uint64)
        self.above32 = np.zeros((1 << 16, 2), np.uint64)
        self.aside32 = np.zeros((2, 10, 2), np.uint64)
        self.digits64 = np.zeros(11, np.int64)
        self.low, self.high = 2**31 - 1, -(2**31)
        self.extremes64: list[tuple[float, float]] = []


def count_span(tensor: Tensor, begin: int, end: int, workspace: Workspace) -> Part:
    """The census and block digests of values `begin` to `end`; `begin` must lie on a block.

    Reads each byte once. Raises what `tensor.chunks` raises; the workspace is empty again afterwards.
    """
    name, counting = tensor.dtype.name, tensor.dtype.measurable
    try:
        digests = _digests(tensor.chunks(workspace.buffer, begin, end), workspace if counting else None, name)
        return Part(collect(name, workspace) if counting else None, digests)
    finally:
        emptied(workspace)


def hash_span(tensor: Tensor, begin: int, end: int, workspace: Workspace) -> Part:
    """The block digests alone, as `count_span` makes them: what a tensor is known by costs no counting."""
    return Part(None, _digests(tensor.chunks(workspace.buffer, begin, end), None, tensor.dtype.name))


def _digests(chunks: Iterable[Patterns], workspace: Workspace | None, dtype: str) -> tuple[bytes, ...]:
    """A digest for each block; each chunk is counted too where a workspace is given, while it is in the cache."""
    digests: list[bytes] = []
    hasher, hashed = xxhash.xxh3_128(), 0
    for chunk in chunks:
        hasher.update(chunk.view(np.uint8).data)
        hashed += chunk.nbytes
        if workspace is not None:
            add(dtype, chunk, workspace)
        if hashed == BLOCK:
            digests.append(hasher.digest())
            hasher, hashed = xxhash.xxh3_128(), 0
    if hashed:
        digests.append(hasher.digest())
    return tuple(digests)


def add(dtype: str, chunk: Patterns, workspace: Workspace) -> None:
    """Counts a chunk of patterns into the workspace's tables."""
    if chunk.dtype.itemsize == 1:
        _add8(chunk, workspace)
    elif chunk.dtype.itemsize == 2:
        kernels.count16(chunk, workspace.table16)
    elif chunk.dtype.itemsize == 4:
        _add32(chunk, workspace)
    else:
        _add64(chunk, workspace)


def _add8(chunk: Patterns, workspace: Workspace) -> None:
    """Pairs of 8-bit values are counted as one 16-bit pattern and taken apart at the end: twice as fast."""
    if chunk.size % 2:
        workspace.odd8.append(int(chunk[-1]))
        chunk = chunk[:-1]
    kernels.count16(chunk.view("<u2"), workspace.table16)


def _add32(chunk: NDArray[np.uint32], workspace: Workspace) -> None:
    table, above, aside = workspace.table32, workspace.above32, workspace.aside32
    threshold, digits = side_tables()
    kernels.count32(chunk, threshold, table, above, aside, digits)
    low, high = kernels.extremes32(chunk)
    workspace.low, workspace.high = min(workspace.low, low), max(workspace.high, high)


def side_tables() -> tuple[NDArray[np.uint16], NDArray[np.uint8]]:
    """What `count32` goes by beside its tables: the digit boundary inside each upper half, digits of subnormals."""
    return _threshold(), _side_digits()


def _add64(chunk: NDArray[np.uint64], workspace: Workspace) -> None:
    values = chunk.view("<f8")
    with np.errstate(over="ignore", invalid="ignore"):
        _add32(values.astype("<f4").view("<u4"), workspace)
    begin, boundaries = _digit_index64()
    kernels.digits64(chunk, begin, boundaries, workspace.digits64)
    finite = values[np.isfinite(values)]
    if finite.size:
        workspace.extremes64.append((float(finite.min()), float(finite.max())))


@cache
def _threshold() -> NDArray[np.uint16]:
    """One less than the lower half at which the first digit changes; a lower half above it goes to `above`.

    0 where everything but the least pattern is told apart: beside zero, and NaN from infinity.
    """
    points = split_points()
    threshold = np.where(points < NO_BOUNDARY, points - np.uint32(1), 0xFFFF).astype(np.uint16)
    threshold[[0x0000, 0x8000, 0x7F80, 0xFF80]] = 0
    return threshold


@cache
def _side_digits() -> NDArray[np.uint8]:
    return side_digits()


@cache
def _digit_index64() -> tuple[NDArray[np.int32], NDArray[np.uint64]]:
    boundaries = boundaries64().view(np.uint64)
    begins = np.arange(1 << 15, dtype=np.uint64) << np.uint64(48)
    return np.searchsorted(boundaries, begins, side="right").astype(np.int32), boundaries


def collect(dtype: str, workspace: Workspace) -> Census:
    """The census of everything counted since the tables were emptied."""
    if dtype == "F64":
        return _collect64(workspace)
    if dtype == "F32":
        return _collect32(workspace)
    if values_of(dtype).size == 256:
        pairs = workspace.table16.reshape(256, 256)
        counts = pairs.sum(axis=0, dtype=np.uint64) + pairs.sum(axis=1, dtype=np.uint64)
        np.add.at(counts, np.array(workspace.odd8, dtype=np.intp), np.uint64(1))
    else:
        counts = workspace.table16.astype(np.uint64)
    return _narrow(dtype, counts)


def _narrow(dtype: str, counts: NDArray[np.uint64]) -> Census:
    """The census of an 8- or 16-bit type from one count per pattern."""
    keys = np.flatnonzero(counts)
    values, held = values_of(dtype)[keys], counts[keys]
    finite = values[np.isfinite(values)]
    return replace(
        Census.empty(dtype),
        keys=keys.astype(np.uint32),
        counts=held,
        minimum=float(finite.min()) if finite.size else None,
        maximum=float(finite.max()) if finite.size else None,
        nan=int(held[np.isnan(values)].sum()),
        positive_infinity=int(held[values == np.inf].sum()),
        negative_infinity=int(held[values == -np.inf].sum()),
    )


def _collect32(workspace: Workspace) -> Census:
    """Unpacks the tables of `count32` into bins."""
    aside = _unpacked(workspace.aside32)
    uppers = np.flatnonzero(workspace.table32[:, 0])
    table, above = (_unpacked(words[uppers]) for words in (workspace.table32, workspace.above32))
    below = table - above
    infinities, zeros = (_counts_at(uppers, below, halves) for halves in ((0x7F80, 0xFF80), (0x0000, 0x8000)))
    aside[:, 0, 0] = zeros - aside[:, :, 0].sum(axis=1)
    magnitude = uppers & 0x7FFF
    nan = table[magnitude >= 0x7F80, 0].sum() - infinities.sum()
    plain = (magnitude != 0) & (magnitude < 0x7F80)
    places, found = _filled(np.stack([below[plain], above[plain]], axis=1).reshape(-1, 3))
    keys = (uppers[plain][places // 2] << 1) | places % 2
    side_keys, side = _filled(aside.reshape(-1, 3))
    side_keys = SIDE | (side_keys // 10) << 4 | side_keys % 10
    found = np.concatenate([found, side])
    none = np.zeros(len(found), np.uint64)
    return replace(
        Census.empty("F32"),
        keys=np.concatenate([keys, side_keys]).astype(np.uint32),
        counts=found[:, 0],
        lo=found[:, 1],
        lo2=np.stack([none, found[:, 2]], axis=1),
        minimum=_from_ordered(workspace.low) if len(found) else None,
        maximum=_from_ordered(workspace.high) if len(found) else None,
        nan=int(nan),
        positive_infinity=int(infinities[0]),
        negative_infinity=int(infinities[1]),
    )


def _counts_at(uppers: NDArray[np.intp], bins: NDArray[np.uint64], halves: tuple[int, int]) -> NDArray[np.uint64]:
    """How many values two upper halves hold."""
    return np.array([bins[uppers == half, 0].sum(dtype=np.uint64) for half in halves])


def _collect64(workspace: Workspace) -> Census:
    rounded = _collect32(workspace)
    lows, highs = zip(*workspace.extremes64, strict=True) if workspace.extremes64 else ((), ())
    return replace(
        rounded,
        dtype="F64",
        minimum=min(lows, default=None),
        maximum=max(highs, default=None),
        digits64=tuple(int(count) for count in workspace.digits64),
    )


def _unpacked(words: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """(count << PACK | Σlo, Σlo²) → (count, Σlo, Σlo²) along the last axis."""
    packed, mask = words[..., 0], np.uint64((1 << kernels.PACK) - 1)
    return np.stack([packed >> np.uint64(kernels.PACK), packed & mask, words[..., 1]], axis=-1)


def _filled(bins: NDArray[np.uint64]) -> tuple[NDArray[np.intp], NDArray[np.uint64]]:
    """The places and contents of the bins that hold anything."""
    places = np.flatnonzero(bins[:, 0])
    return places, bins[places]


def _from_ordered(ordered: int) -> float:
    """The float32 whose place among all float32 an ordered integer is: the inverse of the map in `extremes32`."""
    pattern = np.int32(ordered if ordered >= 0 else ordered ^ 0x7FFFFFFF)
    return float(pattern.view(np.float32))


def emptied(workspace: Workspace) -> None:
    """Makes the tables ready for the next span."""
    workspace.table16.fill(0)
    workspace.odd8.clear()
    if workspace.low != 2**31 - 1 or workspace.table32[:, 0].any():
        for table in (workspace.table32, workspace.above32, workspace.aside32):
            table.fill(0)
    workspace.digits64.fill(0)
    workspace.extremes64.clear()
    workspace.low, workspace.high = 2**31 - 1, -(2**31)


def merged(parts: list[Part]) -> tuple[Census | None, tuple[bytes, ...]]:
    """The census and the digests of a whole tensor from its parts in order."""
    digests = tuple(digest for part in parts for digest in part.digests)
    censuses = [part.census for part in parts if part.census is not None]
    return total(censuses) if censuses else None, digests
