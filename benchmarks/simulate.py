"""Replays measured task times on other numbers of workers; what takes how long, and what is saturated first.

`python -m benchmarks.simulate` times the shards of one command one at a time, predicts from that how long 1, 2 and 4
processes take, runs them, and prints how far the prediction is off. `python -m benchmarks.simulate scale` prints the
table of docs/scale.md.

A task reads its bytes and then computes. Who reads shares the network, each up to what one worker can take; who
computes shares the cores. Shares of one rate are equal, as in a fluid.
"""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import tempfile
import time
from collections import deque
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from math import inf
from pathlib import Path

from kaibo.collect.shards import Shard

GB = 1e9


@dataclass(frozen=True)
class Task:
    """What a worker does in one go: bytes that it reads, then seconds of one core."""

    bytes: float
    seconds: float


@dataclass(frozen=True)
class Machines:
    """Workers, the cores they share, bytes a second that all can read together and each alone."""

    workers: int
    cores: int
    network: float = inf
    each: float = inf


@dataclass(frozen=True)
class Run:
    """What a replay took, and which share of that time the network and the cores were fully used."""

    seconds: float
    network: float
    cores: float

    @property
    def first(self) -> str:
        """What is saturated first."""
        return "network" if self.network >= self.cores else "cores"


def replay(tasks: Sequence[Task], machines: Machines) -> Run:
    """Free workers take the next task, in order, until all are done."""
    waiting = deque(tasks)
    reading: list[list[float]] = []  # bytes left, seconds of computing after them
    computing: list[float] = []  # seconds left
    clock = full_network = full_cores = 0.0
    while waiting or reading or computing:
        while waiting and len(reading) + len(computing) < machines.workers:
            task = waiting.popleft()
            reading.append([task.bytes, task.seconds])
        rate = min(machines.each, machines.network / len(reading)) if reading else inf
        speed = min(1.0, machines.cores / len(computing)) if computing else 1.0
        step = min([one[0] / rate for one in reading] + [one / speed for one in computing])
        clock += step
        full_network += step * bool(reading and rate * len(reading) >= machines.network)
        full_cores += step * (len(computing) >= machines.cores)
        for one in reading:
            one[0] -= step * rate if rate < inf else one[0]
        computing = [left for one in computing if (left := one - step * speed) > 1e-9]
        computing += [one[1] for one in reading if one[0] <= 1e-6]
        reading = [one for one in reading if one[0] > 1e-6]
    return Run(clock, full_network / clock if clock else 0.0, full_cores / clock if clock else 0.0)


# --- beside real workers ---------------------------------------------------------------------------------------------

SHARES = 8


def beside_real(
    command: Sequence[str], folder: Path, workers: Sequence[int] = (1, 2, 4)
) -> list[tuple[int, float, float]]:
    """Workers, predicted and real seconds of all shards of a command; the shards are timed one at a time before."""
    tasks = [Task(0.0, timed(command, folder, index, "alone")[1]) for index in range(SHARES)]
    found = []
    for count in workers:
        begin = time.perf_counter()
        with ThreadPoolExecutor(count) as pool:
            list(pool.map(lambda index: timed(command, folder, index, f"with-{count}"), range(SHARES)))  # noqa: B023
        real = time.perf_counter() - begin
        found.append((count, replay(tasks, Machines(count, os.cpu_count() or 1)).seconds, real))
    return found


def timed(command: Sequence[str], folder: Path, index: int, name: str) -> tuple[float, float]:
    """Wall seconds and processor seconds of one shard, in a process and a store of its own."""
    store = folder / f"store-{name}-{index}"
    words = [sys.executable, "-m", "kaibo", *command, "--shard", f"{index}/{SHARES}", "--store", str(store)]
    begin = time.perf_counter()
    with subprocess.Popen(words, env=ONE_THREAD, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as child:
        used: resource.struct_rusage = os.wait4(child.pid, 0)[2]
        child.returncode = 0
    return time.perf_counter() - begin, used.ru_utime + used.ru_stime


ONE_THREAD = {**os.environ, "OMP_NUM_THREADS": "1", "KAIBO_WORKERS": "1"}

# --- at sizes that nobody has here -----------------------------------------------------------------------------------

COUNTING = 3.5 * GB
"""Bytes of bfloat16 that a core counts and hashes in a second (docs/benchmarks.md: 0.50 ns a value, 4 GB/s, less
what a store costs)."""

PAIRS = 2 * 2 / 3.4e-9
"""Bytes of two bfloat16 models that a core compares in a second (docs/benchmarks.md: 3.4 ns a pair of values)."""

START = 4.0
"""Seconds of a core until a shard's process has begun."""


@dataclass(frozen=True)
class Rows:
    """What is kept of a tensor: its bytes, and how many of them one core merges and looks up in a second."""

    bytes: float
    merged: float
    answered: float


NARROW, WIDE = Rows(4.7e3, 1000, 2550), Rows(39e3, 360, 830)
"""Of 16-bit tensors, and of differences, which are counted as 32 bits. Rates were measured on 4,000 and 800 Gaussian
tensors, two cores under other work; bytes stand in `kaibo.store.schema`."""


@dataclass(frozen=True)
class Work:
    """Something to be measured: bytes of each tensor, how fast a core is, what is kept of each, and where it runs."""

    name: str
    tensors: Mapping[str, int]
    rate: float
    rows: Rows
    nodes: int
    cores: int
    link: float
    storage: float


def llama(layers: int, hidden: int, inner: int, vocabulary: int, grouped: float = 0.25) -> dict[str, int]:
    """The bytes of the tensors of a bfloat16 LLaMA."""
    sizes = {"q": hidden * hidden, "o": hidden * hidden, "k": int(grouped * hidden * hidden)}
    sizes |= {"v": sizes["k"], "gate": hidden * inner, "up": hidden * inner, "down": hidden * inner}
    found = {f"{layer}.{name}": 2 * size for layer in range(layers) for name, size in sizes.items()}
    return found | {"embedding": 2 * vocabulary * hidden, "head": 2 * vocabulary * hidden}


def mixture(layers: int, experts: int, hidden: int, inner: int) -> dict[str, int]:
    """The bytes of the tensors of a bfloat16 mixture: three matrices an expert, four of attention a layer."""
    sizes = {f"{expert}.{name}": 2 * hidden * inner for expert in range(experts) for name in ("gate", "up", "down")}
    sizes |= {f"attention.{place}": 2 * hidden * hidden for place in range(4)}
    return {f"{layer}.{name}": size for layer in range(layers) for name, size in sizes.items()}


SUITE = {70: 76, 160: 148, 410: 292, 1000: 196, 1400: 292, 2800: 388, 6900: 388, 12000: 436}
"""Millions of parameters and tensors of the sizes of a published suite; each has 154 checkpoints, twice."""


def works() -> list[Work]:
    """The rows of docs/scale.md."""
    eight, seventy = llama(32, 4096, 14336, 128256), llama(80, 8192, 28672, 128256, 0.125)
    trillion = mixture(61, 384, 7168, 2048)
    suite = {f"{size}.{at}.{piece}": int(2e6 * size) // count
             for size, count in SUITE.items() for at in range(308) for piece in range(count)}  # fmt: skip
    laptop, node, many = (1, 8, 2.0 * GB, 2.0 * GB), (1, 32, 12.5 * GB, 40 * GB), (32, 32, 12.5 * GB, 40 * GB)
    return [
        Work("census of 8B, laptop of 8 cores, SSD", eight, COUNTING, NARROW, *laptop),
        Work("diff of 8B and its base, the same", twice(eight), PAIRS, WIDE, *laptop),
        Work("census of 70B, one node of 32 cores, 100 Gbit/s", seventy, COUNTING, NARROW, *node),
        Work("census of a mixture of 1,050B, 32 such nodes", trillion, COUNTING, NARROW, *many),
        Work("diff of two such mixtures, the same", twice(trillion), PAIRS, WIDE, *many),
        Work("census of 154 × 16 checkpoints, one node", suite, COUNTING, NARROW, *node),
        Work("the same, 32 nodes", suite, COUNTING, NARROW, *many),
    ]


def twice(tensors: Mapping[str, int]) -> dict[str, int]:
    """The bytes of the pairs of two models of one shape."""
    return {name: 2 * size for name, size in tensors.items()}


def scale(work: Work) -> tuple[int, Run, float]:
    """How many shards, the replay of them, and the seconds in which one core merges their parts and answers."""
    count = work.nodes * work.cores
    loads = [0] * count
    for name, shard in dealt(work.tensors, count).items():
        loads[shard] += work.tensors[name]
    tasks = [Task(load, load / work.rate + START) for load in loads]
    run = replay(tasks, Machines(count, count, min(work.storage, work.nodes * work.link), work.link))
    rows = work.rows
    return count, run, len(work.tensors) * (1 / rows.merged + 1 / rows.answered)


def dealt(sizes: Mapping[str, int], count: int) -> dict[str, int]:
    """Which shard each unit falls to, by the rule of `Shard.takes`, worked out once for all shards."""
    import heapq

    if count <= 8:  # the rule itself
        return {name: index for index in range(count) for name in Shard(index, count).takes("work", sizes)}
    loads = [(0, shard) for shard in range(count)]
    found = {}
    for name in sorted(sizes, key=lambda name: (-sizes[name], name)):
        load, shard = loads[0]
        heapq.heapreplace(loads, (load + sizes[name], shard))
        found[name] = shard
    return found


PRICE = 0.05
"""Dollars of a core an hour, as clouds ask for it on demand, about."""


def main(words: Sequence[str]) -> None:
    """Prints one of the two tables."""
    if "scale" in words:
        for work in works():
            count, run, driver = scale(work)
            size, kept = sum(work.tensors.values()), work.rows.bytes * len(work.tensors)
            dollars = (run.seconds * count + driver) / 3600 * PRICE
            first = "driver" if driver > run.seconds else run.first
            print(
                f"| {work.name} | {size / 1e12:.2g} TB | {count:,} | {run.seconds / 60:.2g} | {driver / 60:.2g} | "
                f"{kept / GB:.2g} GB | ${dollars:.2g} | {first} |"
            )
        return
    from benchmarks.machines import prepared

    with tempfile.TemporaryDirectory(prefix="kaibo-simulate-") as folder:
        for count, predicted, real in beside_real(prepared(Path(folder)), Path(folder)):
            print(
                f"{count} workers: {predicted:.1f} s predicted, {real:.1f} s real, {real / predicted - 1:+.0%}",
                flush=True,
            )


if __name__ == "__main__":
    main(sys.argv[1:])
