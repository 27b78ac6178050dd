"""The census beside reading the file, counting with numpy, and the string method; memory; start-up; scaling."""

from __future__ import annotations

import json
import shutil
import statistics
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

from benchmarks.harness import Figure, Process, in_turn, kaibo, process
from kaibo.collect import Options, take_census
from kaibo.collect.engine import Task, counted
from kaibo.counting import content_hash, merged, spans
from kaibo.models import open_model
from kaibo.store import Store
from kaibo.testing.models import sparse_model, write_safetensors

TENSOR = 64 << 20
BUFFER = 16 << 20


def figures(folder: Path) -> Iterator[Figure]:
    """Every figure in order; `folder` holds the files meanwhile and needs about 5 GiB."""
    narrow = gaussian_model(folder / "bf16", "BF16", 2.0)
    wide = gaussian_model(folder / "f32", "F32", 1.0)
    yield beside_reading(narrow)
    yield beside_numpy_digits(narrow)
    yield beside_strings(narrow)
    yield beside_numpy_sums(wide)
    yield from memory(folder)
    yield from start_up(folder)
    yield from doubling(narrow, folder)


def gaussian_model(folder: Path, dtype: str, gib: float) -> Path:
    """A model of `gib` GiB whose tensors hold the same 64 MiB of Gaussian weights, σ = 0.02."""
    folder.mkdir(parents=True, exist_ok=True)
    width = 2 if dtype == "BF16" else 4
    values = np.random.default_rng(0).standard_normal(TENSOR // width, dtype=np.float32) * np.float32(0.02)
    patterns = values.view(np.uint32)
    block = (patterns >> 16).astype(np.uint16) if dtype == "BF16" else patterns
    shape = (block.size // 4096, 4096)
    count = int(gib * 2**30) // TENSOR
    names = {f"model.layers.{place}.mlp.up_proj.weight": (dtype, shape, block) for place in range(count)}
    write_safetensors(folder / "model.safetensors", names)
    (folder / "config.json").write_text(json.dumps({"model_type": "llama"}))
    return folder


def pass_over(model: Path, workers: int) -> Callable[[], object]:
    """The whole pass, file to censuses and content hashes; nothing is stored."""

    def work() -> object:
        weights = open_model(model).weights
        tasks = [
            Task(tensor, begin, end, last=end == pieces[-1][1])
            for tensor in weights
            for pieces in [spans(tensor)]
            for begin, end in pieces
        ]
        parts = [done.part for done in counted(tasks, workers) if done.part is not None]
        assert len(parts) == len(tasks), "every span was counted"
        found, place = [], 0
        for tensor in weights:
            count = len(spans(tensor))
            census, digests = merged(parts[place : place + count])
            found.append((census, content_hash(tensor, digests)))
            place += count
        return found

    return work


def census_of(model: Path, folder: Path, workers: int) -> Callable[[], object]:
    """The same with the store: file to durable part, in a fresh store."""

    def work() -> object:
        store = folder / "store"
        shutil.rmtree(store, ignore_errors=True)
        return take_census(open_model(model), Store(store), Options(workers=workers))

    return work


def beside_reading(model: Path) -> Figure:
    file = model / "model.safetensors"
    buffer = bytearray(BUFFER)

    def plain() -> None:
        with file.open("rb", buffering=0) as stream:
            while stream.readinto(buffer):
                pass

    ours, peer = in_turn(pass_over(model, 2), plain)
    size = file.stat().st_size / 1e9
    seen = f"{size / ours:.2f} against {size / peer:.2f} GB/s"
    name = "census of 2 GiB bf16 with content hash, 2 workers"
    return Figure(
        name, "plain read() into one buffer", peer / ours, "x bandwidth", ">= 0.38", peer / ours >= 0.38, seen
    )


def stored(model: Path, count: int) -> np.ndarray:
    """The first bit patterns of a model, what the peers begin with."""
    tensor = open_model(model).weights[0]
    return next(iter(tensor.chunks(np.empty(TENSOR, np.uint8))))[:count].copy()


def widened(patterns: np.ndarray) -> np.ndarray:
    """bf16 to float32, as torch's `.float()` does it."""
    return (patterns.astype(np.uint32) << 16).view(np.float32)


def numpy_digits(values: np.ndarray) -> np.ndarray:
    magnitude = np.abs(values[values != 0]).astype(np.float64)
    return np.bincount(np.floor(magnitude / 10.0 ** np.floor(np.log10(magnitude))).astype(np.int64), minlength=10)


def string_digits(values: np.ndarray) -> object:
    first = np.frompyfunc(lambda x: f"{abs(x):.10e}"[0], 1, 1)
    return np.unique(first(values[values != 0]).astype("U1"), return_counts=True)


def beside_numpy_digits(model: Path) -> Figure:
    sample = stored(model, 1 << 24)
    ours, peer = in_turn(pass_over(model, 1), lambda: numpy_digits(widened(sample)), runs=3)
    return per_value("numpy log10, floor, bincount", ours, peer, sample.size, 40)


def beside_strings(model: Path) -> Figure:
    sample = stored(model, 1 << 20)
    ours, peer = in_turn(pass_over(model, 1), lambda: string_digits(widened(sample)), runs=3)
    return per_value("a string per value, numpy.frompyfunc", ours, peer, sample.size, 2000)


def per_value(peer_name: str, ours: float, peer: float, size: int, reach: int) -> Figure:
    """The ratio of nanoseconds a value, the peer timed on a sample."""
    mine, its = 1e9 * ours / (2**31 / 2), 1e9 * peer / size
    seen = f"{mine:.3f} against {its:.1f} ns a value"
    return Figure("the same, 1 worker", peer_name, its / mine, "x", f">= {reach}", its / mine >= reach, seen)


def beside_numpy_sums(model: Path) -> Figure:
    sample = stored(model, 1 << 24).view(np.float32)

    def peer_work() -> object:
        wide = sample.astype(np.float64)
        return numpy_digits(sample), np.abs(wide).sum(), (wide * wide).sum()

    ours, peer = in_turn(pass_over(model, 2), peer_work, runs=3)
    ratio = (peer / sample.size) / (ours / (2**30 / 4))
    name = "float32 census with sums, 1 GiB, 2 workers"
    seen = f"{2**30 / ours / 1e9:.2f} GB/s"
    return Figure(name, "numpy digits, abs-sum and square-sum", ratio, "x", ">= 20", ratio >= 20, seen)


def memory(folder: Path) -> Iterator[Figure]:
    """Peak memory of the whole process over 8 GiB of zeros in four sparse shards."""
    sparse = sparse_model(folder / "sparse", 8.0, shards=4)
    store = str(folder / "sparse-store")
    counted = process(kaibo("census", str(sparse), "--store", store, "--workers", "2"), folder)
    yield peak("census of 8 GiB in 4 sparse shards", counted, 400)
    arguments = (
        "dissect",
        str(sparse),
        "--figures",
        "png",
        "--out",
        str(folder / "page"),
        "--verify",
        "--workers",
        "2",
    )
    shutil.rmtree(store)
    yield peak("dissect of the same with static figures", process(kaibo(*arguments, "--store", store), folder), 600)


def peak(name: str, seen: Process, limit: int) -> Figure:
    return Figure(name, "a limit", seen.peak, "MiB peak", f"<= {limit}", seen.peak <= limit, f"{seen.seconds:.1f} s")


def start_up(folder: Path) -> Iterator[Figure]:
    """Seconds more than importing numpy takes, medians of whole processes in turn."""
    config = folder / "bf16" / "config.json"
    for name, arguments in (("kaibo --help", kaibo("--help")), ("kaibo inspect", kaibo("inspect", str(config)))):
        plain = [sys.executable, "-c", "import numpy"]
        pairs = [(process(arguments).seconds, process(plain).seconds) for _ in range(8)][1:]
        ours, peer = (statistics.median(column) for column in zip(*pairs, strict=True))
        extra = ours - peer
        yield Figure(name, 'python -c "import numpy"', extra, "s more", "<= 0.25", extra <= 0.25, f"{ours:.2f} s")


def doubling(model: Path, folder: Path) -> Iterator[Figure]:
    """Twice the bytes: twice the time, the same memory."""
    half = gaussian_model(folder / "half", "BF16", 1.0)
    whole_time, half_time = in_turn(census_of(model, folder, 2), census_of(half, folder, 2))
    ratio = whole_time / half_time
    yield Figure(
        "2 GiB census", "1 GiB census", ratio, "x time", "1.8 to 2.2", 1.8 <= ratio <= 2.2, f"{whole_time:.2f} s"
    )
    peaks = [
        process(kaibo("census", str(of), "--store", str(folder / f"peak-{place}"), "--workers", "2")).peak
        for place, of in enumerate((model, half))
    ]
    ratio = peaks[0] / peaks[1]
    yield Figure("2 GiB census", "1 GiB census", ratio, "x memory", "<= 1.1", ratio <= 1.1, f"{peaks[0]:.0f} MiB")
