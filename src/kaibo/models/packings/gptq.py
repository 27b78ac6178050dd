"""GPTQ: words of codes along the inputs, zero points along the outputs, and the group of each input.

A value is (code − zero) · scale; the weight is stored inputs first and seen outputs first. Zero points are stored less
one, but for files that say `checkpoint_format: gptq_v2`. Source: AutoGPTQ and GPTQModel, `dequantize_weight`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kaibo.models.formats import StoredTensor
from kaibo.models.packings.packed import (
    Group,
    Packing,
    Stored,
    Unfit,
    said_of_packing,
    whole,
    whole_number,
)
from kaibo.models.packings.tiles import EVEN, NONE, Columns, Floats32, Tile, Tiled, codes_of, levels_of
from kaibo.vocabulary import widen32

BITS = (2, 3, 4, 5, 6, 7, 8)
METHODS = ("", "gptq", "gptqmodel")


def recognise(config: Mapping[str, Any], entries: Stored) -> Iterator[Group | Unfit]:
    """Every `qweight` of 32-bit words whose scales are as many as its columns."""
    said = said_of_packing(config)
    if str(said.get("quant_method", "")).lower() not in METHODS or said.get("checkpoint_format") == "marlin":
        return
    for name, codes in entries.items():
        stem = name.removesuffix(".qweight")
        if stem == name or codes.dtype.name not in ("I32", "U32") or len(codes.shape) != 2:
            continue
        scales = entries.get(f"{stem}.scales")
        if scales is not None and scales.shape[-1:] == codes.shape[-1:] and len(scales.shape) == 2:
            yield _group(stem, codes, scales, entries, said)
        elif said.get("quant_method"):
            yield Unfit(codes, "its scales are missing" if scales is None else f"its scales have shape {scales.shape}")


def _group(
    stem: str, codes: StoredTensor, scales: StoredTensor, entries: Stored, said: Mapping[str, Any]
) -> Group | Unfit:
    zeros, order = entries.get(f"{stem}.qzeros"), entries.get(f"{stem}.g_idx")
    words, outputs = codes.shape
    groups = scales.shape[0]
    bits = _bits(words, outputs, zeros, order, said)
    if bits is None:
        return Unfit(codes, "neither config nor shapes say how many bits its codes have")
    inputs = order.size if order is not None else words * 32 // bits
    if zeros is not None and zeros.shape != (groups, -(-outputs * bits // 32)):
        return Unfit(codes, f"its zero points have shape {zeros.shape}")
    if zeros is None and said.get("sym") is not True:
        return Unfit(codes, "its zero points are missing")
    if order is None and (not groups or inputs % groups):
        return Unfit(codes, f"{inputs} inputs do not divide into {groups} groups")
    parts = {"scales": scales}
    parts |= {name: part for name, part in (("zeros", zeros), ("g_idx", order)) if part is not None}
    less = 0 if said.get("checkpoint_format") == "gptq_v2" else 1
    how = f"{bits}-bit codes of GPTQ, zero points {'as stored (v2)' if less == 0 else 'stored less one (v1)'}"
    return Group("gptq", f"{stem}.weight", (outputs, inputs), codes, parts, how, {"bits": bits, "less": less})


def _bits(
    words: int, outputs: int, zeros: StoredTensor | None, order: StoredTensor | None, said: Mapping[str, Any]
) -> int | None:
    """Bits of a code: as the shapes say them, else the config."""
    if order is not None and len(order.shape) == 1 and order.size:
        return next((bits for bits in BITS if -(-order.size * bits // 32) == words), None)
    if zeros is not None and len(zeros.shape) == 2 and outputs:
        fitting = [bits for bits in BITS if -(-outputs * bits // 32) == zeros.shape[1]]
        if len(fitting) == 1:
            return fitting[0]
    bits = whole_number(said, "bits")
    return bits if bits in BITS else None


@dataclass(frozen=True, eq=False)
class Reader:
    """Codes, scales and zero points of a group, read by outputs."""

    group: Group
    codes: Columns
    scales: Columns
    zeros: Columns | None
    order: NDArray[np.int32]

    def rows(self, first: int, last: int) -> Tile:
        """Some outputs."""
        bits = self.group.settings["bits"]
        codes = codes_of(self.codes.read(first, last), bits, self.group.shape[1])
        return Tile(codes, floats(self.scales, first, last), self._zeros(first, last), NONE, self.order)

    def _zeros(self, first: int, last: int) -> Floats32:
        bits, less = self.group.settings["bits"], self.group.settings["less"]
        if self.zeros is None:
            return np.full((last - first, self.scales.rows), 1 << (bits - 1), np.float32)
        left = first * bits // 32
        words = self.zeros.read(left, -(-last * bits // 32)).T
        starts = np.arange(first, last, dtype=np.int64) * bits - 32 * left
        zeros = codes_of(words, bits, last - first, starts).T.astype(np.int32) + less
        return np.ascontiguousarray(zeros & ((1 << bits) - 1), np.float32)


def floats(columns: Columns, first: int, last: int) -> Floats32:
    """Columns of a matrix of floats as rows, in float32."""
    patterns = columns.read(first, last)
    return np.ascontiguousarray(widen32(columns.tensor.dtype.name, patterns), np.float32)


def columns_of(tensor: StoredTensor) -> Columns:
    """A matrix that is read by columns."""
    return Columns(tensor, 1, *tensor.shape)


def decoder(group: Group) -> Tiled:
    """What decodes a group; raises FormatError for groups of inputs that there are no scales for."""
    scales, zeros = group.parts["scales"], group.parts.get("zeros")
    order = ordered(group, scales.shape[0])
    reader = Reader(
        group, columns_of(group.codes), columns_of(scales), None if zeros is None else columns_of(zeros), order
    )
    return Tiled(group.shape[1], levels_of(np.arange(1 << group.settings["bits"])), reader.rows, joint=True)


def ordered(group: Group, groups: int) -> NDArray[np.int32]:
    """The group of each input; empty where they are runs of one width."""
    inputs = group.shape[-1]
    if "g_idx" not in group.parts:
        return EVEN
    order = whole(group.parts["g_idx"]).astype(np.int64).reshape(-1)
    if order.size != inputs or (order.size and not 0 <= order.min() <= order.max() < groups):
        message = f"names groups {order.min()} to {order.max()} of {order.size} inputs; there are {groups} groups"
        raise group.fail(message, "g_idx")
    runs = groups and inputs % groups == 0 and np.array_equal(order, np.arange(inputs) // (inputs // groups))
    return EVEN if runs else order.astype(np.int32)


PACKING = Packing("gptq", recognise, decoder)
