"""A run as a series of checkpoints: its audit, and the trajectories of its weights.

Where checkpoints repeat each other only the first of them has a place on the path (of those that equal the last one,
the last); distances, order and jumps are judged along the path. ‖θ_k − θ_i‖ two apart gives the cosine of successive
updates, since ‖a + b‖² = ‖a‖² + ‖b‖² + 2a·b, whose terms are of one size here, so that nothing cancels.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from itertools import pairwise

from kaibo.chapters.series.audit import Judged, Path, audit, path_of
from kaibo.chapters.series.rows import SERIES, AuditRow, SeriesCheckpoint, SeriesRow
from kaibo.chapters.series.rules import between, cosine_at, exponents, jumps, out_of_order, scaling
from kaibo.version import __version__
from kaibo.vocabulary import Finding
from kaibo.vocabulary.series import CheckpointFacts, ConfigChange, Distances, Unreadable
from kaibo.words import note

NOTES = (
    note("series_distance"),
    note("series_rate"),
)


def needed(path: Path) -> list[tuple[int, int]]:
    """The pairs of places whose distances the trajectories need: neighbours, two apart, to the start, to the end."""
    places = path.places
    pairs = [*pairwise(places), *zip(places, places[2:], strict=False)]
    pairs += [(places[0], place) for place in places[1:]] + [(place, places[-1]) for place in places[:-1]]
    return list(dict.fromkeys(pairs))


def series(
    facts: Sequence[CheckpointFacts],
    distances: Distances,
    unreadable: Sequence[Unreadable] = (),
    changes: Sequence[ConfigChange] = (),
) -> Finding[SeriesRow]:
    """The audit and the trajectories of checkpoints in order; `distances` are those that `needed` names."""
    path = path_of(facts)
    steps = _steps(facts, path)
    local = _local(path, distances)
    timed = [place for place, step in enumerate(steps) if step is not None]
    local_exponents = exponents([steps[at] or 0 for at in timed], _renumbered(local, timed))
    exponent = scaling(local_exponents)
    logs = _logs(steps, local, [exponent] * len(steps))
    found, spread = jumps(logs)
    judged = Judged(local, out_of_order(len(path.places), local), found, spread)
    rows = audit(facts, unreadable, changes, path, judged)
    rates = _rates(_logs(steps, local, _spread_out(between(local_exponents), timed, len(steps), exponent)))
    checkpoints = tuple(_checkpoint(facts, path, at, local, rates, rows) for at in range(len(facts)))
    models = {one.address: one.model_id for one in facts}
    row = SeriesRow(checkpoints, rows, exponent, spread)
    return Finding(SERIES, (row,), NOTES, {"models": models, "kaibo": __version__})


def _steps(facts: Sequence[CheckpointFacts], path: Path) -> list[int | None]:
    """The step of each place of the path; None where it has none, or the same as the one before."""
    steps: list[int | None] = []
    for place in path.places:
        step = facts[place].step
        steps.append(None if step in steps else step)
    return steps


def _local(path: Path, distances: Distances) -> dict[tuple[int, int], float]:
    """The distances between places of the path instead of places in the series."""
    at = {place: number for number, place in enumerate(path.places)}
    return {(at[i], at[j]): value for (i, j), value in distances.items() if i in at and j in at}


def _renumbered(local: Mapping[tuple[int, int], float], chosen: Sequence[int]) -> dict[tuple[int, int], float]:
    at = {place: number for number, place in enumerate(chosen)}
    return {(at[i], at[j]): value for (i, j), value in local.items() if i in at and j in at}


def _spread_out(found: Sequence[float], timed: Sequence[int], count: int, rest: float) -> list[float]:
    """The exponents between places that have a step, at the places of the whole path."""
    out = [rest] * count
    for at, value in zip(timed, found, strict=False):
        out[at] = value
    return out


def _logs(
    steps: Sequence[int | None], local: Mapping[tuple[int, int], float], powers: Sequence[float]
) -> list[float | None]:
    """ln(distance ÷ steps^p) of every two neighbours; None where distance or steps are not known or zero."""
    logs: list[float | None] = []
    for at in range(len(steps) - 1):
        before, after, length = steps[at], steps[at + 1], local.get((at, at + 1), 0.0)
        if before is None or after is None or after <= before or not 0 < length < math.inf:
            logs.append(None)
        else:
            logs.append(math.log(length) - powers[at] * math.log(after - before))
    return logs


def _rates(logs: Sequence[float | None]) -> list[float | None]:
    known = [value for value in logs if value is not None]
    return [None if value is None else math.exp(value - max(known)) for value in logs]


def _checkpoint(
    facts: Sequence[CheckpointFacts],
    path: Path,
    place: int,
    local: Mapping[tuple[int, int], float],
    rates: Sequence[float | None],
    found: Sequence[AuditRow],
) -> SeriesCheckpoint:
    one, why = facts[place], dict[str, str]()
    at = path.places.index(path.repeats.get(place, place))
    last = len(path.places) - 1
    numbers: dict[str, float | None] = {
        "from_start": 0.0 if at == 0 else local.get((0, at)),
        "to_end": 0.0 if at == last else local.get((at, last)),
        "step_length": local.get((at - 1, at)) if at else None,
        "cosine": cosine_at(local, at),
        "rate": rates[at - 1] if at else None,
    }
    if place in path.repeats:
        numbers |= dict.fromkeys(("step_length", "cosine", "rate"))
        why = dict.fromkeys(
            ("step_length", "cosine", "rate"), note("series_same", name=facts[path.repeats[place]].name)
        )
    reasons = {
        "step_length": "nothing before it", "rate": "no known number of steps before it",
        "cosine": "no update on one side, or one is too small beside the other",
    }  # fmt: skip
    for name, value in numbers.items():
        if value is None:
            why.setdefault(name, reasons.get(name, "not measured"))
    flags = tuple(dict.fromkeys(row.kind for row in found if one.name in row.checkpoints))
    return SeriesCheckpoint(
        one.address, one.name, one.step, one.model_id, one.n, one.norm, mae=one.mae, nonfinite=one.nonfinite,
        sigma=one.sigma, stable_rank=one.stable_rank, entropy_rank=one.entropy_rank, flags=flags, why=why, **numbers,
    )  # fmt: skip
