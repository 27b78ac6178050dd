"""Timing that survives shared machines: ours and the peer in turn, medians, and the ratio between them."""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Figure:
    """One line of the table: what, beside which peer, the ratio, what it should reach, and what was seen."""

    name: str
    peer: str
    ratio: float
    unit: str
    reach: str
    holds: bool
    seen: str


def in_turn(ours: Callable[[], object], peer: Callable[[], object], runs: int = 5) -> tuple[float, float]:
    """Median seconds of each, run alternately after one warm-up of both."""
    ours(), peer()
    times = [(_seconds(ours), _seconds(peer)) for _ in range(runs)]
    return statistics.median(a for a, _ in times), statistics.median(b for _, b in times)


def _seconds(work: Callable[[], object]) -> float:
    begin = time.perf_counter()
    work()
    return time.perf_counter() - begin


@dataclass(frozen=True)
class Process:
    """What a whole process took: wall seconds and peak memory in MiB."""

    seconds: float
    peak: float


MEASURE = """
import os, resource, subprocess, sys, time
begin = time.perf_counter()
code = subprocess.call(sys.argv[1:], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
print(code, time.perf_counter() - begin, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)
"""
"""A small parent for each measured process: a child's peak begins with the size of the process it was forked from."""


def process(arguments: Sequence[str], folder: str | os.PathLike[str] | None = None) -> Process:
    """Runs a command to its end, its output thrown away; the operating system's own account of it."""
    command = [sys.executable, "-S", "-c", MEASURE, *arguments]
    said = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True).stdout.split()
    if said[0] != "0":
        raise RuntimeError(f"{' '.join(arguments)} ended with {said[0]}")
    unit = 1 if sys.platform == "darwin" else 1024
    return Process(float(said[1]), int(said[2]) * unit / 2**20)


def kaibo(*arguments: str) -> list[str]:
    """The command line of this environment's kaibo."""
    return [sys.executable, "-m", "kaibo", *arguments]
