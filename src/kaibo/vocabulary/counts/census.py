"""The census of a tensor: which values it holds and how many of each, in integers that add.

8- and 16-bit types have one bin per bit pattern; nothing is lost. A 32-bit value falls in the bin of its upper
16 bits, split once where a first-digit boundary lies inside; the bin keeps the count, Σlo and Σlo² of the lower
16 bits. All values of a bin share sign and exponent, so Σ|x| and Σx² follow exactly. The two upper halves that
hold zero and the deepest subnormals span 54 digit boundaries; there a bin is a sign and a first digit.

    key of a 32-bit bin    upper16 << 1 | side          side 1: at or above the digit boundary inside
                           SIDE | sign << 4 | digit     upper half 0x0000 or 0x8000; digit 0 is zero itself

NaN and ±Inf of 32-bit types are counted apart; those of 8- and 16-bit types are bins like any other. 64-bit
floats are counted as rounded to float32, with the exact first digits of the 64-bit values beside them.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from functools import cache

import numpy as np
from numpy.typing import NDArray

from kaibo.vocabulary.dtypes import DTYPES, first_digits

Counts = NDArray[np.uint64]
Keys = NDArray[np.uint32]

SIDE = 1 << 17
"""Bit of a 32-bit bin's key that marks the upper halves 0x0000 and 0x8000."""

NO_BOUNDARY = 1 << 16
"""Where no first-digit boundary lies inside an upper half: above every possible lower half."""


@cache
def split_points() -> NDArray[np.uint32]:
    """For each upper half of a float32, the lower half at which the first digit changes; shape (65536,).

    `NO_BOUNDARY` where it does not change inside. The halves 0x0000 and 0x8000 are counted by digit instead.
    """
    uppers = np.arange(1 << 16, dtype=np.uint32)
    finite = (uppers & 0x7F80) != 0x7F80
    points = np.full(1 << 16, NO_BOUNDARY, dtype=np.uint32)
    low = np.zeros(1 << 16, dtype=np.uint32)
    high = np.full(1 << 16, 0xFFFF, dtype=np.uint32)
    first = digits_of32(uppers << np.uint32(16))
    split = finite & (first != digits_of32((uppers << np.uint32(16)) | high)) & ((uppers & 0x7FFF) != 0)
    while True:  # bisection: digit(low) is the first digit, digit(high) is another
        open_ = split & (high - low > 1)
        if not open_.any():
            break
        middle = (low + high) // 2
        same = digits_of32((uppers << np.uint32(16)) | middle) == first
        low = np.where(open_ & same, middle, low)
        high = np.where(open_ & ~same, middle, high)
    points[split] = high[split]
    points.setflags(write=False)
    return points


def digits_of32(patterns: NDArray[np.uint32]) -> NDArray[np.uint8]:
    """The first decimal digit of each float32 pattern."""
    with np.errstate(invalid="ignore"):
        return first_digits(patterns.view(np.float32).astype(np.float64))


def side_digits() -> NDArray[np.uint8]:
    """The first digit of each lower half under the upper half 0x0000; shape (65536,), 0 for zero."""
    return digits_of32(np.arange(1 << 16, dtype=np.uint32))


@dataclass(frozen=True, eq=False)
class Census:
    """Counts of the values of one element type.

    `keys` are the bins in ascending order, `counts` how many values each holds. For F32 and F64, `lo` is Σlo and
    `lo2` (shape (bins, 2): high word, low word) is Σlo² of the lower 16 bits; both are empty for narrower types.
    `minimum` and `maximum` are the exact extremes of the finite values (None when there are none). `nan`,
    `positive_infinity` and `negative_infinity` count what is not finite. `digits64` holds, for F64, eleven counts
    of the 64-bit values before rounding: zeros, those that begin with 1 … 9, those that are not finite.

    Censuses of one type add, bin by bin, in integers: the same bytes for any chunking, order or number of workers.
    """

    dtype: str
    keys: Keys
    counts: Counts
    lo: Counts
    lo2: Counts
    minimum: float | None = None
    maximum: float | None = None
    nan: int = 0
    positive_infinity: int = 0
    negative_infinity: int = 0
    digits64: tuple[int, ...] = field(default=())

    @classmethod
    def empty(cls, dtype: str) -> Census:
        """The census of no values: what adding begins with."""
        none = np.zeros(0, dtype=np.uint64)
        digits = (0,) * 11 if dtype == "F64" else ()
        return cls(dtype, np.zeros(0, np.uint32), none, none, none.reshape(0, 2), digits64=digits)

    @property
    def wide(self) -> bool:
        """Whether bins hold many patterns each (32- and 64-bit types)."""
        return DTYPES[self.dtype].bits > 16

    @property
    def n(self) -> int:
        """How many values were counted, finite or not."""
        binned = int(self.counts.sum())
        return binned + (self.nan + self.positive_infinity + self.negative_infinity if self.wide else 0)

    @property
    def nbytes(self) -> int:
        """How much memory the bins take."""
        return self.keys.nbytes + self.counts.nbytes + self.lo.nbytes + self.lo2.nbytes

    @property
    def nonfinite(self) -> int:
        """How many values are NaN or ±Inf."""
        return self.nan + self.positive_infinity + self.negative_infinity

    def __add__(self, other: Census) -> Census:
        """The census of both sets of values together.

        >>> a = Census.empty("BF16")
        >>> (a + a).n
        0
        """
        return total([self, other])

    def __eq__(self, other: object) -> bool:
        """Equal to the last bit."""
        if not isinstance(other, Census):
            return NotImplemented
        arrays = ("keys", "counts", "lo", "lo2")
        plain = ("dtype", "minimum", "maximum", "nan", "positive_infinity", "negative_infinity", "digits64")
        return all(getattr(self, name) == getattr(other, name) for name in plain) and all(
            np.array_equal(getattr(self, name), getattr(other, name)) for name in arrays
        )

    __hash__ = None  # type: ignore[assignment]


def total(censuses: Iterable[Census]) -> Census:
    """The sum of censuses of one type, in integers; the order does not matter.

    Raises ValueError for no census or for mixed types.
    """
    parts = list(censuses)
    kinds = {part.dtype for part in parts}
    if len(kinds) != 1:
        raise ValueError(f"censuses of one type add; these are of {sorted(kinds)}")
    if len(parts) == 1:
        return parts[0]
    keys, place = np.unique(np.concatenate([part.keys for part in parts]), return_inverse=True)
    counts = _gather(place, [part.counts for part in parts], keys.size)
    wide = parts[0].wide
    lo = _gather(place, [part.lo for part in parts], keys.size) if wide else parts[0].lo[:0]
    lo2 = _gather_two_words(place, [part.lo2 for part in parts], keys.size) if wide else parts[0].lo2[:0]
    minima = [part.minimum for part in parts if part.minimum is not None]
    maxima = [part.maximum for part in parts if part.maximum is not None]
    return replace(
        parts[0],
        keys=keys,
        counts=counts,
        lo=lo,
        lo2=lo2,
        minimum=min(minima) if minima else None,
        maximum=max(maxima) if maxima else None,
        nan=sum(part.nan for part in parts),
        positive_infinity=sum(part.positive_infinity for part in parts),
        negative_infinity=sum(part.negative_infinity for part in parts),
        digits64=tuple(sum(digit) for digit in zip(*(part.digits64 for part in parts), strict=True)),
    )


def _gather(place: NDArray[np.intp], columns: list[Counts], size: int) -> Counts:
    out = np.zeros(size, dtype=np.uint64)
    np.add.at(out, place, np.concatenate(columns))
    return out


def _gather_two_words(place: NDArray[np.intp], columns: list[Counts], size: int) -> Counts:
    """Adds 128-bit integers kept as (high, low): in 32-bit limbs no sum of fewer than 2³² words overflows."""
    words = np.concatenate(columns)
    mask, shift = np.uint64(0xFFFFFFFF), np.uint64(32)
    low = _gather(place, [words[:, 1] & mask], size)
    middle = _gather(place, [words[:, 1] >> shift], size) + (low >> shift)
    high = _gather(place, [words[:, 0]], size) + (middle >> shift)
    return np.stack([high, (middle << shift) | (low & mask)], axis=1)
