"""Blocks of GGUF's IQ types taken apart: eight or four values at a time are a row of a grid, with signs or a shift.

Source: gguf-py, quants.py, and ggml-quants.c (MIT); the grids lie in `ggml_grids.toml`.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from functools import cache
from importlib import resources
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kaibo.models.packings.ggml_rare import Apart, Bytes, Codes, Floats32

BITS = np.arange(8, dtype=np.uint8)


@cache
def _data() -> Mapping[str, Any]:
    found = resources.files("kaibo.models.packings").joinpath("ggml_grids.toml").read_text(encoding="utf-8")
    return tomllib.loads(found)


@cache
def _grid(name: str) -> Codes:
    """The rows of a grid."""
    table = _data()[name]
    packed = np.frombuffer(bytes.fromhex(table["grid"]), np.uint8).reshape(-1, 1)
    places = (packed >> np.arange(0, 8, table["bits"], dtype=np.uint8)) & np.uint8((1 << table["bits"]) - 1)
    rows: Codes = np.array(table["levels"], np.int8)[places].reshape(-1, table["row"])
    return rows


@cache
def _patterns() -> Bytes:
    """Eight signs for each number of seven bits: the eighth makes their product positive."""
    return np.frombuffer(bytes.fromhex(_data()["signs"]["patterns"]), np.uint8)


def _signs(patterns: Bytes) -> Codes:
    """1 or −1 for each bit."""
    return (1 - 2 * ((patterns[..., None] >> BITS) & 1).astype(np.int8)).astype(np.int8)


def _part(blocks: Bytes, begin: int, end: int, dtype: str = "u1") -> NDArray[Any]:
    return np.ascontiguousarray(blocks[:, begin:end]).view(f"<{dtype}")


def _half(blocks: Bytes, at: int = 0) -> Floats32:
    return _part(blocks, at, at + 2, "f2").astype(np.float32)


def _nibbles(parts: Bytes) -> Bytes:
    return np.asarray(((parts[:, :, None] >> np.array([0, 4], np.uint8)) & 15).reshape(len(parts), -1), np.uint8)


def _signed(rows: Codes, signs: Codes) -> Codes:
    return np.asarray(rows.reshape(len(rows), -1) * signs.reshape(len(rows), -1), np.int8)


def two_xxs(blocks: Bytes) -> Apart:
    """IQ2_XXS: four places, four times seven bits of signs and a scale in 64 bits."""
    words = _part(blocks, 2, 66, "u4").reshape(len(blocks), -1, 2)
    scales = _half(blocks) * (np.float32(0.5) + (words[..., 1] >> 28).astype(np.float32)) * np.float32(0.25)
    places = np.ascontiguousarray(words[..., 0]).view(np.uint8)
    return scales, _signed(_grid("IQ2_XXS")[places], _signs(_patterns()[_sevens(words[..., 1])]))


def _sevens(words: NDArray[np.uint32]) -> NDArray[np.uint32]:
    """Four numbers of seven bits."""
    return (words[..., None] >> np.array([0, 7, 14, 21], np.uint32)) & np.uint32(127)


def two_xs(blocks: Bytes) -> Apart:
    """IQ2_XS: nine bits of a place and seven of signs, 16 scales of four bits."""
    words = _part(blocks, 2, 66, "u2")
    scales = _half(blocks) * (np.float32(0.5) + _nibbles(blocks[:, 66:74])) * np.float32(0.25)
    return scales.astype(np.float32), _signed(_grid("IQ2_XS")[words & 511], _signs(_patterns()[words >> 9]))


def two_s(blocks: Bytes) -> Apart:
    """IQ2_S: ten bits of a place, eight signs."""
    high = ((blocks[:, 66:74, None] >> np.array([0, 2, 4, 6], np.uint8)) & 3).reshape(len(blocks), -1)
    places = blocks[:, 2:34].astype(np.uint16) | (high.astype(np.uint16) << 8)
    scales = _half(blocks) * (np.float32(0.5) + _nibbles(blocks[:, 74:82])) * np.float32(0.25)
    return scales.astype(np.float32), _signed(_grid("IQ2_S")[places], _signs(blocks[:, 34:66]))


def three_xxs(blocks: Bytes) -> Apart:
    """IQ3_XXS: rows of four, signs and scales apart."""
    words = _part(blocks, 66, 98, "u4")
    scales = _half(blocks) * (np.float32(0.5) + (words >> 28).astype(np.float32)) * np.float32(0.5)
    return scales, _signed(_grid("IQ3_XXS")[blocks[:, 2:66]], _signs(_patterns()[_sevens(words)]))


def three_s(blocks: Bytes) -> Apart:
    """IQ3_S: rows of four with nine bits of a place, signs and scales apart."""
    high = ((blocks[:, 66:74, None] >> BITS) & 1).reshape(len(blocks), -1)
    places = blocks[:, 2:66].astype(np.uint16) | (high.astype(np.uint16) << 8)
    scales = _half(blocks) * (1 + 2 * _nibbles(blocks[:, 106:110])).astype(np.float32)
    return scales, _signed(_grid("IQ3_S")[places], _signs(blocks[:, 74:106]))


def one_s(blocks: Bytes) -> Apart:
    """IQ1_S: rows of eight, all shifted by an eighth one way or the other; codes count eighths."""
    words = _part(blocks, 34, 50, "u2")
    high = ((words[..., None] >> np.array([0, 3, 6, 9], np.uint16)) & 7).reshape(len(blocks), -1)
    rows = _grid("IQ1_S")[blocks[:, 2:34].astype(np.uint16) | (high << 8)].reshape(len(blocks), 8, 32)
    shift = np.where(words & 0x8000, -1, 1).astype(np.int8)[..., None]
    scales = _half(blocks) * (2 * ((words >> 12) & 7) + 1).astype(np.float32)
    return scales, np.asarray(rows * np.int8(8) + shift, np.int8).reshape(len(blocks), -1)


def one_m(blocks: Bytes) -> Apart:
    """IQ1_M: as IQ1_S, 16 scales of three bits; the 16-bit scale of the block lies in what they leave over."""
    words = _part(blocks, 48, 56, "u2")
    joined = ((words & 0xF000) >> np.array([12, 8, 4, 0], np.uint16)).astype(np.uint16)
    d = np.bitwise_or.reduce(joined, axis=1).view(np.float16).astype(np.float32).reshape(-1, 1)
    small = ((words[..., None] >> np.array([0, 3, 6, 9], np.uint16)) & 7).reshape(len(blocks), -1)
    high = ((blocks[:, 32:48, None] >> np.array([0, 4], np.uint8)) & 15).reshape(len(blocks), -1)
    rows = _grid("IQ1_S")[blocks[:, :32].astype(np.uint16) | ((high & 7).astype(np.uint16) << 8)]
    shift = np.where(high & 8, -1, 1).astype(np.int8)[..., None]
    codes = np.asarray(rows * np.int8(8) + shift, np.int8).reshape(len(blocks), -1)
    return d * (2 * small + 1).astype(np.float32), codes
