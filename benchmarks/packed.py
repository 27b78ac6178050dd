"""The census of packed weights beside dequantising them with torch and counting with numpy."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.harness import Figure, in_turn
from benchmarks.weights import numpy_digits, pass_over
from kaibo.testing import write_safetensors

SHAPE = 4096, 4096
SAMPLE = 1024
"""Rows that the peer dequantises: its time for all is that of the sample, times their share."""


def figures(folder: Path, gib: float = 1.0) -> Iterator[Figure]:
    """Every figure in order; `folder` holds the files meanwhile."""
    random = np.random.default_rng(0)
    yield beside_torch(folder / "fp8", "FP8 in blocks of 128 x 128", _fp8(random), _fp8_of_torch, gib)
    yield beside_torch(folder / "nvfp4", "NVFP4", _nvfp4(random), _nvfp4_of_torch, gib)


Parts = Mapping[str, tuple[str, tuple[int, ...], np.ndarray]]


def _fp8(random: np.random.Generator) -> Parts:
    codes = random.integers(0, 0x7E, SHAPE, np.uint8) | random.integers(0, 2, SHAPE, np.uint8) << 7
    scales = random.uniform(1e-4, 2e-4, (SHAPE[0] // 128, SHAPE[1] // 128)).astype(np.float32)
    return {
        "weight": ("F8_E4M3", SHAPE, codes),
        "weight_scale_inv": ("F32", scales.shape, scales.view(np.uint32)),
    }


def _nvfp4(random: np.random.Generator) -> Parts:
    scales = random.integers(8, 0x7E, (SHAPE[0], SHAPE[1] // 16), np.uint8)
    return {
        "weight": ("U8", (SHAPE[0], SHAPE[1] // 2), random.integers(0, 256, (SHAPE[0], SHAPE[1] // 2), np.uint8)),
        "weight_scale": ("F8_E4M3", scales.shape, scales),
        "weight_scale_2": ("F32", (), np.array([1e-4], np.float32).view(np.uint32)),
    }


def _fp8_of_torch(parts: Parts) -> Any:
    import torch

    codes = torch.from_numpy(parts["weight"][2][:SAMPLE]).view(torch.float8_e4m3fn)
    scales = torch.from_numpy(parts["weight_scale_inv"][2][: SAMPLE // 128].view(np.float32))
    return (codes.float().view(-1, 128, SHAPE[1] // 128, 128) * scales[:, None, :, None]).view(SAMPLE, -1).numpy()


def _nvfp4_of_torch(parts: Parts) -> Any:
    import torch

    levels = torch.tensor([0, 0.5, 1, 1.5, 2, 3, 4, 6, -0.0, -0.5, -1, -1.5, -2, -3, -4, -6])
    packed = torch.from_numpy(parts["weight"][2][:SAMPLE])
    scales = torch.from_numpy(parts["weight_scale"][2][:SAMPLE]).view(torch.float8_e4m3fn).float() * 1e-4
    codes = torch.stack([packed & 15, packed >> 4], -1).view(SAMPLE, -1, 16).long()
    return (levels[codes] * scales.unsqueeze(-1)).view(SAMPLE, -1).numpy()


def beside_torch(folder: Path, what: str, parts: Parts, dequantised: Callable[[Parts], Any], gib: float) -> Figure:
    """One row: `gib` GiB of one packing, read by two workers; torch has as many threads."""
    folder.mkdir(parents=True)
    count = max(1, round(gib * 2**30 / sum(part[2].nbytes for part in parts.values())))
    stems = [f"model.layers.{layer}.mlp.up_proj" for layer in range(count)]
    stored = {f"{stem}.{name}": part for stem in stems for name, part in parts.items()}
    write_safetensors(folder / "model.safetensors", stored)
    (folder / "config.json").write_text(json.dumps({"model_type": "llama"}))

    def peer_work() -> object:
        values = dequantised(parts)
        wide = values.astype(np.float64)
        return numpy_digits(values), np.abs(wide).sum(), (wide * wide).sum()

    ours, peer = in_turn(pass_over(folder, 2), peer_work, runs=3)
    mine, its = 1e9 * ours / (count * SHAPE[0] * SHAPE[1]), 1e9 * peer / (SAMPLE * SHAPE[1])
    name = f"census of {gib:g} GiB of {what}, 2 workers"
    seen = f"{mine:.2f} against {its:.1f} ns a value"
    return Figure(name, "torch dequantised, numpy digits, sums", its / mine, "x", ">= 6", its / mine >= 6, seen)
