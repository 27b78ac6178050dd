"""When a tensor is there: rows of what was seen, in and out of it, and the fewest words that tell them apart."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Row:
    """One layer of one config; `layer` is None outside the layers."""

    after: Mapping[str, Any]
    layer: int | None
    layers: int


Feature = tuple[int, str, np.ndarray]


class Table:
    """Rows, and every word that may be said of them, worked out once."""

    def __init__(self, rows: Sequence[Row], words: Words) -> None:
        self.rows, self.words = rows, words
        self.features = words.features(rows)
        self.entries = {name: [entry(row, name) for row in rows] for name in words.lists}

    def tell(self, there: np.ndarray, among: np.ndarray | None = None) -> str | None:
        """A condition that holds in every row with the tensor and in none without it; None where none was found."""
        among = np.ones(len(self.rows), bool) if among is None else among
        there = there & among
        if there[among].all():
            return ""
        features = [f for f in [*self.features, *self._unions(there, among)] if f[2][there].all()]
        features.sort(key=lambda f: (f[0], len(f[1])))
        without = among & ~there
        useful = [f for f in features if not f[2][without].all()]
        for size in (1, 2, 3, 4):
            for chosen in itertools.combinations(useful[: (60, 60, 36, 16)[size - 1]], size):
                if not np.logical_and.reduce([f[2] for f in chosen])[without].any():
                    return " ".join(f[1] for f in chosen)
        return self._either(there, without, features)

    def _unions(self, there: np.ndarray, among: np.ndarray) -> list[Feature]:
        found = []
        for name, entries in self.entries.items():
            values = {e for e, a in zip(entries, among, strict=True) if a}
            inside = {e for e, t in zip(entries, there, strict=True) if t}
            if None not in values and 1 < len(inside) < len(values) <= 12:
                text = f"{name}={','.join(sorted(map(str, inside)))}"
                found.append((1, text, np.array([e in inside for e in entries])))
        return found

    def _either(self, there: np.ndarray, without: np.ndarray, always: list[Feature]) -> str | None:
        """One of several words, beside what always holds."""
        held = [f for f in always if f[2][without].sum() < without.sum()][:3]
        base = np.logical_and.reduce([f[2] for f in held]) if held else np.ones(len(there), bool)
        for kept, mask in (([], without), (held, without & base)):
            safe = [f for f in self.features if not f[2][mask].any() and f[2][there].any()]
            safe.sort(key=lambda f: (f[0], len(f[1])))
            for size in (2, 3):
                for chosen in itertools.combinations(safe[:40], size):
                    if np.logical_or.reduce([f[2] for f in chosen])[there].all():
                        return " ".join([*(f[1] for f in kept), "|".join(f[1] for f in chosen)])
        return None


@dataclass(frozen=True)
class Words:
    """What conditions may speak of; `numbers` may be nought, `members` are lists of layers, `pairs` may differ."""

    flags: Sequence[str]
    numbers: Sequence[str]
    texts: Sequence[str]
    lists: Sequence[str]
    members: Sequence[str]
    rules: Sequence[str]
    pairs: Sequence[tuple[str, str]] = ()

    def features(self, rows: Sequence[Row]) -> list[Feature]:
        """Every word and its opposite, as true or false for each row, with what it costs to say."""
        found: list[Feature] = []

        def add(cost: int, text: str, values: list[bool]) -> None:
            column = np.array(values, dtype=bool)
            if column.any() and not column.all():
                found.append((cost, text, column))
                opposite = "!" + text
                if "=" in text and not text.startswith("("):
                    opposite = text.replace("=", "!=", 1)
                elif text.startswith("layer<"):
                    opposite = text.replace("<", ">=")
                elif text.startswith("("):
                    opposite = text.replace("=", "!=")
                if "<>" not in text:
                    found.append((cost + 1, opposite, ~column))

        for name in self.flags:
            add(3, name, [bool(row.after.get(name)) for row in rows])
        for name in self.numbers:
            add(3, name, [_positive(row.after.get(name)) for row in rows])
        for one, other in self.pairs:
            apart = [row.after.get(one) != row.after.get(other) for row in rows]
            add(5, f"{one}<>{other}", apart)
        for name in self.texts:
            for value in {row.after.get(name) for row in rows if isinstance(row.after.get(name), str)}:
                add(4, f"{name}={value}", [row.after.get(name) == value for row in rows])
        if rows and rows[0].layer is not None:
            self._of_layers(rows, add)
        return found

    def _of_layers(self, rows: Sequence[Row], add: Any) -> None:
        for name in self.lists:
            entries = [entry(row, name) for row in rows]
            values = {e for e in entries if e is not None}
            if len(values) > 12 or any(e is None for e in entries):
                continue
            for value in sorted(values, key=str):
                add(1, f"{name}={value}", [e == value for e in entries])
        for name in self.members:
            held = [row.after.get(name) for row in rows]
            add(4, f"layer~{name}", [isinstance(h, list) and row.layer in h for h, row in zip(held, rows, strict=True)])
        for name in self.rules:
            counts = [_count(row, name) for row in rows]
            if any(c is None for c in counts):
                continue
            add(5, f"layer<{name}", [row.layer < c for c, row in zip(counts, rows, strict=True)])
            for shift in (1, 0):
                values = [c > 0 and (row.layer + shift) % c == 0 for c, row in zip(counts, rows, strict=True)]
                add(5 if shift else 6, f"(layer+{shift})%{name}=0", values)
            add(7, f"layer<layers-{name}", [row.layer < row.layers - c for c, row in zip(counts, rows, strict=True)])
            for other in self.rules:
                if other != name and ("offset" in other or "start" in other):
                    offs = [_count(row, other) for row in rows]
                    if all(o is not None for o in offs):
                        values = [c > 0 and row.layer % c == o for c, o, row in zip(counts, offs, rows, strict=True)]
                        add(5, f"(layer-{other})%{name}=0", values)
                        values = [
                            c > 0 and max(row.layer + 1 - o, 0) % c == 0
                            for c, o, row in zip(counts, offs, rows, strict=True)
                        ]
                        add(6, f"(layer+1-{other})%{name}=0", values)
        for size in range(1, 7):
            add(8, f"layer<{size}", [row.layer < size for row in rows])
            add(9, f"layer<layers-{size}", [row.layer < row.layers - size for row in rows])
        for step in range(2, 9):
            for shift in range(step):
                add(8, f"(layer+{shift})%{step}=0", [(row.layer + shift) % step == 0 for row in rows])


def entry(row: Row, name: str) -> Any:
    held = row.after.get(name)
    if isinstance(held, list) and row.layer is not None and len(held) == row.layers:
        value = held[row.layer]
        return value if isinstance(value, str | int | bool) else None
    return None


def _positive(value: Any) -> bool:
    return isinstance(value, int | float) and value > 0


def _count(row: Row, name: str) -> int | None:
    value = row.after.get(name)
    return 0 if value is None else int(value) if isinstance(value, int) else None
