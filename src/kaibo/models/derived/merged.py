"""A merge of models as a model: each tensor is formed chunk by chunk from the base's and the tuned models'.

TIES: Yadav et al. 2023 (arXiv 2306.01708). Task arithmetic: Ilharco et al. 2023 (arXiv 2212.04089). DARE: Yu et al.
2024 (arXiv 2311.03099). Linear: Wortsman et al. 2022 (arXiv 2203.05482). Slerp: Shoemake 1985, Animating rotation
with quaternion curves: sin((1−t)θ)/sin θ · a + sin(tθ)/sin θ · b, θ the angle between a and b as flat vectors.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from kaibo.models.derived import merge_kernels as kernels
from kaibo.models.formed import formed
from kaibo.vocabulary import Buffer, DType, Patterns, Tensor, widen32
from kaibo.vocabulary.merging import Ballot, Rule

CHUNK_VALUES = 1 << 16
"""Values of each model that are held at a time."""

WRITABLE = ("F64", "F32", "F16", "BF16")
"""Types that a merge can be stored in."""

PARALLEL = 0.9995
"""Where |cos θ| is above this, slerp is a straight line: sin θ is too small to divide by (mergekit's bound, too)."""

_VOTES = {"sum": kernels.SUM, "weighted": kernels.WEIGHTED, "count": kernels.COUNT}
_DIVISORS = {"count": kernels.BY_COUNT, "weights": kernels.BY_WEIGHTS, "none": kernels.BY_NOTHING}


@dataclass(frozen=True, eq=False)
class Merged:
    """One tensor of the base and the same tensor of each tuned model, merged by a rule.

    `dtype` is what it is stored in. Beside the caller's buffer it holds one chunk of each model.
    """

    base: Tensor
    tuned: tuple[Tensor, ...]
    rule: Rule
    dtype: DType

    @property
    def sides(self) -> tuple[Tensor, ...]:
        """The base's tensor, then those of the tuned models."""
        return self.base, *self.tuned

    @property
    def tensor(self) -> Tensor:
        """The merge as a tensor, under the base's name."""
        return formed(self, self.base, dtype=self.dtype)

    def chunks(self, buffer: Buffer, begin: int = 0, end: int | None = None) -> Iterator[Patterns]:
        """The merged values, a buffer's worth at a time; raises what reading any of the models raises."""
        width, stop = self.dtype.itemsize, self.base.size if end is None else end
        room = _Room(self)
        step = buffer.nbytes // width
        for first in range(begin, stop, step):
            last = min(first + step, stop)
            out = buffer[: (last - first) * width].view(self.dtype.patterns)
            for low in range(first, last, CHUNK_VALUES):
                high = min(low + CHUNK_VALUES, last)
                room.encode(self._mixed(room, low, high), out[low - first : high - first])
            yield out

    def _mixed(self, room: _Room, begin: int, end: int) -> NDArray[np.float64]:
        recipe, weights = self.rule.recipe, room.weights
        mixed = room.mixed[: end - begin]
        if recipe.method in ("linear", "slerp"):
            room.read_values(self.sides, begin, end)
            kernels.weigh(room.rows[:, : end - begin], weights, 1.0, mixed)
            return mixed
        base = room.read_vectors(self, begin, end)
        deltas = room.rows[:, : end - begin]
        if recipe.method == "ties":
            ways = _VOTES[recipe.vote], _DIVISORS[recipe.divide]
            kernels.elect(deltas, weights, ways, self.rule.tie, recipe.factor, mixed)
        else:
            kernels.weigh(deltas, weights, recipe.factor, mixed)
        kernels.add_base(base, mixed)
        return mixed

    def ballot(self, begin: int = 0, end: int | None = None) -> Ballot:
        """How the trimmed task vectors agree over values `begin` to `end`; reads each model once."""
        stop = self.base.size if end is None else end
        models = len(self.tuned)
        counts = np.zeros(5 + 3 * models, np.int64)
        room = _Room(self)
        for low in range(begin, stop, CHUNK_VALUES):
            high = min(low + CHUNK_VALUES, stop)
            room.read_vectors(self, low, high)
            deltas = room.rows[:models, : high - low]
            kernels.poll(deltas, room.votes, _VOTES[self.rule.recipe.vote], counts)
        touched, conflict, plus, minus, tied, *each = (int(count) for count in counts)
        kept, elected, nonfinite = (tuple(each[first : first + models]) for first in range(0, 3 * models, models))
        return Ballot(stop - begin, touched, conflict, plus, minus, tied, kept, elected, nonfinite)


class _Room:
    """What one reader of a merged tensor owns: a chunk of each model, as stored and as numbers."""

    def __init__(self, of: Merged) -> None:
        self.stored = [np.empty(CHUNK_VALUES * side.dtype.itemsize, np.uint8) for side in of.sides]
        values = of.rule.recipe.method in ("linear", "slerp")
        wide = values and any(side.dtype.name == "F64" for side in of.sides)
        self.rows = np.empty(
            (len(of.sides) if values else len(of.tuned), CHUNK_VALUES), np.float64 if wide else np.float32
        )
        self.mixed = np.empty(CHUNK_VALUES, np.float64)
        self.weights = np.array(of.rule.weights, np.float64)
        self.votes = self.weights if not values else np.ones(len(of.tuned))
        self._narrow = np.empty(CHUNK_VALUES, np.float32)
        self._name = of.dtype.name

    def read_values(self, sides: tuple[Tensor, ...], begin: int, end: int) -> None:
        """The values of every model, a row each."""
        for row, side, stored in zip(self.rows, sides, self.stored, strict=True):
            row[: end - begin] = _read(side, stored, begin, end)

    def read_vectors(self, of: Merged, begin: int, end: int) -> NDArray[np.floating]:
        """The trimmed or dropped task vectors, a row each; the base's values, which hold until the next call."""
        base = _read(of.base, self.stored[0], begin, end)
        rule = of.rule
        for place, side in enumerate(of.tuned):
            delta = self.rows[place, : end - begin]
            kernels.subtract(_read(side, self.stored[place + 1], begin, end), base, delta)
            if rule.trims:
                kept = rule.trims[place]
                kernels.trim(delta, np.float32(kept.threshold), kept.cutoff - begin)
            if rule.keys:
                kernels.drop(delta, np.uint64(rule.keys[place]), begin, rule.recipe.densities[place])
        return base

    def encode(self, mixed: NDArray[np.float64], out: Patterns) -> None:
        """The numbers in the type of the output, rounded to nearest, ties to even."""
        narrow = self._narrow[: mixed.size]
        if self._name == "BF16":
            kernels.to_bf16(mixed, out, narrow.view(np.uint32), narrow)
            return
        kind = {"F64": np.float64, "F32": np.float32, "F16": np.float16}[self._name]
        with np.errstate(over="ignore", under="ignore", invalid="ignore"):
            out.view(kind)[:] = mixed


def _read(tensor: Tensor, stored: Buffer, begin: int, end: int) -> NDArray[np.floating]:
    (chunk,) = tensor.chunks(stored, begin, end)
    return widen32(tensor.dtype.name, chunk)


def slerp_weights(dot: float, base_square: float, tuned_square: float, t: float) -> tuple[float, float]:
    """What base and tuned are multiplied by to go the share `t` of the arc between them.

    >>> [round(weight, 4) for weight in slerp_weights(0.0, 1.0, 4.0, 0.5)]
    [0.7071, 0.7071]
    """
    length = math.sqrt(base_square) * math.sqrt(tuned_square)
    cosine = max(-1.0, min(1.0, dot / length)) if length else 1.0
    if abs(cosine) > PARALLEL:
        return 1.0 - t, t
    angle = math.acos(cosine)
    return math.sin((1.0 - t) * angle) / math.sin(angle), math.sin(t * angle) / math.sin(angle)
