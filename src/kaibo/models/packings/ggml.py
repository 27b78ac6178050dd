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
from kaibo.models.packings.packed import Group, Packing, Stored
from kaibo.models.packings.tiles import NONE, Floats32, Levels, Tile, Tiled, levels_of
from kaibo.vocabulary import values_of

Bytes = NDArray[np.uint8]
Kernel = Callable[[Bytes, Floats32, Floats32, Floats32, NDArray[np.int8]], None]

IQ4 = (-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113)
FP4 = (0, 1, 2, 3, 4, 6, 8, 12, 0, -1, -2, -3, -4, -6, -8, -12)


@dataclass(frozen=True)
class Kind:
    """A packed type: how a block is taken apart, how many runs share a scale, what its codes stand for.

    `codes` are all that occur, `levels` what they stand for, times `unit`, where that is not themselves; `halves` are
    the places of 16-bit floats in a block, which files of the other byte order swap; `moved` says whether something is
    added to what scale and level make.
    """

    runs: int
    codes: Sequence[int]
    kernel: Kernel | None = None
    apart: Callable[[Bytes], rare.Apart] | None = None
    levels: tuple[int, ...] = ()
    halves: tuple[int, ...] = (0,)
    unit: float = 1.0
    moved: bool = False


def _both(*codes: int) -> tuple[int, ...]:
    """Codes of both signs."""
    return (*(-code for code in codes), *codes)


KINDS: Mapping[str, Kind] = {
    "Q4_0": Kind(1, range(-8, 8), kernels.four),
    "Q4_1": Kind(1, range(16), kernels.four, halves=(0, 2), moved=True),
    "Q5_0": Kind(1, range(-16, 16), kernels.five),
    "Q5_1": Kind(1, range(32), kernels.five, halves=(0, 2), moved=True),
    "Q8_0": Kind(1, range(-128, 128), kernels.eight),
    "Q8_1": Kind(1, range(-128, 128), apart=rare.eight_one, halves=()),
    "Q2_K": Kind(16, range(4), kernels.two_k, halves=(80, 82), moved=True),
    "Q3_K": Kind(16, range(-4, 4), kernels.three_k, halves=(108,)),
    "Q4_K": Kind(8, range(16), kernels.four_k, halves=(0, 2), moved=True),
    "Q5_K": Kind(8, range(32), kernels.five_k, halves=(0, 2), moved=True),
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
    """The blocks of one tensor, each a row; `values` and `width` are values and bytes of each."""

    codes: StoredTensor
    kind: Kind
    values: int
    width: int

    def rows(self, first: int, last: int) -> Tile:
        """Some blocks."""
        blocks = np.empty((last - first, self.width), np.uint8)
        for _ in self.codes.chunks(blocks.reshape(-1), first * self.width, last * self.width):
            pass  # one chunk, which fills the room
        if self.codes.swapped:
            for at in self.kind.halves:
                blocks[:, [at, at + 1]] = blocks[:, [at + 1, at]]
        shape = len(blocks), self.kind.runs
        if self.kind.apart is not None:
            scales, codes = self.kind.apart(blocks)
            return Tile(np.ascontiguousarray(codes).view(np.uint8), np.ascontiguousarray(scales).reshape(shape))
        assert self.kind.kernel is not None, "a type is taken apart in one of the two ways"
        scales, offsets = np.empty(shape, np.float32), np.empty(shape, np.float32)
        codes = np.empty((len(blocks), self.values), np.int8)
        self.kind.kernel(blocks, _halves(), scales, offsets, codes)
        return Tile(codes.view(np.uint8), scales, NONE, offsets if self.kind.moved else NONE)


def decoder(group: Group) -> Tiled:
    """What decodes a group."""
    name = group.codes.dtype.name
    block = sizes(name)
    assert block is not None, "only packed types are recognised"
    joint = name.startswith(("IQ1", "IQ2", "IQ3"))  # a row of a grid stands for four or eight values
    return Tiled(block[0], _levels(name), Blocks(group.codes, KINDS[name], *block).rows, joint=joint)


@cache
def _halves() -> Floats32:
    with np.errstate(invalid="ignore"):
        return values_of("F16").astype(np.float32)


@cache
def _levels(name: str) -> Levels:
    """What each code stands for, by its byte; no number where the code does not occur."""
    kind = KINDS[name]
    codes = np.array(kind.codes, np.int8)
    levels = np.full(256, np.nan)
    levels[codes.view(np.uint8)] = kind.levels or codes * kind.unit
    return levels_of(levels)


PACKING = Packing("ggml", recognise, decoder)
