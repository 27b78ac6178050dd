"""One pass over the pairs of two models: spans of 262,144 values, all of them, or a stated share of smaller ones."""

from __future__ import annotations

import math
import threading
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass

import numpy as np

from kaibo.chapters.same import codes, kernels
from kaibo.chapters.same.codes import is_computed, packed_under, upright
from kaibo.chapters.same.tallies import Rounding, Tally, by_chance, compared, rounded
from kaibo.collect import Progress, quiet
from kaibo.collect.engine import ordered
from kaibo.models.packings import Packed
from kaibo.models.pairing import Pair
from kaibo.models.views import transposed
from kaibo.vocabulary import Tensor, widen32

SPAN, SMALL = 1 << 18, 1 << 16
"""Values of a span, which the second cache holds; and of one where a share is read, or chance is measured."""

BITS = {"F64": (53, -1074), "F32": (24, -149), "F16": (11, -24), "BF16": (8, -133)}
"""Significant bits of a plain type and the exponent of its least step; of two the one with fewer bits is rounded."""

SHIFTED = "1 + weight"
"""How a tensor is told that was stored with 1 added: what is taken off again leaves the rounding of the sum."""


@dataclass(frozen=True)
class Sides:
    """The two sides of a pair as they are compared: which is packed or rounded ("" for none), and how.

    Of a packed matrix that is seen transposed the stored one is looked at, beside the other side `turned`.
    """

    fine: Tensor
    rough: Tensor
    coarse: str = ""
    how: str = ""
    turned: bool = False
    packed: Packed | None = None

    @property
    def joint(self) -> bool:
        """Whether the codes were chosen together, so that not each is the nearest."""
        return self.packed is not None and self.packed.decoder.joint


@dataclass(frozen=True)
class Seen:
    """What was seen of a pair: its tally, and the shares by chance inside a cell and within a step of its code."""

    pair: Pair
    tally: Tally
    chance: tuple[float, float] | None
    sides: Sides


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
    sides = [sides_of(pair) for pair in pairs]
    tasks = [
        _Task(place, begin, end, at == 0)
        for place, pair in enumerate(pairs)
        for at, (begin, end) in enumerate(sampled.spans(pair.base.size, random))
    ]
    progress.begin("same", sum(task.end - task.begin for task in tasks))
    local = threading.local()

    def run(task: _Task) -> tuple[_Task, Tally, tuple[float, float] | None]:
        if not hasattr(local, "rooms"):
            local.rooms = np.empty((2, SPAN * 8), np.uint8)
        return task, *_tally(sides[task.place], task, local.rooms)

    tallies = [Tally() for _ in pairs]
    chances: list[tuple[float, float] | None] = [None for _ in pairs]
    with closing(ordered(tasks, run, workers)) as under_way:
        for task, tally, chance in under_way:
            progress.advance(task.end - task.begin)
            tallies[task.place] += tally
            chances[task.place] = chance if task.first else chances[task.place]
    for place, pair in enumerate(pairs):
        yield Seen(pair, tallies[place], chances[place], sides[place])


def sides_of(pair: Pair) -> Sides:
    """Which side is packed or rounded, and how; b where both are packed."""
    for coarse, rough, fine in (("b", pair.tuned, pair.base), ("a", pair.base, pair.tuned)):
        stored = upright(rough)
        packed = packed_under(rough if stored is None else stored)
        if packed is not None and stored is not None:
            return Sides(transposed(fine), stored, coarse, packed.group.how, True, packed)
        if packed is not None:
            return Sides(fine, rough, coarse, packed.group.how, packed=packed)
    a, b = pair.base, pair.tuned
    if is_computed(b) or is_computed(a):
        return Sides(a, b, "b", SHIFTED) if is_computed(b) else Sides(b, a, "a", SHIFTED)
    bits = [BITS.get(side.dtype.name, (0, 0))[0] for side in (a, b)]
    if 0 in bits or bits[0] == bits[1]:
        return Sides(a, b)
    return Sides(b, a, "a", a.dtype.name) if bits[0] < bits[1] else Sides(a, b, "b", b.dtype.name)


def _tally(sides: Sides, task: _Task, rooms: np.ndarray) -> tuple[Tally, tuple[float, float] | None]:
    fine = _values(sides.fine, task, rooms[0])
    if sides.packed is not None:
        return _beside_codes(sides, fine.astype(np.float32, copy=False), task)
    rough = _values(sides.rough, task, rooms[1])
    if not sides.coarse:
        return compared(fine, rough, task.begin), None
    to = _rounding(sides, rough.astype(np.float64))
    share = by_chance(fine, rough, to) if task.first else None
    return rounded(fine, rough, to, task.begin), None if share is None else (share, share)


def _beside_codes(sides: Sides, fine: np.ndarray, task: _Task) -> tuple[Tally, tuple[float, float] | None]:
    """The finer side may have come from anywhere within half a step of its own type."""
    own = _own(sides.fine)
    tally, chance, at = Tally(), None, 0
    for found in codes.codes(sides.rough, task.begin, task.end):
        some = fine[at : at + found.count]
        tally += codes.compared(some, found, own, task.begin + at)
        if task.first and at == 0 and some.size:
            chance = codes.by_chance(some[:SMALL], found, own)
        at += found.count
    return tally, chance


def _own(fine: Tensor) -> tuple[float, float]:
    """Half a step of a type: a part of the value, and its least."""
    bits, least = BITS.get(fine.dtype.name, (24, -149))
    return 2.0**-bits, 2.0 ** (least - 1)


def _rounding(sides: Sides, values: np.ndarray) -> Rounding:
    """Half-way to the neighbours of each value of a plain type, of which the one nearer 0 may be nearer."""
    bits, least = BITS[sides.rough.dtype.name]
    shift = 1.0 if is_computed(sides.rough) else 0.0
    with np.errstate(invalid="ignore"):
        fraction, exponent = np.frexp(values + np.copysign(shift, values))
        half = np.ldexp(0.5, np.maximum(exponent - bits, least))
        inner = np.where((np.abs(fraction) == 0.5) & (exponent - bits > least) & (shift == 0), half / 2, half)
    return Rounding(half, inner, _own(sides.fine))


def _values(tensor: Tensor, task: _Task, room: np.ndarray) -> np.ndarray:
    """The values of a span in float32, or float64 where they are stored so."""
    found: list[np.ndarray] = []
    for chunk in tensor.chunks(room[: (task.end - task.begin) * tensor.dtype.itemsize], task.begin, task.end):
        if tensor.dtype.name == "BF16":
            wide = np.empty(chunk.size, np.uint32)
            kernels.bfloat16(chunk, wide)
            found.append(wide.view(np.float32))
        else:
            found.append(widen32(tensor.dtype.name, chunk))
    return found[0] if len(found) == 1 else np.concatenate(found) if found else np.empty(0, np.float32)
