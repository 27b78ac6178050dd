"""The pass over two tensors side by side: each is counted and hashed, Δ is counted, and joint sums are formed.

Δ = tuned − base is formed in float32 (of 64-bit floats in 64 bits, then rounded once) chunk by chunk and never kept.
Joint sums are float64 sums over chunks of 2¹⁸ values in four lanes, added exactly and rounded once: the same bytes
for any number of workers.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import xxhash
from numpy.typing import NDArray

from kaibo.census.counting import BLOCK, Part, Workspace, add, collect, emptied, merged
from kaibo.vocabulary import Census, Joint, Patterns, Tensor, joined, points, sums, total, widen32
from kaibo.vocabulary.census import SIDE
from kaibo.vocabulary.compiling import compiled

CHUNK_VALUES = 1 << 18
"""Values of each side that are read at a time: 1 MiB of float32."""

SPAN_VALUES = 1 << 23
"""Values whose differences are counted before the table is emptied: few enough that no word of it overflows."""

COARSER = frozenset({("F32", "BF16"), ("F32", "F16"), ("F16", "BF16"), ("F64", "F32"), ("F64", "F16")})
"""Types of base and tuned for which the error of rounding the base once is computed."""

Floating = NDArray[np.floating]


@dataclass(frozen=True)
class PairPart:
    """What one span of a pair gave: the parts of base and tuned, the census of Δ, the joint sums.

    A side that was not to be counted has no census, but its digests are there.
    """

    base: Part
    tuned: Part
    difference: Census
    joint: Joint


class PairWorkspace:
    """What one worker owns: tables and a buffer for each side, tables for Δ. About 12 MiB."""

    def __init__(self) -> None:
        self.base, self.tuned, self.difference = Workspace(), Workspace(), Workspace()
        self.rooms = tuple(np.empty(8 * CHUNK_VALUES, np.uint8) for _ in range(2))
        self.delta = np.empty(CHUNK_VALUES, np.float32)


@compiled
def _subtract(base: Floating, tuned: Floating, delta: NDArray[np.float32]) -> None:
    for i in range(base.size):
        delta[i] = tuned[i] - base[i]


@compiled
def _compare(base: Floating, tuned: Floating, counts: NDArray[np.int64]) -> None:
    """Adds to `counts` the pairs that are finite, of different value, of one sign, of opposite signs."""
    finite, changed, same, flipped = np.int64(0), np.int64(0), np.int64(0), np.int64(0)
    for i in range(base.size):
        b, t = base[i], tuned[i]
        good = (b - b == 0) & (t - t == 0)
        finite += good
        changed += good & (b != t)
        same += good & (((b > 0) & (t > 0)) | ((b < 0) & (t < 0)))
        flipped += good & (((b > 0) & (t < 0)) | ((b < 0) & (t > 0)))
    counts[0] += finite
    counts[1] += changed
    counts[2] += same
    counts[3] += flipped


@compiled
def _multiply(base: Floating, tuned: Floating) -> tuple[float, float, float]:
    """Σ base·tuned, Σ base², Σ tuned² in float64, every fourth value in a lane of its own.

    Written out so that the compiler may use wide registers without changing the order of any addition: 0.7 ns a
    value against 2.3 with the lanes in an array.
    """
    d0 = d1 = d2 = d3 = 0.0
    b0 = b1 = b2 = b3 = 0.0
    t0 = t1 = t2 = t3 = 0.0
    whole = base.size // 4 * 4
    for i in range(0, whole, 4):
        x0, x1 = np.float64(base[i]), np.float64(base[i + 1])
        x2, x3 = np.float64(base[i + 2]), np.float64(base[i + 3])
        y0, y1 = np.float64(tuned[i]), np.float64(tuned[i + 1])
        y2, y3 = np.float64(tuned[i + 2]), np.float64(tuned[i + 3])
        d0, d1, d2, d3 = d0 + x0 * y0, d1 + x1 * y1, d2 + x2 * y2, d3 + x3 * y3
        b0, b1, b2, b3 = b0 + x0 * x0, b1 + x1 * x1, b2 + x2 * x2, b3 + x3 * x3
        t0, t1, t2, t3 = t0 + y0 * y0, t1 + y1 * y1, t2 + y2 * y2, t3 + y3 * y3
    for i in range(whole, base.size):
        x, y = np.float64(base[i]), np.float64(tuned[i])
        d0, b0, t0 = d0 + x * y, b0 + x * x, t0 + y * y
    return (d0 + d1) + (d2 + d3), (b0 + b1) + (b2 + b3), (t0 + t1) + (t2 + t3)


@compiled
def _one_ulp(before: Patterns, after: Patterns, base: Floating, tuned: Floating, sign: int) -> int:
    """How many finite pairs of patterns of one type are neighbours; `sign` is the bit of the sign."""
    found = 0
    for i in range(before.size):
        p, q = np.int64(before[i]), np.int64(after[i])
        step = (np.int64(sign) - p if p & sign else p) - (np.int64(sign) - q if q & sign else q)
        found += (step == 1 or step == -1) and np.isfinite(base[i]) and np.isfinite(tuned[i])
    return found


def pair_spans(base: Tensor, tuned: Tensor) -> list[tuple[int, int]]:
    """The (begin, end) of the tasks a pair is counted in, in values: whole blocks of both, one empty span if empty."""
    step = max(SPAN_VALUES, *(BLOCK // side.dtype.itemsize for side in (base, tuned)))
    return [(begin, min(begin + step, base.size)) for begin in range(0, max(base.size, 1), step)]


def count_pair(
    sides: tuple[Tensor, Tensor], begin: int, end: int, counting: tuple[bool, bool], workspace: PairWorkspace
) -> PairPart:
    """Reads values `begin` to `end` of base and tuned once, side by side; `counting` says which to count, too.

    Raises what reading raises; the workspace is empty again afterwards.
    """
    digests = _Digests(), _Digests()
    tables = workspace.base, workspace.tuned
    differences, joints = [Census.empty("F32")], []
    held = 0
    try:
        for chunks in _side_by_side(sides, begin, end, workspace):
            for chunk, side, hashes, table, counted in zip(chunks, sides, digests, tables, counting, strict=True):
                hashes.add(chunk)
                if counted:
                    add(side.dtype.name, chunk, table)
            joints.append(_sums(sides, chunks, workspace))
            add("F32", workspace.delta[: chunks[0].size].view("<u4"), workspace.difference)
            held += chunks[0].size
            if held == SPAN_VALUES:
                differences.append(_taken("F32", workspace.difference))
                held = 0
        differences.append(_taken("F32", workspace.difference))
        parts = [
            Part(_taken(side.dtype.name, table) if counted else None, hashes.all())
            for side, table, hashes, counted in zip(sides, tables, digests, counting, strict=True)
        ]
        return PairPart(parts[0], parts[1], total(differences), joined(joints))
    finally:
        for table in (*tables, workspace.difference):
            emptied(table)


def _side_by_side(
    sides: tuple[Tensor, Tensor], begin: int, end: int, workspace: PairWorkspace
) -> Iterator[tuple[Patterns, ...]]:
    rooms = [room[: CHUNK_VALUES * side.dtype.itemsize] for room, side in zip(workspace.rooms, sides, strict=True)]
    return zip(*(side.chunks(room, begin, end) for side, room in zip(sides, rooms, strict=True)), strict=True)


def _taken(dtype: str, table: Workspace) -> Census:
    census = collect(dtype, table)
    emptied(table)
    return census


class _Digests:
    """The digests of consecutive blocks of bytes."""

    def __init__(self) -> None:
        self._done: list[bytes] = []
        self._hasher, self._hashed = xxhash.xxh3_128(), 0

    def add(self, chunk: Patterns) -> None:
        self._hasher.update(chunk.view(np.uint8).data)
        self._hashed += chunk.nbytes
        if self._hashed == BLOCK:
            self._done.append(self._hasher.digest())
            self._hasher, self._hashed = xxhash.xxh3_128(), 0

    def all(self) -> tuple[bytes, ...]:
        return (*self._done, self._hasher.digest()) if self._hashed else tuple(self._done)


def _sums(sides: tuple[Tensor, Tensor], chunks: tuple[Patterns, ...], workspace: PairWorkspace) -> Joint:
    before, after = chunks
    base, tuned = (widen32(side.dtype.name, chunk) for side, chunk in zip(sides, chunks, strict=True))
    counts = np.zeros(4, np.int64)
    _subtract(base, tuned, workspace.delta)
    _compare(base, tuned, counts)
    same_type = sides[0].dtype == sides[1].dtype
    sign = 1 << (sides[0].dtype.bits - 1)
    one_ulp = int(_one_ulp(before, after, base, tuned, sign)) if same_type else None
    finite, changed, same, flipped = (int(count) for count in counts)
    if finite < base.size:
        good = np.isfinite(base) & np.isfinite(tuned)
        base, tuned = np.where(good, base, 0), np.where(good, tuned, 0)
    dot, base_square, tuned_square = _multiply(base, tuned)
    rounding = _rounding(sides, base)
    return Joint(before.size, finite, dot, base_square, tuned_square, changed, one_ulp, same, flipped, *rounding)


def _rounding(sides: tuple[Tensor, Tensor], base: Floating) -> tuple[float | None, float | None]:
    """Σ|error| and Σ error² of rounding the base once to the tuned side's type; None unless that is coarser."""
    names = tuple(side.dtype.name for side in sides)
    if names not in COARSER:
        return None, None
    error = rounded(names[1], base).astype(np.float64) - base
    error = error[np.isfinite(error)]
    return float(np.abs(error).sum()), float((error * error).sum())


def rounded(name: str, values: Floating) -> Floating:
    """Values rounded to nearest, ties to even, to one of the types of `COARSER`.

    >>> rounded("BF16", np.array([1.00390625, 1.01171875], np.float32)).tolist()
    [1.0, 1.015625]
    """
    with np.errstate(over="ignore", under="ignore", invalid="ignore"):
        if name != "BF16":
            narrowed: Floating = values.astype("<f2" if name == "F16" else "<f4")
            return narrowed
        patterns = values.astype("<f4").view("<u4")
        kept: Floating = ((patterns + ((patterns >> 16 & 1) + 0x7FFF)) & 0xFFFF0000).astype("<u4").view("<f4")
        return kept


def merged_pair(parts: Sequence[PairPart]) -> tuple[Census, Joint]:
    """The census of Δ and the joint sums of a whole pair from its parts in order."""
    return total(part.difference for part in parts), joined(part.joint for part in parts)


def merged_sides(parts: Sequence[PairPart]) -> tuple[tuple[Census | None, tuple[bytes, ...]], ...]:
    """Census and digests of base and of tuned from the parts of a pair in order."""
    return merged([part.base for part in parts]), merged([part.tuned for part in parts])


def no_difference(census: Census) -> Census:
    """The census of Δ between a tensor and its equal: zeros, and NaN wherever the tensor is not finite."""
    finite = census.n - census.nonfinite
    if finite == 0:
        return replace(Census.empty("F32"), nan=census.nonfinite)
    none, zero = np.zeros(1, np.uint64), 0.0
    return Census(
        dtype="F32",
        keys=np.array([SIDE], np.uint32),
        counts=np.array([finite], np.uint64),
        lo=none,
        lo2=np.zeros((1, 2), np.uint64),
        minimum=zero,
        maximum=zero,
        nan=census.nonfinite,
    )


def identical_joint(census: Census) -> Joint:
    """The joint sums of a tensor with its equal, from its census; squares are exact, rounded once."""
    found = sums([census])
    zeros = _zeros(census)
    square = found.square
    return Joint(census.n, found.finite, square, square, square, 0, 0, found.finite - zeros, 0)


def _zeros(census: Census) -> int:
    found = points(census)
    return int(found.counts[found.digit == 0].sum())
