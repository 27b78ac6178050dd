"""Blocks of the usual GGUF types taken apart: scale and offset of each run of values, and a code for each value.

Source: ggml-quants.c and gguf-py, quants.py (MIT). A value is level[code] · scale + offset in float32, as there.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from kaibo.vocabulary.compiling import compiled

Bytes = NDArray[np.uint8]
Codes = NDArray[np.int8]
Floats32 = NDArray[np.float32]


@compiled
def _half(half: Floats32, block: Bytes, at: int) -> np.float32:
    """The 16-bit float at a place of a block."""
    found: np.float32 = half[np.uint16(block[at]) | (np.uint16(block[at + 1]) << np.uint16(8))]
    return found


@compiled
def _nibbles(block: Bytes, at: int, zero: int, codes: Codes) -> None:
    """16 bytes as 32 codes: the low halves, then the high ones."""
    for i in range(16):
        byte = block[at + i]
        codes[i] = np.int8((byte & 15) - zero)
        codes[i + 16] = np.int8((byte >> 4) - zero)


@compiled
def four(blocks: Bytes, half: Floats32, scales: Floats32, offsets: Floats32, codes: Codes) -> None:
    """Q4_0 and, of 20 bytes, Q4_1."""
    for n in range(len(blocks)):
        block = blocks[n]
        scales[n, 0] = _half(half, block, 0)
        if len(block) == 20:
            offsets[n, 0] = _half(half, block, 2)
            _nibbles(block, 4, 0, codes[n])
        else:
            offsets[n, 0] = 0.0
            _nibbles(block, 2, 8, codes[n])


@compiled
def five(blocks: Bytes, half: Floats32, scales: Floats32, offsets: Floats32, codes: Codes) -> None:
    """Q5_0 and, of 24 bytes, Q5_1."""
    for n in range(len(blocks)):
        block = blocks[n]
        shifted = len(block) == 24
        at, zero = (4, 0) if shifted else (2, 16)
        scales[n, 0] = _half(half, block, 0)
        offsets[n, 0] = _half(half, block, 2) if shifted else np.float32(0.0)
        _nibbles(block, at + 4, 0, codes[n])
        for i in range(32):
            high = (block[at + i // 8] >> (i % 8)) & 1
            codes[n, i] += np.int8(high * 16 - zero)


@compiled
def eight(blocks: Bytes, half: Floats32, scales: Floats32, offsets: Floats32, codes: Codes) -> None:
    """Q8_0."""
    for n in range(len(blocks)):
        block = blocks[n]
        scales[n, 0] = _half(half, block, 0)
        offsets[n, 0] = 0.0
        for i in range(32):
            codes[n, i] = np.int8(block[2 + i])


@compiled
def two_k(blocks: Bytes, half: Floats32, scales: Floats32, offsets: Floats32, codes: Codes) -> None:
    """Q2_K: 16 runs of 16 values."""
    for n in range(len(blocks)):
        block = blocks[n]
        d, least = _half(half, block, 80), _half(half, block, 82)
        for run in range(16):
            scales[n, run] = d * np.float32(block[run] & 15)
            offsets[n, run] = -least * np.float32(block[run] >> 4)
        for part in range(2):
            for shift in range(4):
                for i in range(32):
                    codes[n, 128 * part + 32 * shift + i] = np.int8((block[16 + 32 * part + i] >> (2 * shift)) & 3)


@compiled
def three_k(blocks: Bytes, half: Floats32, scales: Floats32, offsets: Floats32, codes: Codes) -> None:
    """Q3_K: 16 runs of 16 values; a bit apart says where 4 is not taken off."""
    for n in range(len(blocks)):
        block = blocks[n]
        d = _half(half, block, 108)
        for run in range(16):
            low = (block[96 + run % 8] >> (4 * (run // 8))) & 15
            high = (block[104 + run % 4] >> (2 * (run // 4))) & 3
            scales[n, run] = d * np.float32(np.int8(low | (high << 4)) - 32)
            offsets[n, run] = 0.0
        for part in range(2):
            for shift in range(4):
                for i in range(32):
                    code = np.int8((block[32 + 32 * part + i] >> (2 * shift)) & 3)
                    kept = (block[i] >> (4 * part + shift)) & 1
                    codes[n, 128 * part + 32 * shift + i] = code - np.int8(0 if kept else 4)


@compiled
def _scales_k(block: Bytes, d: np.float32, least: np.float32, scales: Floats32, offsets: Floats32) -> None:
    """The eight scales and minima of 6 bits of Q4_K and Q5_K."""
    for run in range(4):
        scales[run] = d * np.float32(block[4 + run] & 63)
        offsets[run] = -least * np.float32(block[8 + run] & 63)
        mixed = block[12 + run]
        scales[run + 4] = d * np.float32((mixed & 15) | ((block[4 + run] >> 2) & 48))
        offsets[run + 4] = -least * np.float32((mixed >> 4) | ((block[8 + run] >> 2) & 48))


@compiled
def four_k(blocks: Bytes, half: Floats32, scales: Floats32, offsets: Floats32, codes: Codes) -> None:
    """Q4_K: 8 runs of 32 values."""
    for n in range(len(blocks)):
        block = blocks[n]
        _scales_k(block, _half(half, block, 0), _half(half, block, 2), scales[n], offsets[n])
        for part in range(4):
            for i in range(32):
                byte = block[16 + 32 * part + i]
                codes[n, 64 * part + i] = np.int8(byte & 15)
                codes[n, 64 * part + 32 + i] = np.int8(byte >> 4)


@compiled
def five_k(blocks: Bytes, half: Floats32, scales: Floats32, offsets: Floats32, codes: Codes) -> None:
    """Q5_K: 8 runs of 32 values."""
    for n in range(len(blocks)):
        block = blocks[n]
        _scales_k(block, _half(half, block, 0), _half(half, block, 2), scales[n], offsets[n])
        for part in range(4):
            for i in range(32):
                byte, high = block[48 + 32 * part + i], block[16 + i] >> (2 * part)
                codes[n, 64 * part + i] = np.int8((byte & 15) | ((high & 1) << 4))
                codes[n, 64 * part + 32 + i] = np.int8((byte >> 4) | ((high & 2) << 3))


@compiled
def six_k(blocks: Bytes, half: Floats32, scales: Floats32, offsets: Floats32, codes: Codes) -> None:
    """Q6_K: 16 runs of 16 values."""
    for n in range(len(blocks)):
        block = blocks[n]
        d = _half(half, block, 208)
        for run in range(16):
            scales[n, run] = d * np.float32(np.int8(block[192 + run]))
            offsets[n, run] = 0.0
        for part in range(2):
            for i in range(32):
                high = block[128 + 32 * part + i]
                low, other = block[64 * part + i], block[64 * part + 32 + i]
                at = 128 * part + i
                codes[n, at] = np.int8((low & 15) | ((high & 3) << 4)) - np.int8(32)
                codes[n, at + 32] = np.int8((other & 15) | ((high & 12) << 2)) - np.int8(32)
                codes[n, at + 64] = np.int8((low >> 4) | (high & 48)) - np.int8(32)
                codes[n, at + 96] = np.int8((other >> 4) | ((high & 192) >> 2)) - np.int8(32)


@compiled
def four_nl(blocks: Bytes, half: Floats32, scales: Floats32, offsets: Floats32, codes: Codes) -> None:
    """IQ4_NL: codes are places in a table of levels."""
    for n in range(len(blocks)):
        scales[n, 0] = _half(half, blocks[n], 0)
        offsets[n, 0] = 0.0
        _nibbles(blocks[n], 2, 0, codes[n])


@compiled
def four_xs(blocks: Bytes, half: Floats32, scales: Floats32, offsets: Floats32, codes: Codes) -> None:
    """IQ4_XS: 8 runs of 32 values, scales of 6 bits."""
    for n in range(len(blocks)):
        block = blocks[n]
        d = _half(half, block, 0)
        for run in range(8):
            low = (block[4 + run // 2] >> (4 * (run % 2))) & 15
            high = (block[2 + run // 4] >> (2 * (run % 4))) & 3
            scales[n, run] = d * np.float32(np.int8(low | (high << 4)) - 32)
            offsets[n, run] = 0.0
            _nibbles(block, 8 + 16 * run, 0, codes[n, 32 * run : 32 * run + 32])
