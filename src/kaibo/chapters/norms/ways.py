"""One difference, normed as scripts norm it: rightly, and in ways that give rows which no vector has.

A square of a float16 number below 1.7e-4 is less than half the least float16 and becomes 0, so that an L2 of small
changes comes out too short while L1 does not. A running sum in few bits stands still once an entry is less than half
of its last place. A mean of the tensors' L2 beside a sum of their L1 is too short by about √tensors for every change.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from kaibo.chapters.norms.consistency import SLACK, step_of_square, step_of_sum
from kaibo.chapters.norms.rows import NORM_SIZES, NORM_WAYS, NormsRow, SizeRow, WayRow
from kaibo.version import __version__
from kaibo.vocabulary import Finding
from kaibo.words import note


class Form(NamedTuple):
    """A type that sums are kept in: significant bits, exponent of the least subnormal, the greatest number."""

    bits: int
    least: int
    most: float


FORMS = {"float16": Form(11, -24, 65504.0), "bfloat16": Form(8, -133, float.fromhex("0x1.fep127"))}

RIGHT = note("ways_right")
BY_TENSOR, RUNNING = ({form: note(key, form=form) for form in FORMS} for key in ("ways_by_tensor", "ways_running"))
"""Of each type: every square and every tensor's sum rounded to it; and value after value added in it."""
MEAN = note("ways_mean")
REPORTED = note("ways_reported")

NOTES = (
    note("ways_rounding"),
    note("ways_bound"),
)
SIZE_NOTE = note("ways_sizes")

LEAST_NORMAL, HALF = np.float32(2.0**-14), np.float32(0.5)

Values = NDArray[np.float32]


@dataclass
class Ways:
    """The sums of one difference times `factor` in every way, taken tensor by tensor, chunk by chunk.

    Without `serially` the running sums, which take a loop over the values, are left out.
    """

    factor: float = 1.0
    serially: bool = True
    n: int = 0
    absolute: list[float] = field(default_factory=list)
    square: list[float] = field(default_factory=list)
    by_tensor: dict[str, list[float]] = field(default_factory=lambda: {form: [0.0, 0.0] for form in FORMS})
    running: dict[str, list[float]] = field(default_factory=lambda: {form: [0.0, 0.0] for form in FORMS})
    _parts: list[tuple[float, ...]] = field(default_factory=list)

    def add(self, chunk: Values) -> None:
        """Some more values of the tensor that is being taken; the array may be used again for the next."""
        values = np.abs(chunk) if self.factor == 1.0 else np.abs(chunk * np.float32(self.factor))
        wide = values.astype(np.float64)
        parts = [float(wide.sum()), float(wide @ wide)]
        self.n += values.size
        for form in FORMS:
            sizes = stored(values, form)
            squares = stored(sizes * sizes, form)
            parts += [float(sizes.sum(dtype=np.float64)), float(squares.sum(dtype=np.float64))]
            if self.serially:
                self._go_on(form, sizes, squares)
        self._parts.append(tuple(parts))

    def _go_on(self, form: str, sizes: Values, squares: Values) -> None:
        from kaibo.chapters.norms.kernels import running

        kept = self.running[form]
        self.running[form] = [
            float(running(values, total, *FORMS[form])) for values, total in zip((sizes, squares), kept, strict=True)
        ]

    def end_tensor(self) -> None:
        """The tensor is done: its sums are rounded and added to those of the others."""
        absolute, square, *halves = (math.fsum(part) for part in zip(*self._parts, strict=True))
        self.absolute.append(absolute)
        self.square.append(square)
        for place, form in enumerate(FORMS):
            for norm in (0, 1):
                self.by_tensor[form][norm] += one_stored(halves[2 * place + norm], form)
        self._parts.clear()

    def norms(self) -> Iterator[tuple[str, float, float]]:
        """L1 and L2 in every way, the right one first."""
        yield RIGHT, math.fsum(self.absolute), math.sqrt(math.fsum(self.square))
        for form, (absolute, square) in self.by_tensor.items():
            yield BY_TENSOR[form], absolute, math.sqrt(square)
        for form, (absolute, square) in self.running.items() if self.serially else ():
            yield RUNNING[form], absolute, math.sqrt(square)
        roots = [math.sqrt(square) for square in self.square]
        yield MEAN, math.fsum(self.absolute), math.fsum(roots) / max(len(roots), 1)


def stored(values: Values, form: str) -> Values:
    """Values that are not negative as the type holds them, rounded to nearest, ties to even, in float32 again.

    >>> stored(np.array([1.001, 3e-8], np.float32), "float16").tolist()
    [1.0009765625, 5.960464477539063e-08]
    """
    patterns, drop = values.view(np.uint32), np.uint32(24 - FORMS[form].bits)
    half, one = (np.uint32(1) << (drop - np.uint32(1))) - np.uint32(1), np.uint32(1)
    near = ((patterns + half + ((patterns >> drop) & one)) >> drop << drop).view(np.float32)
    if form == "bfloat16":
        return near
    near[near > FORMS[form].most] = np.inf
    # Below 2⁻¹⁴ float16 has a fixed step of 2⁻²⁴, which is that of float32 between a half and one.
    return np.where(values < LEAST_NORMAL, (values + HALF) - HALF, near)


def one_stored(value: float, form: str) -> float:
    """One 64-bit sum as the type holds it."""
    from kaibo.chapters.norms.kernels import rounded

    return float(rounded(value, *FORMS[form]))


def norm_ways(taken: Iterable[tuple[str, Ways]]) -> Finding[WayRow]:
    """A row for each difference (what to call it, its sums) and way."""
    rows = tuple(row for pair, ways in taken for row in _rows(pair, ways))
    return Finding(NORM_WAYS, rows, NOTES, {"kaibo": __version__})


def _rows(pair: str, ways: Ways) -> Iterator[WayRow]:
    right: tuple[float, float] | None = None
    for way, l1, l2 in ways.norms():
        right = right or (l1, l2)
        finite = math.isfinite(l1) and math.isfinite(l2) and l2 > 0
        root, steps = math.sqrt(ways.n), (step_of_sum(l1), step_of_square(l2))
        quotient = l1 / l2 if finite else math.nan
        yield WayRow(
            pair=pair,
            way=way,
            n=ways.n,
            tensors=len(ways.square),
            l1=l1,
            l2=l2,
            quotient=quotient,
            root=root,
            times=quotient / root if root else math.nan,
            holds=quotient <= root * SLACK if finite else None,
            l1_error=l1 / right[0] - 1 if right[0] else math.nan,
            l2_error=l2 / right[1] - 1 if right[1] else math.nan,
            l1_step=None if steps[0] is None else steps[0].size,
            square_step=None if steps[1] is None else steps[1].size,
            why={} if finite else dict.fromkeys(("quotient", "times", "holds"), _why(l1, l2)),
        )


def _why(l1: float, l2: float) -> str:
    if math.isfinite(l1) and math.isfinite(l2):
        return note("ways_vanished") if l1 else note("ways_nothing")
    return note("ways_range")


def norm_sizes(taken: Iterable[tuple[str, Ways]], reported: Iterable[NormsRow] = ()) -> Finding[SizeRow]:
    """How far L1 is from √n·L2 in each way as the change grows, beside rows that were reported at their own size."""
    found = [
        SizeRow(pair, row.way, ways.factor, _mean(ways), row.l1, row.l2, row.times, row.holds, row.why)
        for pair, ways in taken
        for row in _rows(pair, ways)
    ]
    found += [
        SizeRow(row.vector or "", REPORTED, None, row.l1 / row.n, row.l1, row.l2, _nan(row.times), row.holds)
        for row in reported
    ]
    return Finding(NORM_SIZES, tuple(found), (*NOTES, SIZE_NOTE), {"kaibo": __version__})


def _mean(ways: Ways) -> float:
    """The right mean |Δ|."""
    return math.fsum(ways.absolute) / ways.n if ways.n else math.nan


def _nan(value: float | None) -> float:
    return math.nan if value is None else value
