"""The rules by which a series is audited: repeated contents, steps, order, jumps. Numbers in, evidence out.

The jump rule asks of every distance between neighbours, per step of training, whether it is longer than what came
before and what comes after it (medians of three on each side), or shorter than both: a trend, as warm-up and decay
make it, lies between the two and is no jump. The null is a run whose distances scatter around a smooth trend. The
spread is taken robustly from the bends of ln(distance) elsewhere, second differences ÷ √6; what is off is the distance
from a line through three neighbours on each side (medians of slopes and of offsets). A jump must pass six spreads (more
where few are left to tell) and a factor of two. At the end of a series, where one side is all there is, only a distance
longer than it by a factor of four counts; the first is not judged.

Simulated on clean runs of 7 to 150 distances with a log-normal scatter of 15 % (constant rate; warm-up and cosine decay
to zero; warm-up, plateau and linear decay): about one run in a hundred has a false jump, three in a hundred at worst.
A fourfold distance is found in seven runs of ten at that scatter, in nine of ten and more at 5 %.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations, pairwise
from statistics import median

SPREADS, FACTOR, END_FACTOR = 6.0, 2.0, 4.0
FEWEST = 6
"""Distances below which no jump is looked for."""

SIDE, ENOUGH = 3, 2
CANCELS = 1e4

APART = 1.5
"""How many spacings two neighbours are apart at least where a step is missing between them."""

NEARER = 0.85
"""Two checkpoints are out of order where each lies this much nearer to the other's neighbour than to its own."""


@dataclass(frozen=True)
class Jump:
    """A distance off its trend: between the places `at` and `at` + 1, `factor` times what both sides say."""

    at: int
    factor: float


@dataclass(frozen=True)
class Gap:
    """Steps that the rule of their neighbours expects and that are not there; `times` is the gap in spacings."""

    after: int
    before: int
    missing: Sequence[int]
    rule: str
    times: float


def exponents(steps: Sequence[int], distances: Mapping[tuple[int, int], float]) -> list[float | None]:
    """For every place between two neighbours the exponent p of ‖Δ‖ ∝ steps^p that the cosine of its two updates says.

    1 where updates go straight on, 1/2 where they are a random walk, 0 where they undo each other. Increments whose
    length grows as steps^p over g and h steps have the cosine ((g + h)^2p − g^2p − h^2p) / (2·g^p·h^p), as those of
    fractional Brownian motion do; it rises with p. None where a distance is not known.
    """
    found: list[float | None] = [None]
    for at in range(1, len(steps) - 1):
        cosine = cosine_at(distances, at)
        first, second = steps[at] - steps[at - 1], steps[at + 1] - steps[at]
        found.append(None if cosine is None or min(first, second) <= 0 else _exponent(cosine, first, second))
    return [*found, None]


def _exponent(cosine: float, first: int, second: int) -> float:
    low, high = 0.0, 1.0
    for _ in range(40):
        middle = (low + high) / 2
        whole, one, other = ((steps / first) ** (2 * middle) for steps in (first + second, first, second))
        low, high = (middle, high) if (whole - one - other) / (2 * math.sqrt(one * other)) < cosine else (low, middle)
    return (low + high) / 2


def cosine_at(distances: Mapping[tuple[int, int], float], at: int) -> float | None:
    """The cosine of the updates into and out of a place, from three distances; None where one is missing.

    Also where one update is 10,000 times the other: the rounding of the larger would be all there is.
    """
    into, out, both = (distances.get(pair) for pair in ((at - 1, at), (at, at + 1), (at - 1, at + 1)))
    if into is None or out is None or both is None or not 0 < max(into, out) <= CANCELS * min(into, out):
        return None
    return max(-1.0, min(1.0, (both * both - into * into - out * out) / (2 * into * out)))


def scaling(found: Sequence[float | None]) -> float:
    """One exponent for a whole run: the median; 1/2 where none is known."""
    known = [value for value in found if value is not None]
    return median(known) if known else 0.5


def between(found: Sequence[float | None]) -> list[float]:
    """The exponent of every distance between neighbours: the mean of those at its two ends, as far as known."""
    rest = scaling(found)
    out = []
    for ends in pairwise(found):
        known = [value for value in ends if value is not None]
        out.append(sum(known) / len(known) if known else rest)
    return out


def jumps(logs: Sequence[float | None]) -> tuple[list[Jump], float]:
    """The jumps among logarithms of distances per step (None where there is none), and the spread of the others."""
    known = [(at, value) for at, value in enumerate(logs) if value is not None]
    if len(known) < FEWEST:
        return [], 0.0
    values = [value for _, value in known]
    residuals = [value - _line(values, at) for at, value in enumerate(values)]
    bends = [before - 2 * value + after for before, value, after in zip(values, values[1:], values[2:], strict=False)]
    found = []
    for at, (place, value) in enumerate(known):
        before, after = values[max(0, at - SIDE) : at], values[at + 1 : at + 1 + SIDE]
        if not before or not _outside(value, before, after):
            continue
        off, least = (residuals[at], FACTOR) if after else (value - median(before), END_FACTOR)
        if abs(off) > max(_threshold(residuals, bends, at), math.log(least)):
            found.append(Jump(place, math.exp(max(-700.0, min(700.0, off)))))
    return found, _spread(bends)


def _threshold(residuals: Sequence[float], bends: Sequence[float], at: int) -> float:
    """Six spreads of the other distances, more where few are left; a neighbour that is off, too, is left out as well:
    one bad checkpoint makes two bad distances."""
    beside = [place for place in (at - 1, at + 1) if 0 <= place < len(residuals)]
    worst = max(beside, key=lambda place: abs(residuals[place]))
    left_out = {at, worst} if abs(residuals[worst]) > math.log(FACTOR) else {at}
    others = [bend for place, bend in enumerate(bends, start=1) if not {place - 1, place, place + 1} & left_out]
    if len(others) < ENOUGH:
        others = list(bends)
    return SPREADS * (1 + 2 / len(others)) * _spread(others)


def _spread(bends: Sequence[float]) -> float:
    """The standard deviation of independent scatter behind second differences, from their median size."""
    return 1.4826 * median(map(abs, bends)) / math.sqrt(6)


def _outside(value: float, before: Sequence[float], after: Sequence[float]) -> bool:
    """Whether a value lies above the medians of both sides or, where both are known, below both."""
    sides = [median(side) for side in (before, after) if side]
    return value > max(sides) or (len(sides) == 2 and value < min(sides))


def _line(values: Sequence[float], at: int) -> float:
    """What the neighbours say that a value is: a line through three on each side, by medians of slopes and offsets."""
    places = [place for place in range(at - SIDE, at + SIDE + 1) if 0 <= place < len(values) and place != at]
    slope = median((values[one] - values[other]) / (one - other) for other, one in combinations(places, 2))
    return median(values[place] - slope * (place - at) for place in places)


def out_of_order(count: int, distances: Mapping[tuple[int, int], float]) -> list[int]:
    """The places i where i and i + 1 stand in the wrong order.

    So it is where the checkpoint before both is clearly nearer to the later one, and the one after both to the
    earlier one; at an end of the series one of the two decides.
    """
    found = []
    for place in range(count - 1):
        sides = [
            (distances.get((place - 1, place + 1)), distances.get((place - 1, place))),
            (distances.get((place, place + 2)), distances.get((place + 1, place + 2))),
        ]
        known = [(near, far) for near, far in sides if near is not None and far is not None and near > 0]
        if known and all(near < NEARER * far for near, far in known):
            found.append(place)
    return found


def gaps(steps: Sequence[int]) -> list[Gap]:
    """Steps that are missing among sorted distinct ones, by the spacing of up to three neighbours on each side.

    A spacing is even (100, 200, 300 …) or multiplies (1, 2, 4 …). Steps are missing where two neighbours are at least
    `APART` times as far from each other as at least half of their neighbourhood, on both sides (at an end on its one
    side): a run that was taken up at another step leaves a gap that is no whole number of spacings.
    """
    differences = [after - before for before, after in pairwise(steps)]
    found = []
    for at, difference in enumerate(differences):
        even = _even(differences, at)
        ratio = _ratio(steps, at)
        powers = 0.0 if ratio is None else math.log(steps[at + 1] / steps[at]) / math.log(ratio)
        if even is not None and difference >= APART * even:
            missing: Sequence[int] = _on_grid(steps, at, even)
            found.append(Gap(steps[at], steps[at + 1], missing, f"every {even}", difference / even))
        elif ratio is not None and powers >= APART:
            several = (round(steps[at] * ratio**k) for k in range(1, math.ceil(powers - 1e-3)))
            found.append(Gap(steps[at], steps[at + 1], tuple(several), f"times {ratio:g}", powers))
    return found


def _on_grid(steps: Sequence[int], at: int, even: int) -> range:
    """The steps between two neighbours on the grid that most of those around them lie on."""
    around = [*steps[max(0, at - SIDE) : at + 1][::-1], *steps[at + 1 : at + 2 + SIDE]]
    phase = Counter(step % even for step in around).most_common(1)[0][0]
    first = steps[at] + 1 + (phase - steps[at] - 1) % even
    return range(first, steps[at + 1], even)


def _even(differences: Sequence[int], at: int) -> int | None:
    left, right = differences[max(0, at - SIDE) : at], differences[at + 1 : at + 1 + SIDE]
    return _common(list(left), list(right))  # type: ignore[return-value]


def _ratio(steps: Sequence[int], at: int) -> float | None:
    ratios = [round(after / before, 6) if before > 0 else 0.0 for before, after in pairwise(steps)]
    found = _common(ratios[max(0, at - SIDE) : at], ratios[at + 1 : at + 1 + SIDE])
    return found if found is not None and found > 1 and steps[at] > 0 else None


def _common(left: Sequence[float], right: Sequence[float]) -> float | None:
    """The value that at least half of both sides have, twice at least, and each side that has two or more."""
    together = Counter([*left, *right])
    if not together:
        return None
    value, times = together.most_common(1)[0]
    sides = [side for side in (left, right) if side]
    both = all(value in side for side in sides)
    return value if both and times >= 2 and 2 * times >= len(left) + len(right) else None
