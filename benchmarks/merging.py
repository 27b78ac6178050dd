"""Trimming beside torch's selection on the flat vector, and a TIES merge beside mergekit on the same models."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from benchmarks.harness import Figure, Process, kaibo, process
from kaibo.testing.models import encode, write_safetensors

TENSOR = 64 << 20
"""Bytes of one tensor; of each, another slice of the same random numbers."""

ROWS = 4096


def figures(folder: Path) -> Iterator[Figure]:
    """Both rows; `folder` holds about 10 GiB meanwhile."""
    yield from trimming(folder, 1 << 29)
    yield from merging(folder, 1.0)


def family(folder: Path, gib: float, tuned: int) -> list[Path]:
    """A bf16 base of `gib` GiB and models made from it: every weight moved by noise of a tenth of its σ."""
    random = np.random.default_rng(0)
    count = max(1, int(gib * 2**30) // TENSOR)
    values = TENSOR // 2
    pool = random.standard_normal(values + 997 * (count + 1) * (tuned + 1), dtype=np.float32) * np.float32(0.02)
    made = []
    for model in range(tuned + 1):
        tensors = {}
        for place in range(count):
            base = pool[997 * place : 997 * place + values]
            shift = 997 * (count + 1) * model + 499 * place
            moved = base if model == 0 else base + np.float32(0.1) * pool[shift : shift + values]
            name = f"model.layers.{place}.mlp.up_proj.weight"
            tensors[name] = ("BF16", (values // ROWS, ROWS), encode("BF16", moved))
        made.append(folder / f"model{model}")
        made[-1].mkdir(parents=True, exist_ok=True)
        write_safetensors(made[-1] / "model.safetensors", tensors)
        (made[-1] / "config.json").write_text(config(count))
    return made


def config(layers: int) -> str:
    """Enough of a config for mergekit to know the architecture from."""
    import json

    fields = {"hidden_size": ROWS, "intermediate_size": TENSOR // 2 // ROWS, "num_hidden_layers": layers}
    heads = {"num_attention_heads": 32, "num_key_value_heads": 32, "vocab_size": 32, "torch_dtype": "bfloat16"}
    return json.dumps({"model_type": "llama", "architectures": ["LlamaForCausalLM"], **fields, **heads})


FLAT = """
import sys, torch
flat = torch.load(sys.argv[1], mmap=False)
size = flat.abs()
k = int(0.2 * flat.numel())
kept = size[size >= torch.kthvalue(size, flat.numel() - k).values]
print(float(kept.sum(dtype=torch.float64)), float(kept.double().norm()))
"""
"""What the code of the paper does, on the flat vector that it first builds; the building is not counted against it."""


def trimming(folder: Path, values: int) -> Iterator[Figure]:
    """Norms of the largest 20 % of a task vector: two files to a store beside a flat float32 vector on disk."""
    base, tuned = family(folder / "trim", values * 2 / 2**30, 1)
    flat = folder / "flat.pt"
    peer = peer_process(flat, base, tuned)
    ours = best(
        kaibo("diff", str(base), str(tuned), "--top", "20", "--bounds", "--store", str(folder / "top-store")),
        folder / "top-store",
    )
    name = f"global top-20 % norms of a {values >> 20} M-value task vector"
    ratio, memory = peer.seconds / ours.seconds, peer.peak / ours.peak
    seen = f"{ours.seconds:.1f} against {peer.seconds:.1f} s"
    yield Figure(name, "torch.kthvalue on the flat vector", ratio, "x", ">= 10", ratio >= 10, seen)
    seen = f"{ours.peak:.0f} against {peer.peak:.0f} MiB"
    yield Figure(name, "memory of the same", memory, "x less memory", ">= 10", memory >= 10, seen)
    flat.unlink()
    shutil.rmtree(folder / "trim")


def peer_process(flat: Path, base: Path, tuned: Path) -> Process:
    """Builds the flat vector, then times what selects from it."""
    build = """
import sys, torch
from safetensors.torch import load_file
a, b = (load_file(path + "/model.safetensors") for path in sys.argv[2:4])
torch.save(torch.cat([(b[name].float() - a[name].float()).flatten() for name in sorted(a)]), sys.argv[1])
"""
    process([sys.executable, "-c", build, str(flat), str(base), str(tuned)])
    return process([sys.executable, "-c", FLAT, str(flat)])


def best(arguments: list[str], store: Path, runs: int = 3) -> Process:
    """The median of several runs, each with a fresh store."""
    seen = []
    for _ in range(runs + 1):
        shutil.rmtree(store, ignore_errors=True)
        seen.append(process([*arguments, "--workers", "2"]))
    return sorted(seen[1:], key=lambda one: one.seconds)[runs // 2]


MERGEKIT = """
import sys, yaml
from mergekit.config import MergeConfiguration
from mergekit.merge import run_merge
from mergekit.options import MergeOptions
base, *tuned, out = sys.argv[1:]
entries = [{"model": one, "parameters": {"weight": 1.0, "density": 0.2}} for one in tuned]
config = {"merge_method": "ties", "base_model": base, "models": entries, "dtype": "bfloat16"}
options = MergeOptions(cuda=False, copy_tokenizer=False, write_model_card=False, lazy_unpickle=True, quiet=True)
run_merge(MergeConfiguration.model_validate(config), out, options)
"""


def merging(folder: Path, gib: float) -> Iterator[Figure]:
    """TIES with mergekit's own conventions: a base and two models made from it to a folder, whole processes."""
    models = [str(model) for model in family(folder / "merge", gib, 2)]
    out, theirs = folder / "merged", folder / "mergekit"
    arguments = kaibo("merge", *models, "--like", "mergekit", "--out", str(out), "--store", str(folder / "merge-store"))
    ours = best([*arguments, "--force"], folder / "merge-store")
    peer = process([sys.executable, "-c", MERGEKIT, *models, str(theirs)])
    ratio, memory = peer.seconds / ours.seconds, peer.peak / ours.peak
    holds = ratio >= 1.5 or (ratio >= 1 and memory >= 2)
    name = f"TIES merge of 3 x {gib:g} GiB models"
    seen = f"{ours.seconds:.1f} against {peer.seconds:.1f} s, {ours.peak:.0f} against {peer.peak:.0f} MiB peak"
    yield Figure(name, "mergekit", ratio, "x", ">= 1.5, or equal with half the memory", holds, seen)
    yield Figure(name, "mergekit, peak memory", memory, "x less memory", "-", True, seen)
