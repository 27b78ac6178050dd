"""Trimming beside torch's selection on the flat vector, and a TIES merge beside mergekit on the same models."""

from __future__ import annotations

import json
import shutil
import sys
from ast import literal_eval
from collections.abc import Iterator
from math import prod
from pathlib import Path

import numpy as np

from benchmarks.harness import Figure, Process, kaibo, process
from kaibo.testing.models import Plan, encode, header, write_safetensors


def figures(folder: Path) -> Iterator[Figure]:
    """Both rows; `folder` holds about 10 GiB meanwhile."""
    yield from trimming(folder, 1 << 29)
    yield from merging(folder, 1.0)


def family(folder: Path, gib: float, tuned: int) -> list[Path]:
    """A LLaMA-shaped bf16 base of about `gib` GiB and models made from it: each weight moved by a tenth of its σ."""
    layer = 51_386_368  # the weights of one layer of this plan
    plan = Plan(
        hidden_size=2048,
        intermediate_size=5632,
        num_hidden_layers=max(1, round((gib * 2**29 - 2 * 8000 * 2048) / layer)),
        num_attention_heads=16,
        num_key_value_heads=16,
        vocab_size=8000,
    )
    shapes = plan.tensors()
    random = np.random.default_rng(0)
    most = max(prod(shape) for shape in shapes.values())
    pool = random.standard_normal(2 * most + 997 * len(shapes) + 99, dtype=np.float32) * np.float32(0.02)
    made = []
    for model in range(tuned + 1):
        tensors = {}
        for place, (name, shape) in enumerate(shapes.items()):
            begin, shift = 997 * place, 499 * place + 31 * model
            base = pool[begin : begin + prod(shape)]
            moved = base if model == 0 else base + np.float32(0.1) * pool[most + shift :][: prod(shape)]
            tensors[name] = ("BF16", shape, encode("BF16", moved))
        made.append(folder / f"model{model}")
        made[-1].mkdir(parents=True, exist_ok=True)
        write_safetensors(made[-1] / "model.safetensors", tensors)
        (made[-1] / "config.json").write_text(json.dumps(plan.config("BF16")))
    return made


PEER = """
import sys, time, torch
from safetensors.torch import load_file
begin = time.perf_counter()
flat = load_file(sys.argv[1])["delta"]
size = flat.abs()
threshold = torch.kthvalue(size, flat.numel() - int(0.2 * flat.numel())).values
kept = size[size >= threshold]
found = [kept.numel(), float(kept.sum(dtype=torch.float64)), float(kept.double().norm())]
open(sys.argv[2], "w").write(repr([time.perf_counter() - begin, *found]))
"""
"""Selection as in the code of the paper, from the file that holds the flat vector to the norms of what is kept."""

OURS = """
import sys, time
from kaibo.chapters.diff.largest import by_size, largest, refined, unresolved
from kaibo.counting import resolve, spans
from kaibo.collect.engine import Task, counted
from kaibo.models import open_model
from kaibo.vocabulary import total
begin = time.perf_counter()
(tensor,) = open_model(sys.argv[1]).weights
tasks = [Task(tensor, first, last, False) for first, last in spans(tensor)]
sizes = by_size([total(done.part.census for done in counted(tasks, 2))])
upper = unresolved(sizes, 20, "reference")
if upper is not None:
    (inside,) = resolve(tensor, [upper])
    sizes = refined(sizes, inside)
top = largest(sizes, 20, "reference")
open(sys.argv[2], "w").write(repr([time.perf_counter() - begin, top.kept, top.l1, top.l2]))
"""
"""The same by a census, which is also hashed, and the second pass that makes the threshold exact."""


def trimming(folder: Path, values: int) -> Iterator[Figure]:
    """Norms of the largest 20 % of a task vector stored flat as float32: both sides begin with its file."""
    file, said = folder / "delta.safetensors", folder / "said"
    random = np.random.default_rng(0)
    pool = random.standard_normal(1 << 24, dtype=np.float32) * np.float32(0.002)
    with file.open("wb") as out:
        out.write(header({"delta": ("F32", (values,), 4 * values)}))
        for place in range(values >> 24):
            out.write((np.roll(pool, place) * np.float32(1 + place / 100)).tobytes())
    runs = []
    for script in (OURS, PEER):
        seen = []
        for _ in range(3):
            whole = process([sys.executable, "-c", script, str(file), str(said)])
            seen.append((literal_eval(said.read_text()), whole.peak))
        runs.append(sorted(seen)[1])
    ((mine, *found), my_peak), ((its, *wanted), its_peak) = runs
    assert found[0] == wanted[0], f"kept {found[0]} against {wanted[0]}"
    assert np.allclose(found, wanted, rtol=1e-9), f"{found} against {wanted}"
    name = f"global top-20 % norms of a {values >> 20} M-value task vector"
    ratio, memory = its / mine, its_peak / my_peak
    yield Figure(name, "torch.kthvalue", ratio, "x", ">= 10", ratio >= 10, f"{mine:.2f} against {its:.1f} s")
    seen_peak = f"{my_peak:.0f} against {its_peak:.0f} MiB peak"
    yield Figure(name, "torch.kthvalue, memory", memory, "x less memory", ">= 10", memory >= 10, seen_peak)
    file.unlink()


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
