"""Columns that are averages of others: found as means, never by rank, and only where chance cannot explain them.

A column is a mean when, in every row, it equals the mean of a few other columns (missing members skipped), or a
weighting of them that sums to one without negative weights, within the rounding of what is printed. Members of a
mean cannot themselves be such a mean of the others: B = 2A − C needs a negative weight.

With few models some subset fits by accident. The number of subsets tried times the chance that one of them agrees
in every row (rounding over spread, to the power of the rows less the weights that were fitted) has to stay under
`COINCIDENCE`, else nothing is claimed.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import comb, log10

import numpy as np
from numpy.typing import NDArray

from kaibo.tables.searching import means_of_few, means_of_runs
from kaibo.vocabulary.scores import ScoreTable

Floats = NDArray[np.float64]

COINCIDENCE = 1e-6
"""How many accidental means over a whole table are tolerated, in expectation."""

LONGEST_RUN = 64
"""Neighbouring columns that one average may be of."""

WIDEST_PAIRS, WIDEST_TRIPLES, WIDEST_DUPLICATES = 400, 160, 2000
"""Columns up to which all pairs of members, all triples, and all near-duplicates are tried."""

DISTINCT = 5
"""Different values a column needs before it can be called a mean."""

DECIMALS = 12
"""Digits behind the point beyond which a number was not rounded for print."""


@dataclass(frozen=True)
class Average:
    """One column that is a mean: its members, their weights, and the largest distance from the mean in any row."""

    benchmark: str
    members: tuple[str, ...]
    weights: tuple[float, ...]
    residual: float

    @property
    def equal(self) -> bool:
        """Whether all members weigh the same."""
        return max(self.weights) - min(self.weights) < 1e-9


def averages(table: ScoreTable) -> tuple[Average, ...]:
    """The columns of a table that are means of others, in the order of the table."""
    values = np.ascontiguousarray(table.values)
    rows, columns = values.shape
    if columns < 3 or rows < 2:
        return ()
    rounding = np.array([_rounding(values[:, place]) for place in range(columns)])
    spread = np.array([_spread(values[:, place]) for place in range(columns)])
    telling = [_telling(values[:, place]) for place in range(columns)]
    found: dict[int, tuple[tuple[int, ...], Floats]] = {}
    for search in (_small_subsets, _runs, _groups(table.benchmarks), _weighted):
        for target, members, weights, tried, free in search(values, rounding, set(found)):
            if (
                target not in found
                and telling[target]
                and _believed(target, members, values, rounding, spread, tried, free)
            ):
                found[target] = (members, weights)
    return tuple(
        Average(
            table.benchmarks[target],
            tuple(table.benchmarks[member] for member in members),
            tuple(float(round(weight, 12)) for weight in weights),
            float(np.nanmax(np.abs(_mean(values, members, weights) - values[:, target]))),
        )
        for target, (members, weights) in sorted(found.items())
    )


Hit = tuple[int, tuple[int, ...], Floats, float, int]
"""Target, members, weights, how many candidates were tried for this target, how many weights were fitted."""


def _rounding(values: Floats) -> float:
    """Half a unit of the last printed digit of a column, with float64's own rounding as the least."""
    said = values[~np.isnan(values)][:2000]
    floor = 1e-12 * float(np.abs(said).max()) if len(said) else 0.0
    decimals = max((len(np.format_float_positional(v, trim="-").partition(".")[2]) for v in said.tolist()), default=0)
    return floor if decimals > DECIMALS else max(0.5 * 10.0**-decimals, floor)


def _spread(values: Floats) -> float:
    said = values[~np.isnan(values)]
    return float(said.std()) if len(said) > 1 else 0.0


def _mean(values: Floats, members: tuple[int, ...], weights: Floats) -> Floats:
    """The weighted mean of some columns in every row, over the members that are there; NaN where none is."""
    chosen = values[:, members]
    here = np.where(np.isnan(chosen), 0.0, weights)
    total = here.sum(axis=1)
    with np.errstate(invalid="ignore", divide="ignore"):
        mean: Floats = np.where(total > 0, np.nansum(chosen * here, axis=1) / total, np.nan)
    return mean


def _believed(
    target: int, members: tuple[int, ...], values: Floats, rounding: Floats, spread: Floats, tried: float, free: int
) -> bool:
    """Whether an agreement in all rows is more than chance would give among the candidates tried."""
    told = values[~np.isnan(values[:, target]) & ~np.isnan(values[:, members]).all(axis=1), target]
    _, counts = np.unique(told, return_counts=True)
    # A column of zeros with a few exceptions agrees with anything that is mostly zero: only the exceptions count.
    compared = len(told) - int(counts.max(initial=1)) + 1
    if spread[target] == 0 or any(spread[member] == 0 for member in members):
        return False
    tolerance = rounding[target] + rounding[list(members)].max()
    if _is_copy(target, members, values, tolerance):
        return False
    per_row = min(2 * tolerance / spread[target], 1.0)
    return log10(tried * values.shape[1]) + (compared - free) * log10(per_row) < log10(COINCIDENCE)


def _telling(values: Floats) -> bool:
    """Whether a column has enough different values to be called a mean of anything."""
    said = values[~np.isnan(values)]
    return len(np.unique(said)) >= min(DISTINCT, max(len(said), 2))


def _is_copy(target: int, members: tuple[int, ...], values: Floats, tolerance: float) -> bool:
    # Three copies of one column are near-duplicates, not a mean of two.
    return any(bool(np.nanmax(np.abs(values[:, member] - values[:, target])) <= tolerance) for member in members)


def _small_subsets(values: Floats, rounding: Floats, known: set[int]) -> list[Hit]:
    columns = values.shape[1]
    if columns > WIDEST_PAIRS:
        return []
    size = 3 if columns <= WIDEST_TRIPLES else 2
    hits = means_of_few(values, rounding, size)
    tried = sum(comb(columns - 1, k) for k in range(2, size + 1))
    out: list[Hit] = []
    for target, a, b, c in hits.tolist():
        members = (a, b) if c < 0 else (a, b, c)
        out.append((target, members, np.full(len(members), 1 / len(members)), tried, 0))
    return out


def _runs(values: Floats, rounding: Floats, known: set[int]) -> list[Hit]:
    """Means of neighbouring columns: an average usually stands before or after the columns it is of."""
    columns = values.shape[1]
    if columns > WIDEST_PAIRS:
        return []
    targets = np.array([place for place in range(columns) if place not in known and _telling(values[:, place])])
    hits = means_of_runs(values, rounding, targets.astype(np.int64), LONGEST_RUN)
    out: list[Hit] = []
    for target, begin, end in hits.tolist():
        out += _checked(values, rounding, target, tuple(range(begin, end)), columns * LONGEST_RUN)
    return out


def _groups(names: tuple[str, ...]) -> Callable[[Floats, Floats, set[int]], list[Hit]]:
    """Means of columns whose names begin alike, or of everything that is no average itself."""

    def search(values: Floats, rounding: Floats, known: set[int]) -> list[Hit]:
        plain = [place for place in range(len(names)) if place not in known]
        telling = [place for place in plain if _telling(values[:, place])]
        prefixes: dict[str, list[int]] = {}
        for place in range(len(names)):
            for mark in "_-.: ":
                head, found, _ = names[place].partition(mark)
                if found:
                    prefixes.setdefault(head + mark, []).append(place)
        sets = [*prefixes.values(), *([p for p in group if p not in known] for group in prefixes.values()), plain]
        out: list[Hit] = []
        for group in sets:
            for target in telling if len(group) <= WIDEST_PAIRS else []:
                members = tuple(place for place in group if place != target)
                if len(members) >= 2:
                    out += _checked(values, rounding, target, members, 3 * len(names))
        return out

    return search


def _checked(values: Floats, rounding: Floats, target: int, members: tuple[int, ...], tried: float) -> list[Hit]:
    weights = np.full(len(members), 1 / len(members))
    if not _fits(values, rounding, target, members, weights):
        return []
    return [(target, members, weights, tried, 0)]


def _fits(values: Floats, rounding: Floats, target: int, members: tuple[int, ...], weights: Floats) -> bool:
    tolerance = rounding[target] + float(weights @ rounding[list(members)])
    for rows in (values[:4], values):  # nearly every candidate falls in the first rows
        distance = np.abs(_mean(rows, members, weights) - rows[:, target])
        if not (np.isnan(distance) | (distance <= tolerance * (1 + 1e-6))).all():
            return False
    return True


def _weighted(values: Floats, rounding: Floats, known: set[int]) -> list[Hit]:
    """Non-negative weights that sum to one, fitted on the complete rows among the columns that are no averages."""
    from scipy.optimize import nnls

    columns = values.shape[1]
    sources = [place for place in range(columns) if place not in known and not np.isnan(values[:, place]).all()]
    out: list[Hit] = []
    for target in sources if columns <= WIDEST_TRIPLES else []:
        others = [place for place in sources if place != target]
        whole = values[~np.isnan(values[:, [target, *others]]).any(axis=1)]
        if len(whole) < 4:
            continue
        heavy = 1e3 * max(float(np.abs(whole).max()), 1.0)  # a heavy row holds the sum of the weights at one
        try:
            weights, _ = nnls(
                np.vstack([whole[:, others], np.full(len(others), heavy)]), np.append(whole[:, target], heavy)
            )
        except RuntimeError:
            continue
        chosen = np.flatnonzero(weights > 1e-6)
        members = tuple(others[place] for place in chosen)
        # Few models are always the mean of some of many columns: a subset is small against the rows it explains.
        if len(members) < 2 or 2 * len(members) > len(whole):
            continue
        share = weights[chosen] / weights[chosen].sum()
        for candidate, free in ((np.full(len(members), 1 / len(members)), 0), (share, len(members) - 1)):
            if _fits(values, rounding, target, members, candidate):
                tried = float(comb(len(others), len(members)))
                out.append((target, members, candidate, tried, free))
                break
    return out


def near_duplicates(table: ScoreTable, threshold: float = 0.99) -> tuple[tuple[str, str, float], ...]:
    """Pairs of columns that say nearly the same: |Pearson r| of at least `threshold` over at least four models."""
    names, values = table.benchmarks, table.values
    if values.shape[1] > WIDEST_DUPLICATES or not values.size:
        return ()
    here = ~np.isnan(values)
    counts = here.sum(axis=0)
    means = np.where(here, values, 0.0).sum(axis=0) / np.maximum(counts, 1)
    x, m = np.where(here, values - means, 0.0), here.astype(np.float64)
    n, sums, squares = m.T @ m, x.T @ m, (x**2).T @ m  # over the models that both columns have
    with np.errstate(invalid="ignore", divide="ignore"):
        cross = x.T @ x - sums * sums.T / n
        variance = squares - sums**2 / n
        r = cross / np.sqrt(variance * variance.T)
    tiny = 1e-12 * np.maximum(squares, squares.T)
    alike = (n >= 4) & (np.abs(r) >= threshold) & (variance > tiny) & (tiny < variance.T)
    return tuple((names[a], names[b], float(r[a, b])) for a, b in np.argwhere(np.triu(alike, 1)))
