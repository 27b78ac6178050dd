"""MLX: codes of 2 to 8 bits in 32-bit words with a scale and an offset for each group, or small floats with scales.

A value is scale · code + offset; the words of a row are one run of bits. Bits and size of groups stand in the config,
for single layers where they differ; the modes `mxfp4`, `mxfp8` and `nvfp4` have no offsets. Source: mlx, `dequantize`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from kaibo.models.formats import StoredTensor
from kaibo.models.packings import fp4, fp8
from kaibo.models.packings.packed import (
    Group,
    Packing,
    Stored,
    Unfit,
    float_rows,
    powers_of_two,
    said_of_packing,
    stored_rows,
    whole_number,
)
from kaibo.models.packings.tiles import NONE, Floats32, Levels, Tile, Tiled, codes_of, levels_of
from kaibo.vocabulary import widen32

MODES: Mapping[str, tuple[int, int]] = {"mxfp4": (4, 32), "mxfp8": (8, 32), "nvfp4": (4, 16)}
"""Bits and size of groups of the modes that are floats."""


def recognise(config: Mapping[str, Any], entries: Stored) -> Iterator[Group | Unfit]:
    """Every tensor of unsigned words that `scales` stand beside."""
    said = config.get("quantization")
    said = said if isinstance(said, Mapping) else said_of_packing(config)
    for name, codes in entries.items():
        stem, _, last = name.rpartition(".")
        scales = entries.get(f"{stem}.scales")
        if last == "weight" and codes.dtype.name == "U32" and len(codes.shape) >= 2 and scales is not None:
            yield _group(stem, codes, scales, entries, said)


def _group(
    stem: str, codes: StoredTensor, scales: StoredTensor, entries: Stored, said: Mapping[str, Any]
) -> Group | Unfit:
    own = said.get(stem)
    table = own if isinstance(own, Mapping) else said
    mode = str(table.get("mode", said.get("mode", "affine")))
    bits, size = (whole_number(table, key) or whole_number(said, key) or 0 for key in ("bits", "group_size"))
    bits, size = MODES.get(mode, (bits, size))
    if not 2 <= bits <= 8 or size <= 0:
        return Unfit(codes, "the config says neither its bits nor the size of its groups")
    if mode != "affine" and mode not in MODES:
        return Unfit(codes, f"MLX's mode {mode[:40]} is not known")
    shape = (*codes.shape[:-1], scales.shape[-1] * size if scales.shape else 0)
    if scales.shape[:-1] != codes.shape[:-1] or 32 * codes.shape[-1] != shape[-1] * bits:
        return Unfit(codes, f"{bits} bits in groups of {size} do not fit {codes.shape} and scales of {scales.shape}")
    offsets = entries.get(f"{stem}.biases")
    if (offsets is None) != (mode in MODES) or (offsets is not None and offsets.shape != scales.shape):
        return Unfit(codes, "its offsets are missing" if offsets is None else f"its offsets have shape {offsets.shape}")
    parts = {"scales": scales} | ({} if offsets is None else {"biases": offsets})
    how = f"{bits}-bit codes of MLX in groups of {size}" + ("" if mode == "affine" else f" ({mode})")
    return Group("mlx", f"{stem}.weight", shape, codes, parts, how, {"bits": bits, "mode": mode})


@dataclass(frozen=True, eq=False)
class Reader:
    """Codes, scales and offsets of a group, read by rows."""

    group: Group

    def rows(self, first: int, last: int) -> Tile:
        """Some rows."""
        group = self.group
        codes = codes_of(stored_rows(group.codes, first, last), group.settings["bits"], group.shape[-1])
        offsets = group.parts.get("biases")
        moved = NONE if offsets is None else float_rows(offsets, first, last)
        return Tile(codes, self._scales(first, last), NONE, moved)

    def _scales(self, first: int, last: int) -> Floats32:
        scales, mode = self.group.parts["scales"], self.group.settings["mode"]
        if mode == "affine":
            return float_rows(scales, first, last)
        patterns = stored_rows(scales, first, last)
        return powers_of_two(patterns) if mode.startswith("mx") else widen32("F8_E4M3", patterns).astype(np.float32)


def decoder(group: Group) -> Tiled:
    """What decodes a group."""
    bits = group.settings["bits"]
    levels: Levels = levels_of(np.arange(1 << bits))
    if group.settings["mode"] != "affine":
        levels = fp4.levels(4) if bits == 4 else fp8.levels("F8_E4M3")
    return Tiled(group.shape[-1], levels, Reader(group).rows)


PACKING = Packing("mlx", recognise, decoder)
