"""What do SFT and DPO change, and is that stable across seeds? Norms of task vectors, and published norms judged."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import kaibo

PARAMETERS, LINEAR = 8_030_261_248, 6_979_321_856
"""Weights of the source's base, and those of its linear layers alone."""

PUBLISHED = {
    "sft-1e-4-42": (1073358.0, 16.658565739582745),
    "sft-1e-4-100": (2859111.0, 45.28603753158914),
    "dpo-1e-5-42": (283154.5, 2.7612353904133857),
    "dpo-1e-5-100": (280975.25, 2.695570339088263),
    "sft-1e-5-42": (277361.125, 2.20031771804024),
    "sft-1e-5-100": (278791.25, 2.217655637326153),
}
"""L1 and L2 of the difference of two fine-tunes on other data, as the source printed them."""

MOVES = 0.25
"""The distance between two data sets moves with the seed where it differs by more than this share of its mean."""


@dataclass(frozen=True)
class Cell:
    """Fine-tunes of one base by one method at one learning rate: what changed, and between which data and seeds."""

    method: str
    rate: float
    differences: Any
    labels: Mapping[str, Any]


@dataclass(frozen=True)
class Measured:
    """The published rows as they can be judged, and a cell for each method and learning rate of the models given."""

    published: Any
    cells: tuple[Cell, ...]
    scale: str


def measure(inputs: kaibo.Inputs) -> Measured:
    """Judges the published norms, and compares the children of one parent by method and learning rate."""
    published = kaibo.norms((PARAMETERS, *norms) for norms in PUBLISHED.values())
    children = [one for one in inputs.members if one.get("kind") in ("sft", "dpo") and one.get("place") != "adapter"]
    parents = {one["name"]: one for one in inputs.members if "name" in one}
    groups: dict[tuple[str, float, str], list[Mapping[str, Any]]] = {}
    for child in children:
        groups.setdefault((child["kind"], child["learning_rate"], child["parent"]), []).append(child)
    cells = tuple(
        compared(method, rate, parents[parent], members, inputs)
        for (method, rate, parent), members in sorted(groups.items(), key=lambda group: str(group[0]))
        if parent in parents and parents[parent].get("kind") == "pretrain" and len(members) > 1
    )
    size = max((int(one.get("size", 0)) for one in children), default=0)
    return Measured(published, cells, "published" if size == PARAMETERS else "nursery")


def compared(
    method: str, rate: float, parent: Mapping[str, Any], members: list[Mapping[str, Any]], inputs: kaibo.Inputs
) -> Cell:
    """One cell, read in one pass over the parent and all its children."""
    labels = {one["address"]: kaibo.Label(str(one["data"]), str(one["seed"])) for one in members}
    found = kaibo.diff(parent["address"], list(labels), labels=labels, settings=inputs.settings)
    return Cell(method, rate, found, labels)


def analyse(measured: Measured) -> kaibo.Results:
    """Which published rows can be norms; how far data sets and seeds lie apart where models were given."""
    rows = measured.published.rows
    possible = [kaibo.Outcome(name, bool(row.holds)) for name, row in zip(PUBLISHED, rows, strict=True)]
    findings: dict[str, Any] = {"published": measured.published}
    for cell in measured.cells:
        findings[f"norms-{cell.method}-{cell.rate:g}"] = cell.differences.norms
        findings[f"pairs-{cell.method}-{cell.rate:g}"] = cell.differences.pairs
        if cell.differences.seeds.rows:
            findings[f"seeds-{cell.method}-{cell.rate:g}"] = cell.differences.seeds
    return kaibo.Results(findings, (*possible, *stability(measured)), sentences(measured))


def stability(measured: Measured) -> list[kaibo.Outcome]:
    """Whether the distance between data sets moves with the seed, at the highest and the lowest learning rate."""
    out: list[kaibo.Outcome] = []
    for method in ("sft", "dpo"):
        cells = sorted((cell for cell in measured.cells if cell.method == method), key=lambda cell: cell.rate)
        named = [("high", cells[-1])] if len(cells) > 1 else []
        for name, cell in [*named, *([("low", cells[0])] if cells else [])]:
            spread = seed_spread(cell)
            if spread is None:
                continue
            moves = spread > MOVES
            what = f"{method}-{name}-{'moves' if name == 'high' else 'steady'}"
            out.append(kaibo.Outcome(what, moves if name == "high" else not moves, scale=measured.scale))
    return out


def seed_spread(cell: Cell) -> float | None:
    """By what share of its mean the distance between two data sets differs from seed to seed."""
    by_seed: dict[str, float] = {}
    rows = {frozenset((row.a, row.b)): row for row in cell.differences.pairs.rows}
    for (one, first), (other, second) in combinations(cell.labels.items(), 2):
        row = rows.get(frozenset((one, other)))
        if row is not None and first.seed == second.seed and first.dataset != second.dataset:
            by_seed[first.seed] = row.l2
    distances = list(by_seed.values())
    if len(distances) < 2:
        return None
    return (max(distances) - min(distances)) / (math.fsum(distances) / len(distances))


def sentences(measured: Measured) -> tuple[tuple[str, dict[str, Any]], ...]:
    """How many published rows cannot be, by how much, and what the children of the models given show."""
    rows = measured.published.rows
    ratio = max(l1 / l2 for l1, l2 in PUBLISHED.values())
    broken = {"whole": ratio / math.sqrt(PARAMETERS), "linear": ratio / math.sqrt(LINEAR)}
    impossible = {"count": sum(not row.holds for row in rows), "rows": len(rows), "n": PARAMETERS, **broken}
    spreads = [(cell, seed_spread(cell)) for cell in measured.cells]
    seen = [
        ("spread", {"method": cell.method.upper(), "rate": cell.rate, "spread": spread})
        for cell, spread in spreads
        if spread is not None
    ]
    return (("impossible", impossible), ("cause", {}), *seen)


study = kaibo.Study("task_vectors", measure, analyse)
