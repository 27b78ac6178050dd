"""`kaibo diff` beside numpy, all pairs of five models beside ten passes, and its memory."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from itertools import combinations
from pathlib import Path

import ml_dtypes
import numpy as np

from benchmarks.harness import Figure, in_turn, kaibo, process
from benchmarks.weights import TENSOR, peak
from kaibo.chapters.diff import differences
from kaibo.collect import Options
from kaibo.collect.differences import take_difference, take_differences
from kaibo.models import open_model
from kaibo.models.pairing import pair_models
from kaibo.store import Store
from kaibo.testing.models import encode, sparse_model, write_safetensors

STEP = 2e-5
"""σ of what a fine-tune adds to weights of σ 0.02: about a third of the bfloat16 values change."""


def figures(folder: Path) -> Iterator[Figure]:
    """Every figure in order; `folder` needs about 3 GiB."""
    yield beside_numpy(folder)
    yield all_pairs(folder)
    yield memory(folder)


def tuned_model(folder: Path, gib: float, number: int) -> Path:
    """Gaussian bfloat16 weights, σ = 0.02; number 0 is the base, the others are it and a little noise of their own."""
    folder.mkdir(parents=True, exist_ok=True)
    values = np.random.default_rng(0).standard_normal(TENSOR // 2, dtype=np.float32) * np.float32(0.02)
    if number:
        values += np.random.default_rng(number).standard_normal(values.size, dtype=np.float32) * np.float32(STEP)
    block, shape = encode("BF16", values), (values.size // 4096, 4096)
    count = int(gib * 2**30) // TENSOR
    names = {f"model.layers.{place}.mlp.up_proj.weight": ("BF16", shape, block) for place in range(count)}
    write_safetensors(folder / "model.safetensors", names)
    (folder / "config.json").write_text('{"model_type": "llama"}')
    return folder


def difference_of(base: Path, tuned: Path, store: Path) -> Callable[[], object]:
    """Files to norms, digits and norm@k, with a fresh store."""

    def work() -> object:
        shutil.rmtree(store, ignore_errors=True)
        before, after = open_model(base), open_model(tuned)
        taken = take_difference(before, after, pair_models(before, after), Store(store), Options(workers=2))
        return differences.differences(taken.rows), differences.norm_curve(taken.rows)

    return work


def numpy_norms(base: Path, tuned: Path) -> tuple[float, float]:
    """The same two norms as a notebook has them: both in float32, subtracted, added in float64."""
    before, after = (np.fromfile(path / "model.safetensors", ml_dtypes.bfloat16) for path in (base, tuned))
    delta = np.abs(after.astype(np.float32) - before.astype(np.float32)).astype(np.float64)
    return float(delta.sum()), float(np.sqrt((delta * delta).sum()))


def beside_numpy(folder: Path) -> Figure:
    base, tuned = (tuned_model(folder / f"pair-{number}", 1.0, number) for number in range(2))
    ours, peer = in_turn(difference_of(base, tuned, folder / "store"), lambda: numpy_norms(base, tuned), runs=3)
    name = "diff of two bf16 models (2 x 1 GiB), 2 workers: all norms, digits, norm@k"
    seen = f"{ours:.2f} against {peer:.2f} s"
    return Figure(name, "numpy float32, L1 and L2 in float64", peer / ours, "x", ">= 8", peer / ours >= 8, seen)


def all_pairs(folder: Path) -> Figure:
    """Ten pairs of five models in one pass, and as ten passes with a store each."""
    base, *tuned = (open_model(tuned_model(folder / f"five-{number}", 0.25, number)) for number in range(6))
    options = Options(workers=2)

    def together() -> object:
        store = folder / "together"
        shutil.rmtree(store, ignore_errors=True)
        return take_differences(base, [(one, pair_models(base, one)) for one in tuned], Store(store), options)

    def apart() -> None:
        for number, (a, b) in enumerate(combinations(tuned, 2)):
            store = folder / f"apart-{number}"
            shutil.rmtree(store, ignore_errors=True)
            take_differences(base, [(one, pair_models(base, one)) for one in (a, b)], Store(store), options)

    ours, peer = in_turn(together, apart, runs=3)
    name = "all pairs of five models (5 x 256 MiB), one pass over the bytes"
    seen = f"{ours:.2f} against {peer:.2f} s"
    return Figure(name, "ten separate pair passes", peer / ours, "x", ">= 3", peer / ours >= 3, seen)


def memory(folder: Path) -> Figure:
    """Peak memory of the whole process over three models of 8 GiB of zeros."""
    models = [sparse_model(folder / f"sparse-{number}", 8.0, shards=4) for number in range(3)]
    command = kaibo("diff", *map(str, models), "--store", str(folder / "sparse-store"), "--workers", "2")
    return peak("diff of 3 models of 8 GiB, 2 workers", process(command, folder), 600)
