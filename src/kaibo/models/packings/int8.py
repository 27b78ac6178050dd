"""Signed 8-bit codes with scales of a tensor, a row, a group or a block, and zero points beside them.

A value is (code − zero) · scale in float32. Source: compressed-tensors, `int-quantized` and `naive-quantized`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from kaibo.models.packings.fp8 import block_of, blocks, decoder, scale_of
from kaibo.models.packings.packed import Group, Packing, Stored, Unfit


def recognise(config: Mapping[str, Any], entries: Stored) -> Iterator[Group | Unfit]:
    """Every tensor of signed bytes that a scale of floats stands beside."""
    block = block_of(config)
    for name, codes in entries.items():
        scale = scale_of(name, entries) if codes.dtype.name == "I8" else None
        if scale is None or scale.dtype.kind != "float":
            continue
        sides, zeros = blocks(codes.shape, scale.shape, block), entries.get(f"{name}_zero_point")
        if sides is None:
            yield Unfit(codes, f"its scales have shape {scale.shape} and its codes {codes.shape}")
        elif zeros is not None and zeros.shape != scale.shape:
            yield Unfit(codes, f"its zero points have shape {zeros.shape} and its scales {scale.shape}")
        else:
            parts = {"scale": scale} | ({} if zeros is None else {"zero_point": zeros})
            how = "8-bit integers" + ("" if zeros is None else ", less zero points,") + " multiplied by their scales"
            yield Group("int8", name, codes.shape, codes, parts, how, {"block": sides})


PACKING = Packing("int8", recognise, decoder)
