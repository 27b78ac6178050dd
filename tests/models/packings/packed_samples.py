"""A small model of each packing, and what its weights are by a plain reading of the published layout."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np

from kaibo.testing import write_safetensors
from made_gguf import gguf_bytes

STEM = "model.layers.0.self_attn.q_proj"
Stored = Mapping[str, tuple[str, tuple[int, ...], Any]]


@dataclass(frozen=True)
class Sample:
    """What a file holds, its config, and the values of the weights that it stands for, in float32."""

    stored: Stored
    expected: Mapping[str, np.ndarray]
    config: Mapping[str, Any] = field(default_factory=dict)
    file: bytes = b""

    def written(self, folder: Path) -> Path:
        folder.mkdir(parents=True)
        if self.file:
            (folder / "model.gguf").write_bytes(self.file)
            return folder
        write_safetensors(folder / "model.safetensors", dict(self.stored))
        (folder / "config.json").write_text(json.dumps(self.config))
        return folder


Maker = Callable[[np.random.Generator], Sample]


def bf16(values: np.ndarray) -> np.ndarray:
    return values.astype(ml_dtypes.bfloat16).view(np.uint16)


def fp8(random: np.random.Generator, scale: str = "weight_scale_inv", block: tuple[int, int] = (128, 128)) -> Sample:
    codes = random.integers(0, 0x7F, (200, 130)).astype(np.uint8) | (random.integers(0, 2, (200, 130)) << 7).astype(
        np.uint8
    )
    grid = tuple(-(-side // step) for side, step in zip(codes.shape, block, strict=True))
    scales = random.uniform(1e-3, 2e-3, grid).astype(np.float32)
    full = np.repeat(np.repeat(scales, block[0], 0)[:200], block[1], 1)[:, :130]
    values = codes.view(ml_dtypes.float8_e4m3fn).astype(np.float32) * full
    stored = {f"{STEM}.weight": ("F8_E4M3", codes.shape, codes), f"{STEM}.{scale}": ("F32", grid, scales.view("<u4"))}
    config = {"quantization_config": {"quant_method": "fp8", "weight_block_size": list(block)}}
    return Sample(stored, {f"{STEM}.weight": values}, config)


def ggml(random: np.random.Generator) -> Sample:
    scales = random.uniform(1e-3, 2e-3, (6, 4, 1)).astype(np.float16)
    codes = random.integers(-128, 128, (6, 4, 32)).astype(np.int8)
    blocks = np.concatenate([scales.view(np.uint8), codes.view(np.uint8)], axis=2)
    values = (codes.astype(np.float32) * scales.astype(np.float32)).reshape(6, 128)
    data = gguf_bytes({}, {"w": ("Q8_0", (6, 128), blocks.tobytes())})
    return Sample({"w": ("Q8_0", (6, 128), blocks)}, {"w": values}, file=data)


def bits_of(codes: np.ndarray, bits: int) -> np.ndarray:
    """Codes along the last axis as little-endian words of 32 bits, one after the other, bit by bit."""
    places = (codes[..., None].astype(np.uint32) >> np.arange(bits, dtype=np.uint32)) & 1
    stream = places.reshape(*codes.shape[:-1], -1).astype(np.uint8)
    padded = np.pad(stream, [(0, 0)] * (stream.ndim - 1) + [(0, -stream.shape[-1] % 32)])
    return np.packbits(padded, axis=-1, bitorder="little").view("<u4")


def gptq(
    random: np.random.Generator,
    bits: int = 4,
    shape: tuple[int, int] = (40, 96),
    groups: int = 3,
    *,
    shuffled: bool = True,
    version: str = "gptq",
    sparse: tuple[str, ...] = (),
) -> Sample:
    """Codes along the inputs, zero points along the outputs; with `shuffled` inputs of a group lie apart."""
    outputs, inputs = shape
    codes = random.integers(0, 1 << bits, shape)
    zeros = random.integers(0, 1 << bits, (groups, outputs))
    scales = random.uniform(1e-3, 2e-3, (groups, outputs)).astype(np.float16)
    order = np.arange(inputs) * groups // inputs
    order = random.permutation(order) if shuffled else order
    kept = (zeros - (version == "gptq")) % (1 << bits)
    words, held = bits_of(codes, bits).T.copy(), bits_of(kept, bits)
    stored = {
        f"{STEM}.qweight": ("I32", words.shape, words),
        f"{STEM}.qzeros": ("I32", held.shape, held),
        f"{STEM}.scales": ("F16", scales.shape, scales.view(np.uint16)),
        f"{STEM}.g_idx": ("I32", (inputs,), order.astype(np.int32)),
    }
    values = scales.astype(np.float32).T[:, order] * (codes - zeros.T[:, order]).astype(np.float32)
    config = {"quantization_config": {"quant_method": "gptq", "bits": bits, "checkpoint_format": version}}
    return Sample(
        {name: part for name, part in stored.items() if name.rpartition(".")[2] not in sparse},
        {f"{STEM}.weight": values},
        config,
    )


def awq(random: np.random.Generator, shape: tuple[int, int] = (40, 96), size: int = 32, *, gemm: bool = True) -> Sample:
    """Words of eight outputs in AWQ's order, or of eight inputs in their own."""
    outputs, groups = shape[0], shape[1] // size
    codes, zeros = random.integers(0, 16, shape), random.integers(0, 16, (outputs, groups))
    scales = random.uniform(1e-3, 2e-3, (outputs, groups)).astype(np.float16)
    values = np.repeat(scales.astype(np.float32), size, 1) * (codes - np.repeat(zeros, size, 1)).astype(np.float32)
    order = [0, 2, 4, 6, 1, 3, 5, 7] if gemm else range(8)
    if gemm:
        codes, zeros, scales = codes.T, zeros.T, scales.T.copy()
    else:
        padding = [(0, 0), (0, -groups % 8)]
        zeros, scales = np.pad(zeros, padding), np.pad(scales, padding)
    words, held = (
        bits_of(one.reshape(len(one), -1, 8)[:, :, list(order)].reshape(one.shape), 4) for one in (codes, zeros)
    )
    stored = {
        f"{STEM}.qweight": ("I32", words.shape, words),
        f"{STEM}.qzeros": ("I32", held.shape, held),
        f"{STEM}.scales": ("F16", scales.shape, scales.view(np.uint16)),
    }
    said = {"quant_method": "awq", "bits": 4, "group_size": size, "version": "gemm" if gemm else "gemv"}
    return Sample(stored, {f"{STEM}.weight": values}, {"quantization_config": said})


def bitsandbytes(
    random: np.random.Generator, shape: tuple[int, int] = (24, 100), block: int = 64, *, nested: bool = True
) -> Sample:
    """Places in the table of nf4, the first in the upper half of a byte; blocks run over the ends of rows."""
    size = shape[0] * shape[1]
    blocks = -(-size // block)
    table = np.sort(random.uniform(-1, 1, 16)).astype(np.float32)
    codes = random.integers(0, 16, size)
    absmax = random.uniform(0.01, 0.02, blocks).astype(np.float32)
    state: dict[str, Any] = {"quant_type": "nf4", "blocksize": block, "dtype": "bfloat16", "shape": list(shape)}
    name = f"{STEM}.weight"
    stored: dict[str, tuple[str, tuple[int, ...], Any]] = {}
    if nested:
        grid = random.uniform(-1, 1, 256).astype(np.float32)
        places = random.integers(0, 256, blocks).astype(np.uint8)
        largest = random.uniform(0.01, 0.02, -(-blocks // 16)).astype(np.float32)
        absmax = grid[places] * np.repeat(largest, 16)[:blocks] + np.float32(0.03)
        state |= {"nested_blocksize": 16, "nested_dtype": "float32", "nested_offset": 0.03}
        stored |= {
            f"{name}.absmax": ("U8", places.shape, places),
            f"{name}.nested_absmax": ("F32", largest.shape, largest.view(np.uint32)),
            f"{name}.nested_quant_map": ("F32", (256,), grid.view(np.uint32)),
        }
    else:
        stored[f"{name}.absmax"] = ("F32", absmax.shape, absmax.view(np.uint32))
    pairs = np.pad(codes, (0, size % 2)).reshape(-1, 2).astype(np.uint8)
    packed = pairs[:, 0] << 4 | pairs[:, 1]
    said = np.frombuffer(json.dumps(state).encode(), np.uint8)
    stored |= {
        name: ("U8", (packed.size, 1), packed),
        f"{name}.quant_map": ("F32", (16,), table.view(np.uint32)),
        f"{name}.quant_state.bitsandbytes__nf4": ("U8", said.shape, said),
    }
    values = (table[codes] * np.repeat(absmax, block)[:size]).reshape(shape)
    return Sample(
        stored, {name: values}, {"quantization_config": {"quant_method": "bitsandbytes", "load_in_4bit": True}}
    )


def compressed(
    random: np.random.Generator,
    bits: int = 4,
    shape: tuple[int, int] = (40, 96),
    groups: int = 3,
    *,
    shuffled: bool = False,
    shifted: bool = True,
    loose: bool = False,
) -> Sample:
    """Codes less half of their range along the inputs, zero points along the outputs; `loose` ones span no words."""
    packed = loose_bits_of if loose else bits_of
    codes, zeros = random.integers(0, 1 << bits, shape), random.integers(0, 1 << bits, (shape[0], groups))
    scales = random.uniform(1e-3, 2e-3, zeros.shape).astype(np.float32)
    scales = scales.astype(ml_dtypes.bfloat16).astype(np.float32)
    order = np.arange(shape[1]) * groups // shape[1]
    order = random.permutation(order) if shuffled else order
    words, held = packed(codes, bits), packed(zeros.T, bits).T.copy()
    stored = {
        f"{STEM}.weight_packed": ("I32", words.shape, words),
        f"{STEM}.weight_scale": ("BF16", scales.shape, bf16(scales)),
        f"{STEM}.weight_shape": ("I64", (2,), np.array(shape, np.int64)),
    }
    if shifted:
        stored[f"{STEM}.weight_zero_point"] = ("I32", held.shape, held)
    if shuffled:
        stored[f"{STEM}.weight_g_idx"] = ("I32", order.shape, order.astype(np.int32))
    half = 1 << (bits - 1)
    values = scales[:, order] * (codes - (zeros[:, order] if shifted else half)).astype(np.float32)
    weights = {"num_bits": bits, "type": "int", "strategy": "group", "group_size": shape[1] // groups}
    groups_said = {"group_0": {"targets": ["Linear"], "weights": weights | {"symmetric": not shifted}}}
    said = {"quant_method": "compressed-tensors", "format": "pack-quantized", "config_groups": groups_said}
    return Sample(stored, {f"{STEM}.weight": values}, {"quantization_config": said | {"ignore": ["re:.*lm_head"]}})


def loose_bits_of(codes: np.ndarray, bits: int) -> np.ndarray:
    """Codes along the last axis as 32-bit words of as many whole ones as fit."""
    count = 32 // bits
    padded = np.pad(codes, [(0, 0)] * (codes.ndim - 1) + [(0, -codes.shape[-1] % count)]).astype(np.uint32)
    shifts = np.arange(count, dtype=np.uint32) * np.uint32(bits)
    words: np.ndarray = (padded.reshape(*codes.shape[:-1], -1, count) << shifts).sum(axis=-1).astype(np.uint32)
    return words


E2M1 = np.array([0, 0.5, 1, 1.5, 2, 3, 4, 6, -0.0, -0.5, -1, -1.5, -2, -3, -4, -6], np.float32)


def pairs_of(codes: np.ndarray) -> np.ndarray:
    """Codes of 4 bits along the last axis, two in a byte, the first in the lower half."""
    packed: np.ndarray = (codes[..., ::2] | codes[..., 1::2] << 4).astype(np.uint8)
    return packed


def nvfp4(random: np.random.Generator, shape: tuple[int, ...] = (24, 80), *, divided: bool = False) -> Sample:
    """ModelOpt's dialect, or that of compressed-tensors with `divided`."""
    codes = random.integers(0, 16, shape)
    scales = random.integers(1, 0x7F, (*shape[:-1], shape[-1] // 16)).astype(np.uint8)
    exact = scales.view(ml_dtypes.float8_e4m3fn).astype(np.float32)
    whole = np.array([1733.0 if divided else 5.77e-4], np.float32)
    factor = exact / whole if divided else exact * whole
    name, last = ("weight_packed", "weight_global_scale") if divided else ("weight", "weight_scale_2")
    stored = {
        f"{STEM}.{name}": ("U8", (*shape[:-1], shape[-1] // 2), pairs_of(codes)),
        f"{STEM}.weight_scale": ("F8_E4M3", scales.shape, scales),
        f"{STEM}.{last}": ("F32", (1,) if divided else (), whole.view(np.uint32)),
        f"{STEM}.input_{'global_scale' if divided else 'scale'}": ("F32", (1,), whole.view(np.uint32)),
    }
    method = {"quant_method": "compressed-tensors"} if divided else {"quant_method": "modelopt", "quant_algo": "NVFP4"}
    values = E2M1[codes] * np.repeat(factor, 16, -1)
    return Sample(stored, {f"{STEM}.weight": values}, {"quantization_config": method})


def mxfp4(random: np.random.Generator, shape: tuple[int, int, int] = (3, 20, 64)) -> Sample:
    """Experts of gpt-oss: stored outputs first, in transformers inputs first."""
    codes = random.integers(0, 16, shape)
    scales = random.integers(100, 130, (*shape[:-1], shape[-1] // 32)).astype(np.uint8)
    values = E2M1[codes] * np.repeat(np.ldexp(np.float32(1), scales.astype(np.int32) - 127), 32, -1)
    name = "model.layers.0.mlp.experts.gate_up_proj"
    stored = {
        f"{name}_blocks": ("U8", (*shape[:-1], shape[-1] // 32, 16), pairs_of(codes)),
        f"{name}_scales": ("U8", scales.shape, scales),
    }
    return Sample(stored, {name: values.swapaxes(1, 2).copy()}, {"quantization_config": {"quant_method": "mxfp4"}})


def int8(random: np.random.Generator, shape: tuple[int, int] = (24, 60), groups: int = 1) -> Sample:
    """Signed bytes with a zero point and a scale for each row or group."""
    codes = random.integers(-128, 128, shape).astype(np.int8)
    zeros = random.integers(-9, 9, (shape[0], groups)).astype(np.int8)
    scales = random.uniform(1e-3, 2e-3, zeros.shape).astype(np.float32)
    stored = {
        f"{STEM}.weight": ("I8", shape, codes),
        f"{STEM}.weight_scale": ("F32", scales.shape, scales.view(np.uint32)),
        f"{STEM}.weight_zero_point": ("I8", zeros.shape, zeros),
    }
    less = codes.astype(np.float32) - np.repeat(zeros, shape[1] // groups, 1)
    values = less * np.repeat(scales, shape[1] // groups, 1)
    return Sample(stored, {f"{STEM}.weight": values}, {"quantization_config": {"quant_method": "compressed-tensors"}})


def mlx(random: np.random.Generator, bits: int = 4, shape: tuple[int, ...] = (24, 128), size: int = 32) -> Sample:
    """One run of bits for each row, a scale and an offset for each group."""
    codes = random.integers(0, 1 << bits, shape)
    grid = (*shape[:-1], shape[-1] // size)
    scales, offsets = (random.uniform(-2e-3, 2e-3, grid).astype(np.float16) for _ in range(2))
    words = bits_of(codes, bits)
    stored = {
        f"{STEM}.weight": ("U32", words.shape, words),
        f"{STEM}.scales": ("F16", grid, scales.view(np.uint16)),
        f"{STEM}.biases": ("F16", grid, offsets.view(np.uint16)),
    }
    wide_scales, wide_offsets = (np.repeat(one.astype(np.float32), size, -1) for one in (scales, offsets))
    values = wide_scales * codes.astype(np.float32) + wide_offsets
    said = {"group_size": 64, "bits": 8, STEM: {"group_size": size, "bits": bits}}
    return Sample(stored, {f"{STEM}.weight": values}, {"quantization": said})


def torchao(random: np.random.Generator, shape: tuple[int, int] = (24, 64), groups: int = 2) -> Sample:
    """Plain 4-bit integers: scales and offsets of shape (groups, outputs), the lower half of a byte first."""
    codes = random.integers(-8, 8, shape)
    scales, offsets = (random.uniform(-2e-3, 2e-3, (groups, shape[0])).astype(np.float16) for _ in range(2))
    stored = {
        f"{STEM}._weight_qdata": ("U8", (shape[0], shape[1] // 2), pairs_of(codes & 15)),
        f"{STEM}._weight_scale": ("F16", scales.shape, scales.view(np.uint16)),
        f"{STEM}._weight_zero_point": ("F16", offsets.shape, offsets.view(np.uint16)),
    }
    wide_scales, wide_offsets = (
        np.repeat(one.astype(np.float32).T, shape[1] // groups, 1) for one in (scales, offsets)
    )
    values = wide_scales * codes.astype(np.float32) + wide_offsets
    return Sample(stored, {f"{STEM}.weight": values}, {"quantization_config": {"quant_method": "torchao"}})


SAMPLES: Mapping[str, Maker] = {
    "fp8": fp8,
    "fp8/e8m0": lambda random: fp8(random, "scale", (1, 32)),
    "ggml": ggml,
    "gptq": gptq,
    "gptq/3": lambda random: gptq(random, 3, version="gptq_v2"),
    "awq": awq,
    "awq/gemv": lambda random: awq(random, gemm=False),
    "bitsandbytes": bitsandbytes,
    "bitsandbytes/odd": lambda random: bitsandbytes(random, (7, 21), nested=False),
    "compressed": compressed,
    "compressed/ordered": lambda random: compressed(random, 8, shuffled=True, shifted=False),
    "compressed/loose": lambda random: compressed(random, 3, loose=True),
    "fp4": nvfp4,
    "fp4/divided": lambda random: nvfp4(random, (3, 8, 48), divided=True),
    "fp4/gpt-oss": mxfp4,
    "int8": int8,
    "int8/groups": lambda random: int8(random, groups=5),
    "mlx": mlx,
    "mlx/5": lambda random: mlx(random, 5, (3, 8, 96)),
    "torchao": torchao,
}
"""One or more for every packing that is listed: the laws run over all of them."""
