"""What is in a model twice (tensors, layers, experts), and experts that hold next to nothing: hashes and censuses."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator, Sequence
from statistics import median

from kaibo.chapters.check.rows import Fault, fault
from kaibo.chapters.check.values import is_matrix, rms
from kaibo.vocabulary import Row

TABLES = ("embedding", "head")
"""Roles whose tensors may be one table under several names."""

DEAD = 1e-3
"""An expert is dead where its root mean square is below this share of that of its layer's others."""

FEWEST = 4
EXPERT = re.compile(r"(^|\.)experts\.(\d{1,6})\.")


def repeats(rows: Sequence[Row]) -> Iterator[Fault]:
    """Layers that equal another, experts that do, single tensors that do; each once, the largest of them."""
    matrices = [row for row in rows if is_matrix(row) and row.census is not None and _varies(row)]
    layers, taken = _layers(matrices)
    yield from layers
    groups: dict[str, list[Row]] = defaultdict(list)
    for row in matrices:
        groups[row.content].append(row)
    for same in groups.values():
        others = [row for row in same if row.layer not in taken]
        if len(others) < 2 or all(row.role in TABLES for row in others):
            continue
        first, *rest = others
        kind = "equal-experts" if len({_without_expert(row) for row in others}) == 1 else "duplicate"
        yield fault(kind, rest[0].tensor, first=first.tensor, others=_listed(rest), n=f"{first.n:,}")


def _varies(row: Row) -> bool:
    return row.census is not None and row.census.minimum != row.census.maximum


def _layers(matrices: Sequence[Row]) -> tuple[list[Fault], set[int | None]]:
    """The layers of which every matrix is that of another layer, and the numbers of those."""
    held: dict[int, dict[str, str]] = defaultdict(dict)
    for row in matrices:
        if row.layer is not None:
            held[row.layer][_without_layer(row)] = row.content
    first: dict[frozenset[tuple[str, str]], int] = {}
    found, taken = [], set[int | None]()
    for layer in sorted(held):
        key = frozenset(held[layer].items())
        before = first.setdefault(key, layer)
        if before != layer and len(key) > 1:
            name = next(row.tensor for row in matrices if row.layer == layer)
            found.append(fault("duplicate-layer", name, layer=layer, other=before, count=len(key)))
            taken.add(layer)
    return found, taken


def _without_layer(row: Row) -> str:
    return row.tensor.replace(f".{row.layer}.", ".*.", 1)


def _without_expert(row: Row) -> str:
    return EXPERT.sub(r"\1experts.*.", row.tensor) if EXPERT.search(row.tensor) else f"= {row.tensor}"


def dead_experts(rows: Sequence[Row]) -> Iterator[Fault]:
    """Experts whose weights are next to nothing beside those of the others of their layer."""
    groups: dict[str, list[tuple[Row, float]]] = defaultdict(list)
    for row in rows:
        if EXPERT.search(row.tensor) and is_matrix(row):
            groups[_without_expert(row)].append((row, rms(row)))
    for members in groups.values():
        usual = median(size for _, size in members)
        for row, size in members if len(members) >= FEWEST else ():
            if 0 < size < DEAD * usual:
                yield fault("dead-expert", row.tensor, size=f"{size:.3g}", usual=f"{usual:.3g}")


def _listed(rows: Sequence[Row], most: int = 3) -> str:
    names = ", ".join(row.tensor for row in rows[:most])
    return names if len(rows) <= most else f"{names} … ({len(rows)})"
