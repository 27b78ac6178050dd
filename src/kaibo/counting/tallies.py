"""What is added up over a span of two or more tensors side by side, slice by slice.

Float sums are partial sums over fixed blocks of 2²⁰ values, each in `LANES` lanes; the partial sums are kept and
added exactly at the end, so neither chunks nor spans nor workers change a bit. What follows from a census (the
squares of each side) is not added here but taken from it, exactly.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from kaibo.counting import kernels, pair_kernels
from kaibo.counting.counting import Workspace, add, collect, emptied, side_tables
from kaibo.vocabulary import Census, Patterns, Signs, Tensor, widen32
from kaibo.vocabulary.differences import exactly

SLICE = 1 << 15
"""Values that all sums of a pass take in turn while they are in the cache: 64 KiB of bfloat16, 128 of float32."""

BLOCK_VALUES = 1 << 20
"""Values of one partial sum."""

INFINITY = {"BF16": 0x7F80, "F16": 0x7C00}
"""The pattern of +∞ in the types whose pairs are compared as 16-bit integers."""

COARSER = frozenset({("F32", "BF16"), ("F32", "F16"), ("F16", "BF16"), ("F64", "F32"), ("F64", "F16")})
"""Types of base and tuned for which the error of rounding the base once is computed."""

Floating = NDArray[np.floating]
Floats = NDArray[np.float64]
Partial = tuple[float, ...]


class BlockSums:
    """Several float64 sums over the same values, a partial sum for each block."""

    def __init__(self, count: int) -> None:
        self.lanes: Floats = np.zeros((count, pair_kernels.LANES))
        self._parts: list[list[float]] = []
        self._held = 0

    def advance(self, values: int) -> None:
        """So many values were added to the lanes."""
        self._held += values
        if self._held >= BLOCK_VALUES:
            self._close()

    def _close(self) -> None:
        self._parts.append([_folded(row) for row in self.lanes])
        self.lanes.fill(0)
        self._held = 0

    def parts(self) -> list[Partial]:
        """The partial sums of each sum in the order of the blocks."""
        if self._held:
            self._close()
        return [tuple(part[place] for part in self._parts) for place in range(len(self.lanes))]


def _folded(row: Floats) -> float:
    return exactly(row.tolist())


@dataclass(frozen=True, eq=False)
class Slice:
    """Some values of one side: their patterns, and their floats once somebody asks for them."""

    dtype: str
    patterns: Patterns

    @cached_property
    def floats(self) -> Floating:
        """The values in float32, of 64-bit floats in float64."""
        return widen32(self.dtype, self.patterns)


@dataclass(frozen=True, eq=False)
class Delta:
    """The same number of differences in float32."""

    values: NDArray[np.float32]

    @property
    def patterns(self) -> NDArray[np.uint32]:
        """Their bits."""
        return self.values.view("<u4")

    @cached_property
    def finite(self) -> NDArray[np.bool_] | None:
        """Which of them are finite; None where all are."""
        return np.isfinite(self.values) if pair_kernels.not_finite(self.patterns) else None

    @cached_property
    def cleaned(self) -> NDArray[np.float32]:
        """The values, 0 in place of what is not finite."""
        return self.values if self.finite is None else np.where(self.finite, self.values, np.float32(0))


def formed(base: Slice, tuned: Slice, room: NDArray[np.float32]) -> Delta:
    """tuned − base, in `room`."""
    values = room[: base.patterns.size]
    if base.dtype == tuned.dtype == "BF16":
        pair_kernels.subtract_bf16(base.patterns, tuned.patterns, values)
    else:
        pair_kernels.subtract(base.floats, tuned.floats, values)
    return Delta(values)


class DifferenceTable:
    """The census of differences as they come; zeros and values without a lower half take shorter ways."""

    def __init__(self) -> None:
        self._table = Workspace()
        self._kept = np.empty(SLICE, np.uint32)

    def add(self, patterns: NDArray[np.uint32]) -> None:
        """Counts a slice of float32 patterns."""
        table = self._table
        found = self._kept[: pair_kernels.nonzero(patterns, self._kept)]
        zeros = patterns.size - found.size
        if zeros:
            table.table32[0, 0] += np.uint64(zeros << kernels.PACK)
            table.low, table.high = min(table.low, 0), max(table.high, 0)
        if not found.size:
            return
        threshold, digits = side_tables()
        wide = table.table32, table.above32, table.aside32
        if 16 * pair_kernels.lower_halves(found) < found.size:
            pair_kernels.count_uppers(found, table.table16, threshold, *wide, digits)
        else:
            kernels.count32(found, threshold, *wide, digits)
        low, high = kernels.extremes32(found)
        table.low, table.high = min(table.low, low), max(table.high, high)

    def taken(self) -> Census:
        """The census of what was counted; the table is empty again."""
        table = self._table
        table.table32[:, 0] += table.table16.astype(np.uint64) << np.uint64(kernels.PACK)
        census = collect("F32", table)
        self.emptied()
        return census

    def emptied(self) -> None:
        """Forgets what was counted."""
        emptied(self._table)


@dataclass(frozen=True, eq=False)
class PairSums:
    """What one span of a pair gave beside the census of its differences; see `Joint` for the counts.

    `dots` are partial sums of base·tuned. `squares` are those of base² and tuned² where one side has 64 bits, else
    none: they follow from the censuses of the sides, less `excluded`, the finite values of each side whose partner
    is not finite. `rounding` are partial sums of |error| and error².
    """

    n: int
    finite: int
    changed: int
    one_ulp: int | None
    same_sign: int
    flipped: int
    dots: Partial
    squares: tuple[Partial, ...]
    rounding: tuple[Partial, ...]
    excluded: tuple[Census, Census]


class PairTally:
    """The sums over one pair of sides."""

    def __init__(self, sides: tuple[Tensor, Tensor]) -> None:
        self._names = sides[0].dtype.name, sides[1].dtype.name
        self._bits = sides[0].dtype.bits
        self._double = "F64" in self._names
        self._rounds = self._names in COARSER
        self._sums = BlockSums(1 + 2 * self._double + 2 * self._rounds)
        self._counts = np.zeros(4, np.int64)  # finite, changed, of one sign, of opposite signs
        self._n, self._steps = 0, 0
        self._excluded: list[Workspace | None] = [None, None]

    @property
    def _one_type(self) -> bool:
        return self._names[0] == self._names[1]

    def add(self, base: Slice, tuned: Slice) -> None:
        """Adds one slice of both."""
        size = base.patterns.size
        self._n += size
        if not (self._one_type and self._names[0] in INFINITY and self._compared16(base, tuned)):
            self._compared(base, tuned)
        self._sums.advance(size)

    def _compared16(self, base: Slice, tuned: Slice) -> bool:
        """Pairs of 16-bit patterns; False, and nothing done, where one of them is not finite."""
        before, after = base.patterns, tuned.patterns
        bad, equal, both, flipped, steps = pair_kernels.compare16(before, after, INFINITY[self._names[0]])
        if bad:
            return False
        self._counts += (before.size, before.size - equal, both - flipped, flipped)
        self._steps += steps
        if self._names[0] == "BF16":
            pair_kernels.dot_bf16(before, after, self._sums.lanes[0])
        else:
            pair_kernels.dot(base.floats, tuned.floats, self._sums.lanes[0])
        return True

    def _compared(self, base: Slice, tuned: Slice) -> None:
        """Pairs of any types, also such as are not finite."""
        b, t, before, after = base.floats, tuned.floats, base.patterns, tuned.patterns
        counts = np.zeros(4, np.int64)
        pair_kernels.compare(b, t, counts)
        self._counts += counts
        if counts[0] < b.size:
            good = np.isfinite(b) & np.isfinite(t)
            self._exclude(0, before[np.isfinite(b) & ~good])
            self._exclude(1, after[np.isfinite(t) & ~good])
            b, t = np.where(good, b, b.dtype.type(0)), np.where(good, t, t.dtype.type(0))
            before, after = before[good], after[good]
        if self._one_type:
            self._steps += pair_kernels.neighbours(before, after, 1 << (self._bits - 1))
        self._multiplied(b, t)

    def _multiplied(self, base: Floating, tuned: Floating) -> None:
        lanes = self._sums.lanes
        pair_kernels.dot(base, tuned, lanes[0])
        if self._double:
            pair_kernels.dot(base, base, lanes[1])
            pair_kernels.dot(tuned, tuned, lanes[2])
        if self._rounds:
            error = rounded(self._names[1], base).astype(np.float64) - base
            pair_kernels.sizes(np.where(np.isfinite(error), error, 0.0), lanes[-2], lanes[-1])

    def _exclude(self, side: int, patterns: Patterns) -> None:
        if patterns.size:
            table = self._excluded[side] or Workspace()
            self._excluded[side] = table
            add(self._names[side], patterns, table)

    def taken(self) -> PairSums:
        """What was added up."""
        finite, changed, same, flipped = (int(count) for count in self._counts)
        parts = self._sums.parts()
        excluded = [
            Census.empty(name) if table is None else collect(name, table)
            for name, table in zip(self._names, self._excluded, strict=True)
        ]
        steps = self._steps if self._one_type else None
        squares = tuple(parts[1:3]) if self._double else ()
        rounding = tuple(parts[-2:]) if self._rounds else ()
        counts = self._n, finite, changed, steps, same, flipped
        return PairSums(*counts, parts[0], squares, rounding, (excluded[0], excluded[1]))


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


@dataclass(frozen=True, eq=False)
class CrossSums:
    """What one span of two task vectors gave; `parts` are Σab, Σa², Σb², Σ|b − a| and Σ(b − a)² by blocks."""

    n: int
    finite: int
    same_sign: int
    opposite: int
    parts: tuple[Partial, ...]


class CrossTally:
    """The sums over two task vectors of one base."""

    def __init__(self) -> None:
        self._sums = BlockSums(5)
        self._n, self._finite, self._same, self._opposite = 0, 0, 0, 0

    def add(self, a: Delta, b: Delta, direct: Delta) -> None:
        """Adds a slice of both and of their difference, which is formed from the models and not from them."""
        one, other, finite = a.values, b.values, a.values.size
        if a.finite is not None or b.finite is not None:
            good = np.isfinite(one) & np.isfinite(other)
            one, other = np.where(good, one, np.float32(0)), np.where(good, other, np.float32(0))
            finite = int(good.sum())
        lanes = self._sums.lanes
        pair_kernels.dots(one, other, lanes[0], lanes[1], lanes[2])
        pair_kernels.sizes(direct.cleaned, lanes[3], lanes[4])
        same, opposite = pair_kernels.opposed(one.view("<u4"), other.view("<u4"))
        self._n, self._finite = self._n + one.size, self._finite + finite
        self._same, self._opposite = self._same + same, self._opposite + opposite
        self._sums.advance(one.size)

    def taken(self) -> CrossSums:
        """What was added up."""
        return CrossSums(self._n, self._finite, self._same, self._opposite, tuple(self._sums.parts()))


def signs_of(deltas: Sequence[Delta], marks: NDArray[np.uint8]) -> Signs:
    """The signs that several differences have at each position."""
    room = marks[: deltas[0].values.size]
    room.fill(0)
    for delta in deltas:
        pair_kernels.mark_signs(delta.cleaned, room)
    moved, both = pair_kernels.count_marks(room)
    return Signs(room.size, moved, both)
