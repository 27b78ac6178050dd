"""4- and 6-bit floats with a scale for 16 or 32 of them: NVFP4 in both its dialects, MXFP4 and MXFP6.

A value is level · scale. NVFP4 scales are 8-bit floats, first multiplied by `weight_scale_2` (ModelOpt) or divided by
`weight_global_scale` (compressed-tensors), in float32. MX scales are powers of two, 255 being no number. gpt-oss stacks
its experts as `*_blocks` and `*_scales`, outputs first; its weights are inputs first, as they are seen here.

Sources: OCP Microscaling formats 1.0; ModelOpt, `NVFP4QTensor.dequantize`; compressed-tensors,
`NVFP4PackedCompressor`; transformers, `convert_moe_packed_tensors`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from math import prod
from typing import Any

import numpy as np

from kaibo.models.formats import StoredTensor
from kaibo.models.packings.packed import (
    Group,
    Packing,
    Stored,
    Unfit,
    float_rows,
    powers_of_two,
    stored_rows,
    values_in,
)
from kaibo.models.packings.tiles import Columns, Floats32, Levels, Tile, Tiled, by_matrix, halves, levels_of, unpacked

STACKED = ("gate_up_proj", "down_proj")
"""Experts of gpt-oss as transformers names them: their weights are inputs first, their blocks outputs first."""

SCALES = ("weight_scale", "scale", "scales", "weight_scales")
NVFP4, MXFP4 = 16, 32
"""Values of a scale."""


def recognise(config: Mapping[str, Any], entries: Stored) -> Iterator[Group | Unfit]:
    """Every tensor of bytes whose scales are 8-bit floats or powers of two, one for 8, 16 or 24 bytes."""
    for name, codes in entries.items():
        if codes.dtype.name not in ("U8", "I8", "F4") or len(codes.shape) < 2:
            continue
        stem, _, last = name.rpartition(".")
        if name.endswith((".blocks", "_blocks")) and f"{name.removesuffix('blocks')}scales" in entries:
            yield _of_blocks(name[: -len("_blocks")], codes, entries[f"{name.removesuffix('blocks')}scales"])
        elif last in ("weight", "weight_packed"):
            scale = next((entries[key] for end in SCALES if (key := f"{stem}.{end}") in entries), None)
            if scale is not None and scale.dtype.name in ("F8_E4M3", "F8_E8M0", "U8"):
                yield _of_rows(stem, codes, scale, entries)


def _of_blocks(weight: str, codes: StoredTensor, scales: StoredTensor) -> Group | Unfit:
    if codes.shape[:-1] != scales.shape or codes.shape[-1] != MXFP4 // 2 or len(codes.shape) < 3:
        return Unfit(codes, f"its blocks have shape {codes.shape}, its scales {scales.shape}")
    *matrices, high, groups = scales.shape
    turned = weight.rpartition(".")[2] in STACKED
    sides = (groups * MXFP4, high) if turned else (high, groups * MXFP4)
    how = "MXFP4 codes" + (", experts with their inputs first" if turned else "")
    return Group("fp4", weight, (*matrices, *sides), codes, {"scale": scales}, how, {"turned": turned, "bits": 4})


def _of_rows(stem: str, codes: StoredTensor, scale: StoredTensor, entries: Stored) -> Group | Unfit:
    nvidia = scale.dtype.name == "F8_E4M3"
    wide = codes.shape[-1] // (2 if codes.dtype.name == "F4" else 1)
    size, groups = NVFP4 if nvidia else MXFP4, scale.shape[-1] if scale.shape else 0
    bits = 8 * wide // (groups * size) if groups else 0
    if (
        scale.shape[:-1] != codes.shape[:-1]
        or 8 * wide != groups * size * bits
        or bits not in ((4,) if nvidia else (4, 6))
    ):
        return Unfit(codes, f"its scales have shape {scale.shape} and its codes {codes.shape}")
    parts, settings = {"scale": scale}, {"turned": False, "bits": bits}
    how = f"MXFP{bits} codes"
    if nvidia:
        product, divisor = (entries.get(f"{stem}.{end}") for end in ("weight_scale_2", "weight_global_scale"))
        whole = product if product is not None else divisor
        if whole is None or whole.size not in (1, prod(codes.shape[:-2])):
            return Unfit(codes, "its global scale is missing" if whole is None else f"{whole.size} global scales")
        parts["global"], settings["divides"] = whole, product is None
        way = "divided by weight_global_scale" if product is None else "multiplied by weight_scale_2"
        how = f"NVFP4 codes, scales {way}"
    shape = (*codes.shape[:-1], groups * size)
    return Group("fp4", f"{stem}.weight", shape, codes, parts, how, settings)


@dataclass(frozen=True, eq=False)
class ByRows:
    """Codes and scales that lie as the weight does."""

    group: Group

    def rows(self, matrix: int, first: int, last: int) -> Tile:
        """Some rows of a matrix."""
        group = self.group
        begin, end = (matrix * group.shape[-2] + row for row in (first, last))
        raw = stored_rows(group.codes, begin, end, prod(group.shape[:-1])).view(np.uint8)
        codes = np.empty((end - begin, group.shape[-1]), np.uint8)
        if group.settings["bits"] == 4:
            halves(raw, False, codes)
        else:
            words = np.pad(raw, [(0, 0), (0, -raw.shape[1] % 4)]).view("<u4")
            unpacked(words, np.arange(codes.shape[1], dtype=np.int64) * 6, 6, codes)
        return Tile(codes, self._scales(matrix, begin, end))

    def _scales(self, matrix: int, begin: int, end: int) -> Floats32:
        scales = float_rows(self.group.parts["scale"], begin, end)
        whole = self.group.parts.get("global")
        if whole is None:
            return scales
        place = matrix if whole.size > 1 else 0
        factor = np.float32(values_in(whole, place, place + 1)[0])
        return scales / factor if self.group.settings["divides"] else scales * factor


@dataclass(frozen=True, eq=False)
class ByColumns:
    """Blocks of outputs, seen inputs first."""

    codes: Columns
    scales: Columns

    def rows(self, matrix: int, first: int, last: int) -> Tile:
        """Some inputs of a matrix."""
        inputs = np.arange(first, last)
        pairs = self.codes.read(first // 2, -(-last // 2), matrix)[inputs // 2 - first // 2]
        codes = (pairs >> (4 * (inputs % 2)).astype(np.uint8)[:, None]) & np.uint8(15)
        scales = powers_of_two(self.scales.read(first // MXFP4, -(-last // MXFP4), matrix))
        return Tile(codes, scales[inputs // MXFP4 - first // MXFP4])


def decoder(group: Group) -> Tiled:
    """What decodes a group."""
    rows = ByRows(group).rows
    if group.settings["turned"]:
        matrices, wide, high = prod(group.shape[:-2]), group.shape[-2], group.shape[-1]
        codes = Columns(group.codes, matrices, high, wide // 2)
        rows = ByColumns(codes, Columns(group.parts["scale"], matrices, high, wide // MXFP4)).rows
    return Tiled(group.shape[-1], levels(group.settings["bits"]), by_matrix(rows, group.shape[-2]))


@cache
def levels(bits: int) -> Levels:
    """The levels of E2M1 (4 bits) and E2M3 (6 bits): sign, two bits of exponent, one or three of fraction."""
    steps = 1 << (bits - 3)
    exponent, fraction = np.divmod(np.arange(4 * steps), steps)
    positive = np.where(exponent > 0, (1 + fraction / steps) * 2.0 ** (exponent - 1), fraction / steps)
    return levels_of(np.concatenate([positive, -positive]))


PACKING = Packing("fp4", recognise, decoder)
