"""One pass over the pairs of two models: spans of a million values, all of them or a stated share."""

from __future__ import annotations

import math
import threading
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass

import numpy as np

from kaibo.chapters.same.cells import cells, is_computed, packed_under
from kaibo.chapters.same.tallies import SLACK, Cells, Tally, by_chance, compared, in_cells
from kaibo.collect import Progress, quiet
from kaibo.collect.engine import ordered
from kaibo.models.pairing import Pair
from kaibo.vocabulary import Tensor, widen32

SPAN, SMALL = 1 << 20, 1 << 16
"""Values of a span; and of what is looked at together, which fits the cache, and is a span where a share is read."""

BITS = {"F64": (53, -1074), "F32": (24, -149), "F16": (11, -24), "BF16": (8, -133)}
"""Significant bits of a plain type and the exponent of its least step; of two the one with fewer bits is rounded."""

SHIFTED = "1 + weight"
"""How a tensor is told that was stored with 1 added: what is taken off again leaves the rounding of the sum."""


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
            local.rooms = np.empty((2, SMALL * 8), np.uint8), np.empty((2, SMALL))
        tally, chance = Tally(), None
        for begin in range(task.begin, task.end, SMALL):
            part = _Task(task.place, begin, min(begin + SMALL, task.end), task.first and begin == task.begin)
            more, found = _tally(pairs[task.place], sides[task.place][0], part, *local.rooms)
            tally, chance = tally + more, chance if found is None else found
        return task, tally, chance

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
    both = pair.base, pair.tuned
    for told in (packed_under, _shifted):
        said = [told(side) for side in both]
        if any(said):
            return ("b", said[1]) if said[1] else ("a", said[0])
    bits = [BITS.get(side.dtype.name, (0, 0))[0] for side in both]
    if 0 in bits or bits[0] == bits[1]:
        return "", ""
    return ("a", pair.base.dtype.name) if bits[0] < bits[1] else ("b", pair.tuned.dtype.name)


def _shifted(tensor: Tensor) -> str:
    return SHIFTED if is_computed(tensor) else ""


def _tally(pair: Pair, coarse: str, task: _Task, rooms: np.ndarray, ends: np.ndarray) -> tuple[Tally, float | None]:
    a, b = (_values(side, task, room) for side, room in zip((pair.base, pair.tuned), rooms, strict=True))
    if not coarse:
        return compared(a, b, task.begin), None
    fine, rough = (a, b) if coarse == "b" else (b, a)
    finer, side = (pair.base, pair.tuned) if coarse == "b" else (pair.tuned, pair.base)
    low, high = ends[0, : fine.size], ends[1, : fine.size]
    packed = packed_under(side)
    if packed:
        cells(side, task.begin, low, high)
    else:
        _of_type(side, rough.astype(np.float64), low, high)
    bits, least = BITS.get(finer.dtype.name, (24, -149))
    held = Cells(low, high, SLACK if packed else 0.0, (2.0**-bits, 2.0 ** (least - 1)))
    return in_cells(fine, rough, held, task.begin), by_chance(fine, rough, held) if task.first else None


def _of_type(side: Tensor, values: np.ndarray, low: np.ndarray, high: np.ndarray) -> None:
    """The cell of a value of a plain type: half-way to its neighbours, of which the one nearer 0 may be nearer."""
    bits, least = BITS[side.dtype.name]
    shift = 1.0 if is_computed(side) else 0.0
    with np.errstate(invalid="ignore"):
        fraction, exponent = np.frexp(values + np.copysign(shift, values))
        half = np.ldexp(0.5, np.maximum(exponent - bits, least))
        inner = np.where((np.abs(fraction) == 0.5) & (exponent - bits > least) & (shift == 0), half / 2, half)
        low[:] = values - np.where(values > 0, inner, half)
        high[:] = values + np.where(values < 0, inner, half)


def _values(tensor: Tensor, task: _Task, room: np.ndarray) -> np.ndarray:
    found = [
        widen32(tensor.dtype.name, chunk)
        for chunk in tensor.chunks(room[: (task.end - task.begin) * tensor.dtype.itemsize], task.begin, task.end)
    ]
    return found[0] if len(found) == 1 else np.concatenate(found) if found else np.empty(0, np.float32)
