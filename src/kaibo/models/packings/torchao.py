"""torchao: `_weight_qdata` and `_weight_scale` of 8-bit integers and floats and of plain 4-bit integers.

8-bit values are (code − zero) · scale; 4-bit ones code · scale + zero, with scales of shape (groups, outputs) and the
lower half of a byte first. Layouts for one kind of processor are not decoded. Source: torchao, `Int8Tensor`,
`IntxUnpackedToInt8Tensor`, `Float8Tensor`, `Int4Tensor`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from kaibo.models.formats import StoredTensor
from kaibo.models.packings import fp8
from kaibo.models.packings.gptq import columns_of, floats
from kaibo.models.packings.packed import Group, Packing, Stored, Unfit, stored_rows
from kaibo.models.packings.tiles import NONE, Columns, Tile, Tiled, halves, levels_of

QDATA = "_weight_qdata"


def recognise(config: Mapping[str, Any], entries: Stored) -> Iterator[Group | Unfit]:
    """Every tensor of the name that torchao gives to codes."""
    for name, codes in entries.items():
        stem, _, last = name.rpartition(".")
        if last != QDATA or len(codes.shape) < 2:
            continue
        parts = {
            part: entries[f"{stem}._weight_{part}"]
            for part in ("scale", "zero_point")
            if f"{stem}._weight_{part}" in entries
        }
        yield _group(f"{stem}.weight", codes, parts) if "scale" in parts else Unfit(codes, "its scales are missing")


def _group(weight: str, codes: StoredTensor, parts: Stored) -> Group | Unfit:
    scale, zeros, name = parts["scale"], parts.get("zero_point"), codes.dtype.name
    if name == "I8" or name in fp8.CODES:
        sides = fp8.blocks(codes.shape, scale.shape, (1, codes.shape[-1]))
        if sides is not None and (zeros is None or zeros.size == scale.size):
            how = f"{'8-bit integers' if name == 'I8' else name + ' codes'} of torchao"
            return Group("torchao", weight, codes.shape, codes, parts, how, {"block": sides})
    elif name == "U8" and len(codes.shape) == 2 and zeros is not None and zeros.shape == scale.shape:
        outputs, inputs = codes.shape[0], 2 * codes.shape[1]
        if len(scale.shape) == 2 and scale.shape[1] == outputs and scale.shape[0] and inputs % scale.shape[0] == 0:
            return Group("torchao", weight, (outputs, inputs), codes, parts, "4-bit integers of torchao")
    return Unfit(codes, f"{name} codes of shape {codes.shape} and scales of shape {scale.shape} of torchao")


@dataclass(frozen=True, eq=False)
class Reader:
    """4-bit codes by rows, scales and zero points by columns."""

    group: Group
    scales: Columns
    zeros: Columns

    def rows(self, first: int, last: int) -> Tile:
        """Some outputs."""
        codes = np.empty((last - first, self.group.shape[1]), np.uint8)
        halves(stored_rows(self.group.codes, first, last), False, codes)
        return Tile(codes, floats(self.scales, first, last), NONE, floats(self.zeros, first, last))


def decoder(group: Group) -> Tiled:
    """What decodes a group."""
    if "block" in group.settings:
        return fp8.decoder(group)
    reader = Reader(group, *(columns_of(group.parts[part]) for part in ("scale", "zero_point")))
    return Tiled(group.shape[1], levels_of(np.array([*range(8), *range(-8, 0)])), reader.rows)


PACKING = Packing("torchao", recognise, decoder)
