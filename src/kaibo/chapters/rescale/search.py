"""The search for exponents over a model, a coupling at a time: what is held is the counts of one coupling's channels.

Every sweep reads each coupled tensor once for each coupling that it is in.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from kaibo.chapters.rescale import powers_of_two as scaling
from kaibo.chapters.rescale.powers_of_two import CANDIDATES, Towards
from kaibo.collect.censuses import Options
from kaibo.collect.engine import named
from kaibo.collect.watch.progress import quiet
from kaibo.collect.watch.stopping import Stopping
from kaibo.counting.scaling import Small, Tally
from kaibo.errors import KaiboError
from kaibo.models.derived.couplings import Coupling, Side
from kaibo.models.derived.rescaled import Factors
from kaibo.vocabulary import Tensor

SWEEPS = 4
"""Passes over all couplings at most; a sweep that gains less than `ENOUGH` is the last."""

ENOUGH = 1e-6

TRIED, PROMISING = 3, 4
"""Layers in which every start of the search away from the law is tried, and starts that are followed further."""


@dataclass(frozen=True)
class Found:
    """The factors of every tensor that has some, and what the search came to.

    `totals` are the first digits 1 to 9 of the whole model with them; `moved` of the channels have a factor that is
    not one, `kept_back` had an exponent refused.
    """

    factors: dict[str, Factors]
    totals: NDArray[np.int64]
    moved: int
    kept_back: int
    sweeps: int


@dataclass
class _State:
    """The choices so far: a place among the candidates for each channel of each coupling, and what they come to."""

    couplings: Sequence[Coupling]
    options: Options
    chosen: list[Small] = field(default_factory=list)
    held: dict[str, tuple[Small, Small]] = field(default_factory=dict)
    kept_back: list[int] = field(default_factory=list)

    def __post_init__(self) -> None:
        start = int(np.flatnonzero(CANDIDATES == 0)[0])
        self.chosen = [np.full(one.channels, start, np.int8) for one in self.couplings]
        self.kept_back = [0] * len(self.couplings)
        for coupling in self.couplings:
            for side in coupling.sides:
                rows, columns = _axes(side.tensor)
                self.held.setdefault(side.tensor.canonical, (np.zeros(rows, np.int8), np.zeros(columns, np.int8)))

    def counted(self, place: int) -> Tally:
        """The digits of a coupling's channels under every candidate, with what the other couplings chose."""
        coupling = self.couplings[place]
        self._give(place, -1)
        tally = Tally(coupling.channels, CANDIDATES)
        try:
            for side in coupling.sides:
                tally.add(side.tensor, side.axis, side.sign, side.channel, self.held[side.tensor.canonical])
                self.options.progress.advance(_bytes(side))
        except KaiboError as error:
            raise named(error, side.tensor) from error
        finally:
            self._give(place, 1)
        self.kept_back[place] = int(tally.refused.any(axis=1).sum())
        return tally

    def settle(self, place: int, chosen: Small) -> None:
        """Puts a coupling's new choices in the place of the old ones."""
        self._give(place, -1)
        self.chosen[place] = chosen
        self._give(place, 1)

    def _give(self, place: int, times: int) -> None:
        exponents = CANDIDATES[self.chosen[place]]
        for side in self.couplings[place].sides:
            axis = self.held[side.tensor.canonical][side.axis]
            axis += (times * side.sign * exponents[side.channel]).astype(np.int8)


def search(couplings: Sequence[Coupling], totals: NDArray[np.int64], towards: Towards, options: Options) -> Found:
    """Exponents that bring the first digits of a model, `totals` now, as near to the law or as far as they can.

    Raises what reading the tensors raises, StoppedError after a signal.
    """
    state = _State(couplings, options)
    steps = _nearer(state, totals) if towards == "law" else _farther(state, totals)
    sweeps, before = 0, scaling.distance(totals)
    with Stopping() as stopping:
        for totals in steps:
            stopping.check()
            sweeps += 1
            now = scaling.distance(totals)
            if abs(now - before) < ENOUGH:
                break
            before = now
    factors = {
        name: Factors(rows, columns) for name, (rows, columns) in state.held.items() if rows.any() or columns.any()
    }
    moved = sum(int((CANDIDATES[one] != 0).sum()) for one in state.chosen)
    return Found(factors, totals, moved, sum(state.kept_back), sweeps)


def _nearer(state: _State, totals: NDArray[np.int64]) -> Iterator[NDArray[np.int64]]:
    for _ in range(SWEEPS):
        _announce(state)
        for place in range(len(state.couplings)):
            tally, chosen = state.counted(place), state.chosen[place].copy()
            totals = scaling.nearest(tally.counts, tally.refused, chosen, totals)
            state.settle(place, chosen)
        yield totals


def _farther(state: _State, totals: NDArray[np.int64]) -> Iterator[NDArray[np.int64]]:
    signs = _best_start(state, totals)
    for _ in range(SWEEPS):
        _announce(state)
        totals = _climbed(state, totals, signs)
        yield totals
        signs = scaling.signs_of(totals)


def _climbed(state: _State, totals: NDArray[np.int64], signs: NDArray[np.float64]) -> NDArray[np.int64]:
    """One sweep over all couplings for given signs; the totals after it."""
    for place in range(len(state.couplings)):
        tally, chosen = state.counted(place), state.chosen[place].copy()
        totals = scaling.farthest(tally.counts, tally.refused, chosen, totals, signs)
        state.settle(place, chosen)
    return totals


def _best_start(state: _State, totals: NDArray[np.int64]) -> NDArray[np.float64]:
    """The signs that lead farthest in a few layers, taken to stand for all."""
    few = _few_layers(state.couplings)
    share = sum(map(_bytes, _sides(state.couplings))) / max(sum(map(_bytes, _sides(few))), 1)

    def came(found: NDArray[np.int64]) -> float:
        return scaling.distance(totals + np.rint((found - totals) * share).astype(np.int64))

    trials = []
    for signs in scaling.starts(totals):
        trial = _State(few, replace(state.options, progress=quiet))
        trials.append((signs, trial, _climbed(trial, totals, signs)))
    trials.sort(key=lambda one: -came(one[2]))
    again = [(signs, _climbed(trial, found, scaling.signs_of(found))) for signs, trial, found in trials[:PROMISING]]
    return max(again, key=lambda one: came(one[1]))[0]


def _few_layers(couplings: Sequence[Coupling]) -> tuple[Coupling, ...]:
    layers = sorted({one.layer for one in couplings if one.layer is not None})
    chosen = {layers[(2 * place + 1) * len(layers) // (2 * TRIED)] for place in range(TRIED)} if layers else set()
    return tuple(one for one in couplings if one.layer is None or one.layer in chosen)


def _sides(couplings: Sequence[Coupling]) -> Iterator[Side]:
    return (side for coupling in couplings for side in coupling.sides)


def _announce(state: _State) -> None:
    total = sum(map(_bytes, _sides(state.couplings)))
    state.options.progress.begin("first digits under powers of two", total)


def _axes(tensor: Tensor) -> tuple[int, int]:
    return tensor.shape[0], (tensor.size // tensor.shape[0] if len(tensor.shape) > 1 and tensor.shape[0] else 1)


def _bytes(side: Side) -> int:
    return side.tensor.size * side.tensor.dtype.itemsize
