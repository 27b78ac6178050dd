"""One command's work over two processes, and over two workers of a Ray cluster, beside one."""

from __future__ import annotations

import shutil
import statistics
import subprocess
import time
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path

from benchmarks.harness import Figure, kaibo
from benchmarks.scoring import made
from benchmarks.simulate import ONE_THREAD

TOKENS = 60_000
RUNS = 2


def figures(folder: Path) -> Iterator[Figure]:
    """Whole commands, start to end: the shards, the merge and the answer against the answer of one process."""
    command = prepared(folder)
    yield beside("2 processes by --shard", folder, lambda: serial(command, folder), lambda: shards(command, folder))
    if find_spec("ray") is not None:
        one, two = (lambda count=count: on_ray(command, folder, count) for count in (1, 2))
        yield beside("2 local Ray workers", folder, one, two)


def prepared(folder: Path, tokens: int = TOKENS) -> list[str]:
    """The command that is timed: a model of 6 M parameters reads a text in windows that overlap, in one thread."""
    text = folder / "words.txt"
    text.write_text(" ".join(f"w{place * 7919 % 1000}" for place in range(tokens)))
    model = made(folder / "model", 256, 8, 1000, 1)
    return ["score", str(model), "--text", str(text), "--window", "512", "--stride", "256"]


def beside(name: str, folder: Path, one: Callable[[], float], two: Callable[[], float]) -> Figure:
    """Two workers and one in turn."""
    times = [(one(), two()) for _ in range(RUNS)]
    alone, both = (statistics.median(column) for column in zip(*times, strict=True))
    ratio = alone / both
    seen = f"{both:.1f} against {alone:.1f} s"
    return Figure(name, "1 worker", ratio, "x", ">= 1.7", ratio >= 1.7 and alone >= 20, seen)


def serial(command: list[str], folder: Path) -> float:
    """Seconds of one process with an empty store."""
    store = folder / "serial"
    shutil.rmtree(store, ignore_errors=True)
    return seconds(lambda: run([*command, "--store", str(store)]))


def shards(command: list[str], folder: Path) -> float:
    """Seconds of two shards at once, the merge and the answer."""
    stores = [folder / f"part-{index}" for index in range(2)]
    together = folder / "together"
    for store in (*stores, together):
        shutil.rmtree(store, ignore_errors=True)

    def work() -> None:
        parts = [
            begun([*command, "--shard", f"{index}/2", "--store", str(store)]) for index, store in enumerate(stores)
        ]
        assert not any(part.wait() for part in parts)
        run(["store", "merge", *map(str, stores), "--into", str(together)])
        run([*command, "--store", str(together)])

    return seconds(work)


def on_ray(command: list[str], folder: Path, workers: int) -> float:
    """Seconds of the command on a cluster that is started for it."""
    store = folder / "ray"
    shutil.rmtree(store, ignore_errors=True)
    return seconds(lambda: run([*command, "--store", str(store), "--engine", "ray", "--workers", str(workers)]))


def begun(words: list[str]) -> subprocess.Popen[bytes]:
    """A command of kaibo in one thread."""
    return subprocess.Popen(kaibo(*words), env=ONE_THREAD, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def run(words: list[str]) -> None:
    """The same to its end."""
    if begun(words).wait():
        raise RuntimeError(" ".join(words))


def seconds(work: Callable[[], None]) -> float:
    """How long something takes."""
    begin = time.perf_counter()
    work()
    return time.perf_counter() - begin
