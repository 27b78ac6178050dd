"""One pass over the pairs of two models: spans of a million values, all of them or a stated share."""

from __future__ import annotations

import math
import threading
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass

import numpy as np

from kaibo.chapters.same.cells import cells, packed_under
from kaibo.chapters.same.tallies import Tally, by_chance, compared, in_cells
from kaibo.collect.engine import ordered
from kaibo.collect import Progress, quiet
from kaibo.counting.rounding import nearest
from kaibo.models.pairing import Pair
from kaibo.vocabulary import Tensor, widen32

SPAN, SMALL = 1 << 20, 1 << 16
"""Values of a span, and of one where only a share of them is read."""

BITS = {"F64": 52, "F32": 23, "F16": 10, "BF16": 7}
"""Bits after the point: of two plain types the one with fewer is the rounded one."""


@dataclass(frozen=True)
class Seen:
    """What was seen of a pair: its tally, the share by chance, and which side is packed or rounded ("" for none)."""

    pair: Pair
    tally: Tally
    chance: float | None
    coarse: str
    how: str


@dataclass(frozen=True)
class _Task:
    place: int
    begin: int
    end: int
    first: bool


@dataclass(frozen=True)
class Sampled:
    """Which spans are read: all, or a share of them drawn with a seed."""

    share: float = 1.0
    seed: int = 0

    def spans(self, n: int, random: np.random.Generator) -> list[tuple[int, int]]:
        """(begin, end) of the spans of a tensor of `n` values."""
        step = SPAN if self.share >= 1 else SMALL
        every = [(begin, min(begin + step, n)) for begin in range(0, n, step)]
        if self.share >= 1 or len(every) < 2:
            return every
        count = max(1, math.ceil(self.share * len(every)))
        return [every[int(at)] for at in np.sort(random.choice(len(every), count, replace=False))]


def seen(pairs: Sequence[Pair], sampled: Sampled, workers: int, progress: Progress = quiet) -> Iterator[Seen]:
    """Every pair in order. Raises what reading either side raises."""
    random = np.random.default_rng(sampled.seed)
    sides = [_coarse(pair) for pair in pairs]
    tasks = [
        _Task(place, begin, end, at == 0)
        for place, pair in enumerate(pairs)
        for at, (begin, end) in enumerate(sampled.spans(pair.base.size, random))
    ]
    progress.begin("same", sum(task.end - task.begin for task in tasks))
    local = threading.local()

    def run(task: _Task) -> tuple[_Task, Tally, float | None]:
        if not hasattr(local, "rooms"):
            local.rooms = np.empty((2, SPAN * 8), np.uint8), np.empty((2, SPAN))
        return task, *_tally(pairs[task.place], sides[task.place][0], task, *local.rooms)

    tallies = [Tally() for _ in pairs]
    chances: list[float | None] = [None for _ in pairs]
    with closing(ordered(tasks, run, workers)) as under_way:
        for task, tally, chance in under_way:
            progress.advance(task.end - task.begin)
            tallies[task.place] += tally
            chances[task.place] = chance if task.first else chances[task.place]
    for place, pair in enumerate(pairs):
        yield Seen(pair, tallies[place], chances[place], *sides[place])


def _coarse(pair: Pair) -> tuple[str, str]:
    """Which side is packed or rounded, and how; b where both are packed."""
    said = packed_under(pair.base), packed_under(pair.tuned)
    if said[1] or said[0]:
        return ("b", said[1]) if said[1] else ("a", said[0])
    bits = BITS.get(pair.base.dtype.name), BITS.get(pair.tuned.dtype.name)
    if None in bits or bits[0] == bits[1]:
        return "", ""
    return ("a", pair.base.dtype.name) if bits[0] < bits[1] else ("b", pair.tuned.dtype.name)  # type: ignore[operator]


def _tally(pair: Pair, coarse: str, task: _Task, rooms: np.ndarray, ends: np.ndarray) -> tuple[Tally, float | None]:
    a, b = (_values(side, task, room) for side, room in zip((pair.base, pair.tuned), rooms, strict=True))
    if not coarse:
        return compared(a, b, task.begin), None
    (fine, rough), side = ((a, b), pair.tuned) if coarse == "b" else ((b, a), pair.base)
    low, high = ends[0, : fine.size], ends[1, : fine.size]
    if packed_under(side):
        cells(side, task.begin, low, high)
    else:
        _of_type(side.dtype.name, fine, rough, low, high)
    chance = by_chance(fine, rough, low, high) if task.first else None
    return in_cells(fine, rough, low, high, task.begin), chance


def _of_type(name: str, fine: np.ndarray, rough: np.ndarray, low: np.ndarray, high: np.ndarray) -> None:
    """The cell of a value of a plain type: half-way to its neighbours."""
    if name == "F32":
        wide = rough.astype(np.float32)
        below, above = (np.nextafter(wide, np.float32(end)).astype(np.float64) for end in (-np.inf, np.inf))
    else:
        step = np.spacing(rough.astype(np.float16)).astype(np.float64) if name == "F16" else _bf16_step(rough)
        below, above = rough - np.abs(step), rough + np.abs(step)
        below = nearest(name.lower(), below, 1)
        above = nearest(name.lower(), above, 1)
    with np.errstate(invalid="ignore"):
        low[:], high[:] = (rough + below) / 2, (rough + above) / 2


def _bf16_step(values: np.ndarray) -> np.ndarray:
    _, exponent = np.frexp(values.astype(np.float64))
    return np.ldexp(1.0, np.maximum(exponent, -125) - 8)


def _values(tensor: Tensor, task: _Task, room: np.ndarray) -> np.ndarray:
    found = [
        widen32(tensor.dtype.name, chunk)
        for chunk in tensor.chunks(room[: (task.end - task.begin) * tensor.dtype.itemsize], task.begin, task.end)
    ]
    return found[0] if len(found) == 1 else np.concatenate(found) if found else np.empty(0, np.float32)
