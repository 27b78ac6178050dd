"""Blocks of the rarer GGUF types taken apart with numpy: ternary, one bit, powers of two as scales, 8 bits with sums.

Source: gguf-py, quants.py, and ggml-quants.c (MIT).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Bytes = NDArray[np.uint8]
Codes = NDArray[np.int8]
Floats32 = NDArray[np.float32]
Apart = tuple[Floats32, Codes]
"""Scales of the runs of each block, and codes."""

THREES = np.array([1, 3, 9, 27, 81], np.uint8)


def _half(blocks: Bytes) -> Floats32:
    return np.ascontiguousarray(blocks).view("<f2").astype(np.float32)


def _shifted(blocks: Bytes, width: int, shifts: list[int], mask: int) -> Bytes:
    """Each run of bytes as often as there are shifts, every time other bits of it."""
    parts = blocks.reshape(len(blocks), -1, 1, width) >> np.array(shifts, np.uint8).reshape(1, 1, -1, 1)
    return (parts & np.uint8(mask)).reshape(len(blocks), -1)


def ternary(blocks: Bytes) -> Apart:
    """TQ1_0: five digits of base 3 in a byte, as a fixed-point fraction."""
    first, last, tail = blocks[:, :32], blocks[:, 32:48], blocks[:, 48:52]
    parts = [
        (part.reshape(len(blocks), -1, 1, width) * THREES[:digits].reshape(1, 1, -1, 1)).reshape(len(blocks), -1)
        for part, width, digits in ((first, 32, 5), (last, 16, 5), (tail, 4, 4))
    ]
    digits = ((np.concatenate(parts, axis=1).astype(np.uint16) * 3) >> 8).astype(np.int8) - np.int8(1)
    return _half(blocks[:, 52:]), digits


def two_bits(blocks: Bytes) -> Apart:
    """TQ2_0: four values of −1, 0 and 1 in a byte."""
    return _half(blocks[:, 64:]), _shifted(blocks[:, :64], 32, [0, 2, 4, 6], 3).astype(np.int8) - np.int8(1)


def one_bit(blocks: Bytes) -> Apart:
    """Q1_0: a sign for each value."""
    signs = np.unpackbits(blocks[:, 2:], axis=1, bitorder="little").astype(np.int8)
    return _half(blocks[:, :2]), signs * np.int8(2) - np.int8(1)


def mxfp4(blocks: Bytes) -> Apart:
    """MXFP4: a power of two, halved because the levels are doubled."""
    exponent = blocks[:, :1].astype(np.uint32)
    bits = np.where(exponent < 2, np.uint32(0x00200000) << exponent, (exponent - np.uint32(1)) << np.uint32(23))
    return bits.astype(np.uint32).view(np.float32), _shifted(blocks[:, 1:], 16, [0, 4], 15).astype(np.int8)


def nvfp4(blocks: Bytes) -> Apart:
    """NVFP4: an unsigned E4M3 for each run of 16, halved because the levels are doubled."""
    scale = blocks[:, :4]
    exponent, fraction = ((scale >> 3) & 15).astype(np.int32), (scale & 7).astype(np.float32)
    value = np.where(exponent == 0, fraction * 2.0**-9, np.ldexp(1 + fraction / 8, exponent - 7))
    value = np.where((scale == 0) | (scale == 0x7F), 0.0, value * 0.5).astype(np.float32)
    return value, _shifted(blocks[:, 4:], 8, [0, 4], 15).astype(np.int8)


def eight_k(blocks: Bytes) -> Apart:
    """Q8_K: a 32-bit float, 256 codes, sums that are not needed."""
    return np.ascontiguousarray(blocks[:, :4]).view("<f4"), np.ascontiguousarray(blocks[:, 4:260]).view(np.int8)


def eight_one(blocks: Bytes) -> Apart:
    """Q8_1 as gguf stores it: a 32-bit scale and a sum, then 32 codes."""
    return np.ascontiguousarray(blocks[:, :4]).view("<f4"), np.ascontiguousarray(blocks[:, -32:]).view(np.int8)
