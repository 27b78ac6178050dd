"""The packed types of GGUF, decoded block by block to the float32 values that gguf-py gives, bit for bit."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kaibo.models.formats import StoredTensor
from kaibo.models.formats.gguf import sizes
from kaibo.models.packings import ggml_grids as grids
from kaibo.models.packings import ggml_kernels as kernels
from kaibo.models.packings import ggml_rare as rare
from kaibo.models.packings.packed import Floats32, Floats64, Group, Packing, Stored
from kaibo.vocabulary import values_of

Bytes = NDArray[np.uint8]
Kernel = Callable[[Bytes, Floats32, Floats32, Floats32, NDArray[np.int8]], None]

IQ4 = (-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113)
FP4 = (0, 1, 2, 3, 4, 6, 8, 12, 0, -1, -2, -3, -4, -6, -8, -12)


@dataclass(frozen=True)
class Kind:
    """A packed type: how a block is taken apart, how many runs share a scale, what its codes stand for.

    `codes` are all that occur, `levels` what they stand for, times `unit`, where that is not themselves; `halves` are
    the places of 16-bit floats in a block, which files of the other byte order swap.
    """

    runs: int
    codes: Sequence[int]
    kernel: Kernel | None = None
    apart: Callable[[Bytes], rare.Apart] | None = None
    levels: tuple[int, ...] = ()
    halves: tuple[int, ...] = (0,)
    unit: float = 1.0


def _both(*codes: int) -> tuple[int, ...]:
    """Codes of both signs."""
    return (*(-code for code in codes), *codes)


KINDS: Mapping[str, Kind] = {
    "Q4_0": Kind(1, range(-8, 8), kernels.four),
    "Q4_1": Kind(1, range(16), kernels.four, halves=(0, 2)),
    "Q5_0": Kind(1, range(-16, 16), kernels.five),
    "Q5_1": Kind(1, range(32), kernels.five, halves=(0, 2)),
    "Q8_0": Kind(1, range(-128, 128), kernels.eight),
    "Q8_1": Kind(1, range(-128, 128), apart=rare.eight_one, halves=()),
    "Q2_K": Kind(16, range(4), kernels.two_k, halves=(80, 82)),
    "Q3_K": Kind(16, range(-4, 4), kernels.three_k, halves=(108,)),
    "Q4_K": Kind(8, range(16), kernels.four_k, halves=(0, 2)),
    "Q5_K": Kind(8, range(32), kernels.five_k, halves=(0, 2)),
    "Q6_K": Kind(16, range(-32, 32), kernels.six_k, halves=(208,)),
    "Q8_K": Kind(1, range(-128, 128), apart=rare.eight_k, halves=()),
    "IQ4_NL": Kind(1, range(16), kernels.four_nl, levels=IQ4),
    "IQ4_XS": Kind(8, range(16), kernels.four_xs, levels=IQ4, halves=(0, 2)),
    "TQ1_0": Kind(1, range(-1, 2), apart=rare.ternary, halves=(52,)),
    "TQ2_0": Kind(1, range(-1, 3), apart=rare.two_bits, halves=(64,)),
    "Q1_0": Kind(1, (-1, 1), apart=rare.one_bit),
    "IQ2_XXS": Kind(8, _both(8, 25, 43), apart=grids.two_xxs),
    "IQ2_XS": Kind(16, _both(8, 25, 43), apart=grids.two_xs),
    "IQ2_S": Kind(16, _both(8, 25, 43), apart=grids.two_s),
    "IQ3_XXS": Kind(8, _both(4, 12, 20, 28, 36, 44, 52, 62), apart=grids.three_xxs),
    "IQ3_S": Kind(8, _both(*range(1, 16, 2)), apart=grids.three_s),
    "IQ1_S": Kind(8, _both(1, 7, 9), apart=grids.one_s, unit=0.125),
    "IQ1_M": Kind(16, _both(1, 7, 9), apart=grids.one_m, halves=(), unit=0.125),
    "MXFP4": Kind(1, range(16), apart=rare.mxfp4, levels=FP4, halves=()),
    "NVFP4": Kind(4, range(16), apart=rare.nvfp4, levels=FP4, halves=()),
}
"""Every type that is decoded, by its name in GGUF."""


def recognise(config: Mapping[str, Any], entries: Stored) -> Iterator[Group]:
    """Every tensor whose type is a packed one of GGUF: the file itself says so."""
    for name, codes in entries.items():
        block = sizes(codes.dtype.name) if codes.dtype.kind == "packed" else None
        if block is not None and codes.dtype.name in KINDS:
            shape = (*codes.shape[:-1], codes.shape[-1] // block[1] * block[0])
            yield Group("ggml", name, shape, codes, {}, f"{codes.dtype.name} blocks", {"type": codes.dtype.name})


@dataclass(frozen=True, eq=False)
class Blocks:
    """The blocks of one tensor: `values` and `width` are values and bytes of each."""

    codes: StoredTensor
    kind: Kind
    values: int
    width: int

    def decode(self, begin: int, out: Floats32) -> None:
        """Scale · level − offset, in float32."""
        first, blocks = self._read(begin, out.size)
        apart = self._apart(blocks)
        exact = first * self.values == begin and len(blocks) * self.values == out.size
        room = out if exact else np.empty(len(blocks) * self.values, np.float32)
        kernels.combined(*apart, _levels(self.kind.levels, self.kind.unit), room.reshape(len(blocks), self.values))
        if not exact:
            skipped = begin - first * self.values
            out[:] = room[skipped : skipped + out.size]

    def stored(self, begin: int, out: Floats32) -> None:
        """The level of each code."""
        first, blocks = self._read(begin, out.size)
        codes = self._apart(blocks)[-1].view(np.uint8).reshape(-1)
        at = begin - first * self.values
        out[:] = _levels(self.kind.levels, self.kind.unit)[codes[at : at + out.size]]

    def cell(self, begin: int, low: Floats64, high: Floats64) -> None:
        """Half-way to the neighbouring levels of the run; the outermost levels also stand for all beyond."""
        first, blocks = self._read(begin, low.size)
        apart = self._apart(blocks)
        room = np.empty((2, len(blocks), self.values))
        for ends, out in zip(_ends(tuple(self.kind.codes), self.kind.levels, self.kind.unit), room, strict=True):
            kernels.bounds(*apart, ends, out)
        skipped = begin - first * self.values
        one, other = room.reshape(2, -1)[:, skipped : skipped + low.size]
        low[:], high[:] = np.minimum(one, other), np.maximum(one, other)

    def _read(self, begin: int, count: int) -> tuple[int, Bytes]:
        """The number of the first block and the bytes of all blocks that hold a range of values."""
        first, last = begin // self.values, -(-(begin + count) // self.values)
        room = np.empty((last - first) * self.width, np.uint8)
        for _ in self.codes.chunks(room, first * self.width, last * self.width):
            pass  # one chunk, which fills the room
        blocks = room.reshape(-1, self.width)
        if self.codes.swapped:
            for at in self.kind.halves:
                blocks[:, [at, at + 1]] = blocks[:, [at + 1, at]]
        return first, blocks

    def _apart(self, blocks: Bytes) -> tuple[Floats32, Floats32, NDArray[np.int8]]:
        shape = len(blocks), self.kind.runs
        if self.kind.apart is not None:
            with np.errstate(invalid="ignore", over="ignore"):  # scales that are NaN or infinite stay what they are
                scales, codes = self.kind.apart(blocks)
            return np.ascontiguousarray(scales).reshape(shape), np.zeros(shape, np.float32), np.ascontiguousarray(codes)
        assert self.kind.kernel is not None, "a type is taken apart in one of the two ways"
        scales, offsets = np.empty(shape, np.float32), np.empty(shape, np.float32)
        codes = np.empty((len(blocks), self.values), np.int8)
        self.kind.kernel(blocks, _halves(), scales, offsets, codes)
        return scales, offsets, codes


def decoder(group: Group) -> Blocks:
    """What decodes a group."""
    name = group.codes.dtype.name
    block = sizes(name)
    assert block is not None, "only packed types are recognised"
    return Blocks(group.codes, KINDS[name], *block)


@cache
def _halves() -> Floats32:
    with np.errstate(invalid="ignore"):
        return values_of("F16").astype(np.float32)


@cache
def _levels(levels: tuple[int, ...], unit: float) -> Floats32:
    """What each code stands for, by its byte."""
    if not levels:
        return np.arange(256, dtype=np.uint8).view(np.int8).astype(np.float32) * np.float32(unit)
    return np.array([*levels, *(0,) * (256 - len(levels))], np.float32)


@cache
def _ends(codes: tuple[int, ...], levels: tuple[int, ...], unit: float) -> tuple[Floats64, Floats64]:
    """Where the interval of each code begins and ends in units of the scale, by the code's byte."""
    every = np.array(codes, np.int8).view(np.uint8)
    table = _levels(levels, unit).astype(np.float64)[every]
    sorted_levels = np.unique(table)
    middles = (sorted_levels[1:] + sorted_levels[:-1]) / 2
    below, above = np.concatenate([[-np.inf], middles]), np.concatenate([middles, [np.inf]])
    place = np.searchsorted(sorted_levels, table)
    low, high = np.full(256, np.nan), np.full(256, np.nan)
    low[every], high[every] = below[place], above[place]
    return low, high


PACKING = Packing("ggml", recognise, decoder)
