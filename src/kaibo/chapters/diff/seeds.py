"""Is it more than the seed? Distances between models of different data sets beside those between mere seeds.

Both means run over pairs of different seeds only, so that what a seed does stands in both and only the data set
differs. The interval resamples models within each data set with replacement; a model drawn twice is at no distance
from itself, and such pairs are left out. The null relabels the data sets: within each seed where seeds were used for
several data sets (which is exact whatever a seed does), among all models where every seed was used once.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from kaibo.chapters.diff.distances import distance_matrix
from kaibo.chapters.diff.pair_rows import SEEDS, PairwiseRow, SeedRow
from kaibo.uncertainty.permutation import arrangements, drawn_labellings, every_labelling
from kaibo.uncertainty.resampling import interval
from kaibo.vocabulary import Finding
from kaibo.words import note

DRAWS = 2000
MOST_RELABELLINGS = 10_000
LEAST_MODELS = 3
"""Models that a data set needs for the bootstrap; of two, half of the draws hold no pair at all."""

NOTES = (
    note("seeds_ratio"),
    note("seeds_interval"),
    note("seeds_least"),
)

Floats = NDArray[np.float64]
Numbers = NDArray[np.int64]


@dataclass(frozen=True)
class Label:
    """What a model was trained on and under which seed."""

    dataset: str
    seed: str


@dataclass(frozen=True, eq=False)
class _Design:
    """Data sets and seeds as numbers, and which pairs are of different seeds (the upper triangle)."""

    datasets: Numbers
    seeds: Numbers
    apart: NDArray[np.bool_]


def seeds(found: Sequence[PairwiseRow], labels: Mapping[str, Label], seed: int = 0) -> Finding[SeedRow]:
    """The ratio for L1 and for L2, over the tuned models that have a label (by their address).

    `seed` is that of the bootstrap and of the relabellings. Where there are too few models to say something it is
    None, and `why` says what is missing.
    """
    rows = [row for row in found if row.by == "model" and row.a in labels and row.b in labels]
    if not rows:
        return Finding(SEEDS, ())
    return Finding(SEEDS, tuple(_row(rows, labels, norm, seed) for norm in ("l1", "l2")), NOTES)


def _row(rows: Sequence[PairwiseRow], labels: Mapping[str, Label], norm: str, seed: int) -> SeedRow:
    models, distances = distance_matrix(rows, norm)
    design = _design([labels[model] for model in models])
    same = design.datasets[:, None] == design.datasets[None, :]
    within, between = design.apart & same, design.apart & ~same
    means = _mean(distances, within), _mean(distances, between)
    ratio = None if means[0] is None or means[1] is None or means[0] == 0 else means[1] / means[0]
    rng = np.random.default_rng(seed)
    low, high = (None, None) if ratio is None else _bootstrap(distances, design, rng)
    null = _Null(None, None, 0, False) if ratio is None else _relabelled(distances, design, ratio, rng)
    return SeedRow(
        distance_norm=norm,
        models=len(models),
        datasets=len(set(design.datasets.tolist())),
        within_pairs=int(within.sum()),
        between_pairs=int(between.sum()),
        within=means[0],
        between=means[1],
        ratio=ratio,
        ratio_low=low,
        ratio_high=high,
        p=null.p,
        p_least=null.least,
        relabellings=null.count,
        exact=null.exact,
        why=_why(means, ratio, low, null),
    )


def _design(labels: Sequence[Label]) -> _Design:
    datasets = np.unique([label.dataset for label in labels], return_inverse=True)[1].reshape(-1)
    seeds = np.unique([label.seed for label in labels], return_inverse=True)[1].reshape(-1)
    different = seeds[:, None] != seeds[None, :]
    return _Design(datasets.astype(np.int64), seeds.astype(np.int64), np.triu(different, 1))


def _mean(distances: Floats, chosen: NDArray[np.bool_]) -> float | None:
    return float(distances[chosen].mean()) if chosen.any() else None


def _why(
    means: tuple[float | None, float | None], ratio: float | None, low: float | None, null: _Null
) -> dict[str, str]:
    if ratio is None:
        reason = "no two models of one data set have different seeds" if means[0] is None else ""
        reason = reason or ("no two data sets with different seeds" if means[1] is None else "all seeds are equal")
        return dict.fromkeys(("ratio", "ratio_low", "ratio_high", "p"), reason)
    why = (
        {}
        if low is not None
        else dict.fromkeys(("ratio_low", "ratio_high"), "a bootstrap needs two data sets of three models")
    )
    return why | ({"p": "the data sets can be relabelled in one way only"} if null.p is None else {})


def _bootstrap(distances: Floats, design: _Design, rng: np.random.Generator) -> tuple[float | None, float | None]:
    """The percentile interval of the ratio over models drawn within their data sets."""
    counts = Counter(design.datasets.tolist())
    if len(counts) < 2 or sum(count >= LEAST_MODELS for count in counts.values()) < 2:
        return None, None
    weights = np.zeros((DRAWS, design.datasets.size))
    for dataset, count in sorted(counts.items()):
        drawn = rng.multinomial(count, np.full(count, 1 / count), size=DRAWS)
        weights[:, design.datasets == dataset] = drawn
    same = design.datasets[:, None] == design.datasets[None, :]
    means = []
    for chosen in (design.apart & ~same, design.apart & same):
        with np.errstate(invalid="ignore"):
            total = np.einsum("di,ij,dj->d", weights, np.where(chosen, distances, 0.0), weights)
            means.append(total / np.einsum("di,ij,dj->d", weights, chosen.astype(float), weights))
    with np.errstate(invalid="ignore", divide="ignore"):
        low, high = interval(means[0] / means[1])
    return float(low), float(high)


@dataclass(frozen=True)
class _Null:
    p: float | None
    least: float | None
    count: int
    exact: bool


def _relabelled(distances: Floats, design: _Design, ratio: float, rng: np.random.Generator) -> _Null:
    """The share of relabellings of the data sets whose ratio is at least as large as the one that was measured."""
    blocks = _blocks(design)
    count = math.prod(arrangements(design.datasets[block]) for block in blocks)
    if count < 2:
        return _Null(None, None, count, True)
    exact = count <= MOST_RELABELLINGS
    labellings = (
        every_labelling(design.datasets, blocks)
        if exact
        else drawn_labellings(design.datasets, blocks, MOST_RELABELLINGS - 1, rng)
    )
    least = ratio * (1 - 1e-12)
    own = design.apart & (design.datasets[:, None] == design.datasets[None, :])
    above = total = alike = 0
    for labelled in labellings:
        same = labelled[:, None] == labelled[None, :]
        within, between = _mean(distances, design.apart & same), _mean(distances, design.apart & ~same)
        total += 1
        alike += np.array_equal(design.apart & same, own)
        above += within is not None and between is not None and between >= least * within
    if not exact:
        return _Null((1 + above) / (1 + total), 1 / (1 + total), total, exact)
    return _Null(above / total, alike / total, total, exact)


def _blocks(design: _Design) -> list[NDArray[np.intp]]:
    """The models among which data sets may be exchanged."""
    by_seed = [np.flatnonzero(design.seeds == seed) for seed in np.unique(design.seeds)]
    if any(arrangements(design.datasets[block]) > 1 for block in by_seed):
        return by_seed
    return [np.arange(design.datasets.size)]
