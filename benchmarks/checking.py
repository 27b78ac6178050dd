"""`same` of a bf16 model and its Q8_0 beside reading both with plain `read()`; `check` beside the census of the same.

`KAIBO_BENCH_GIB` sets how large the files are (1 GiB, the sparse model eight times that).
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np

import kaibo
from benchmarks.harness import Figure, in_turn, process
from benchmarks.harness import kaibo as command
from kaibo.testing.models import encode, sparse_model, write_safetensors

ROWS, COLUMNS, BUFFER = 4096, 4096, 16 << 20


def figures(folder: Path) -> Iterator[Figure]:
    """Every figure in order."""
    gib = float(os.environ.get("KAIBO_BENCH_GIB", "1"))
    plain, packed = pair(folder / "pair", gib)
    yield beside_reading(plain, packed, gib)
    yield memory(plain, packed, gib)
    yield beside_census(folder, 8 * gib)


def pair(folder: Path, gib: float) -> tuple[Path, Path]:
    """A bf16 model of Gaussian weights, and the Q8_0 that nearest rounding makes of it."""
    import gguf
    from gguf.quants import quantize

    folder.mkdir(parents=True, exist_ok=True)
    values = np.random.default_rng(0).standard_normal((ROWS, COLUMNS), dtype=np.float32) * np.float32(0.02)
    patterns = encode("BF16", values)
    count = max(int(gib * 2**30) // patterns.nbytes, 1)
    names = {f"model.layers.{place}.mlp.up_proj.weight": ("BF16", values.shape, patterns) for place in range(count)}
    write_safetensors(folder / "model.safetensors", names)
    blocks = quantize((patterns.astype(np.uint32) << 16).view(np.float32), gguf.GGMLQuantizationType.Q8_0)
    writer = gguf.GGUFWriter(folder / "model.gguf", "llama")
    for place in range(count):
        writer.add_tensor(f"blk.{place}.ffn_up.weight", blocks, raw_dtype=gguf.GGMLQuantizationType.Q8_0)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return folder / "model.safetensors", folder / "model.gguf"


def beside_reading(plain: Path, packed: Path, gib: float) -> Figure:
    room = bytearray(BUFFER)

    def peer() -> None:
        for path in (plain, packed):
            with open(path, "rb", buffering=0) as file:
                while file.readinto(room):
                    pass

    settings = kaibo.Settings(workers=2)
    ours, theirs = in_turn(lambda: kaibo.same(plain, packed, settings=settings), peer, runs=1)
    name, said = f"same of {gib:g} GiB bf16 and its Q8_0, 2 workers", f"{ours:.2f} against {theirs:.2f} s"
    return Figure(name, "plain read() of both", ours / theirs, "x the time", "<= 2", ours <= 2 * theirs, said)


def memory(plain: Path, packed: Path, gib: float) -> Figure:
    peak = process(command("same", str(plain), str(packed), "--workers", "2")).peak
    name = f"peak memory, same of {gib:g} GiB"
    return Figure(name, "-", peak, "MiB", "<= 500", peak <= 500, f"{peak:.0f} MiB")


def beside_census(folder: Path, gib: float) -> Figure:
    model, store = sparse_model(folder / "sparse", gib, shards=4), folder / "store"

    def fresh(verb: object) -> None:
        shutil.rmtree(store, ignore_errors=True)
        verb(model, settings=kaibo.Settings(store=store, workers=2))  # type: ignore[operator]

    ours, theirs = in_turn(lambda: fresh(kaibo.check), lambda: fresh(kaibo.census), runs=3)
    name, said = f"check of {gib:g} GiB sparse bf16 in 4 shards", f"{ours:.2f} against {theirs:.2f} s"
    return Figure(name, "census of the same", ours / theirs, "x the time", "<= 1.1", ours <= 1.1 * theirs, said)
