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


SAMPLES: Mapping[str, Maker] = {"fp8": fp8, "ggml": ggml}
"""One for every packing that is listed: the laws run over all of them."""
