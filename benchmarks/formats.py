"""Files of torch.save and GGUF beside their own packages: from file to digits and norms, and what memory it takes.

`KAIBO_BENCH_GIB` sets how large the files are; 1 GiB where it is not set, as in the figures that are quoted.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from benchmarks.harness import Figure, in_turn, kaibo, process
from benchmarks.weights import numpy_digits, pass_over

BLOCK = 16 << 20
Q4_K_VALUES, Q4_K_BYTES = 256, 144


def figures(folder: Path) -> Iterator[Figure]:
    """Every figure in order; `folder` holds two files of the size meanwhile."""
    gib = float(os.environ.get("KAIBO_BENCH_GIB", "1"))
    pickled = torch_file(folder / "torch", gib)
    yield beside_torch(pickled, gib)
    yield memory(pickled, gib)
    yield beside_gguf(gguf_file(folder / "gguf", gib), gib)


def torch_file(folder: Path, gib: float) -> Path:
    """A bf16 model of Gaussian weights as torch.save writes it."""
    import torch

    folder.mkdir(parents=True, exist_ok=True)
    random = torch.Generator().manual_seed(0)
    count = max(int(gib * 2**30) // (2 * BLOCK), 1)
    names = [f"model.layers.{place}.mlp.up_proj.weight" for place in range(count)]
    torch.save(
        {name: (0.02 * torch.randn(BLOCK // 4096, 4096, generator=random)).bfloat16() for name in names},
        folder / "pytorch_model.bin",
    )
    return folder


def measured(values: np.ndarray) -> object:
    """What the peers compute of each tensor: first digits and two norms."""
    return numpy_digits(values), np.abs(values).sum(dtype=np.float64), np.square(values, dtype=np.float64).sum()


def beside_torch(model: Path, gib: float) -> Figure:
    import torch

    def peer() -> None:
        held = torch.load(model / "pytorch_model.bin", mmap=True, weights_only=True)
        for tensor in held.values():
            measured(tensor.float().numpy().reshape(-1))

    ours, theirs = in_turn(pass_over(model, 2), peer, runs=1)
    ratio = theirs / ours
    name = f"census of a .bin of {gib:g} GiB bf16, 2 workers"
    return Figure(
        name,
        "torch.load(mmap=True), then numpy",
        ratio,
        "x as fast",
        ">= 10",
        ratio >= 10,
        f"{ours:.2f} against {theirs:.2f} s",
    )


def memory(model: Path, gib: float) -> Figure:
    peak = process(kaibo("census", str(model), "--workers", "2"), model).peak
    name = f"peak memory, census of a .bin of {gib:g} GiB"
    return Figure(name, "-", peak, "MiB", "<= 400", peak <= 400, f"{peak:.0f} MiB")


def gguf_file(folder: Path, gib: float) -> Path:
    """A model of Q4_K blocks whose scales are usual and whose codes are random."""
    import gguf

    folder.mkdir(parents=True, exist_ok=True)
    random = np.random.default_rng(0)
    rows = BLOCK // 4096
    blocks = random.integers(0, 256, (rows, 4096 // Q4_K_VALUES, Q4_K_BYTES), np.uint8)
    blocks[..., :4] = np.array([0.0005, 0.005], np.float16).view(np.uint8)
    count = max(int(gib * 2**30) // blocks.nbytes, 1)
    writer = gguf.GGUFWriter(folder / "model.gguf", "llama")
    for place in range(count):
        data = blocks.reshape(rows, -1)
        writer.add_tensor(f"blk.{place}.ffn_up.weight", data, raw_dtype=gguf.GGMLQuantizationType.Q4_K)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return folder


def beside_gguf(model: Path, gib: float) -> Figure:
    import gguf

    def peer() -> None:
        for tensor in gguf.GGUFReader(model / "model.gguf").tensors:
            measured(gguf.dequantize(tensor.data, tensor.tensor_type).reshape(-1))

    ours, theirs = in_turn(pass_over(model, 2), peer, runs=1)
    ratio = theirs / ours
    name = f"census of a GGUF of {gib:g} GiB Q4_K, 2 workers"
    return Figure(
        name,
        "gguf's dequantize, then numpy",
        ratio,
        "x as fast",
        ">= 10",
        ratio >= 10,
        f"{ours:.2f} against {theirs:.2f} s",
    )
