"""Numbers seen at many configs in, a formula of config fields out."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Mapping, Sequence
from fractions import Fraction
from typing import Any

import numpy as np

Point = tuple[Mapping[str, float], int]
MOST_NAMES = 6
LARGEST = 128


def solve(points: Sequence[Point], names: Sequence[str]) -> str | None:
    """The plainest formula of the names that gives every number; None where none of those tried does.

    >>> solve([({"a": 2, "b": 3}, 12), ({"a": 4, "b": 3}, 24), ({"a": 2, "b": 5}, 20)], ["a", "b"])
    '2*a*b'
    """
    if not points:
        return None
    if len({value for _, value in points}) == 1 and not names:
        return str(points[0][1])
    names = [n for n in names if all(isinstance(given.get(n), int | float) for given, _ in points)]
    if not names or len(names) > MOST_NAMES:
        return None
    target = np.array([float(value) for _, value in points])
    pieces = list(_pieces(names, [given for given, _ in points]))
    for size in (1, 2, 3):
        if size == 3 and len(pieces) > 40:
            pieces = [one for one in pieces if "/" not in one[0] and "|" not in one[0]][:32]
        best: tuple[tuple[int, int], str] | None = None
        for chosen in itertools.combinations(pieces, size):
            used = {name for formula, _, own in chosen for name in own}
            if used != set(names):
                continue
            found = _fitted(chosen, target)
            if found is not None:
                cost = (sum(len(own) for _, _, own in chosen), len(found))
                if best is None or cost < best[0]:
                    best = (cost, found)
        if best is not None:
            return best[1]
    return None


Piece = tuple[str, np.ndarray, tuple[str, ...]]


def _pieces(names: Sequence[str], values: Sequence[Mapping[str, float]]) -> Iterator[Piece]:
    """Products of names, and such products divided by one more name or rounded up, with their values."""
    columns = {name: np.array([float(given[name]) for given in values]) for name in names}
    yield "", np.ones(len(values)), ()
    for size in range(1, min(len(names), 4) + 1):
        for chosen in itertools.combinations(names, size):
            product = np.prod([columns[name] for name in chosen], axis=0)
            yield "*".join(chosen), product, chosen
            for under in names:
                if under not in chosen and np.all(columns[under] > 0):
                    yield "*".join(chosen) + f"/{under}", np.floor(product / columns[under]), (*chosen, under)
    for name, under in itertools.permutations(names, 2):
        if np.all(columns[under] > 0):
            quotient = np.floor(columns[name] / columns[under])
            for other in names:
                if other != name:
                    yield f"{name}/{under}*{other}", quotient * columns[other], (name, under, other)
    for name in names:
        yield f"{name}*{name}", columns[name] ** 2, (name,)
        for other in names:
            if other != name:
                yield f"{other}*{name}*{name}", columns[other] * columns[name] ** 2, (other, name)
        for under in names:
            if under != name and np.all(columns[under] > 0):
                quotient = np.floor(columns[name] / columns[under])
                yield f"{name}/{under}^2", quotient**2, (name, under)
        if len(names) == 1:
            for under in (2, 3, 4, 8, 16, 32, 64):
                yield f"{name}|{under}", np.ceil(columns[name] / under), (name,)
                yield f"{name}/{under}", np.floor(columns[name] / under), (name,)


def _fitted(chosen: Sequence[Piece], target: np.ndarray) -> str | None:
    matrix = np.stack([column for _, column, _ in chosen], axis=1)
    if len(target) < len(chosen):
        return None
    solution, *_ = np.linalg.lstsq(matrix, target, rcond=None)
    terms = []
    for factor, (formula, column, _) in zip(solution, chosen, strict=True):
        exact = Fraction(float(factor)).limit_denominator(16)
        if exact == 0 or abs(float(exact) - factor) > 1e-6 * max(1.0, abs(factor)):
            return None
        terms.append((exact, formula, column))
    if len(terms) > 1 and (np.linalg.matrix_rank(matrix) < len(chosen) or any(abs(f) > LARGEST for f, _, _ in terms)):
        return None  # a sum with large factors fits by chance
    said = sum(np.floor(float(f.numerator) * c / f.denominator) for f, _, c in terms)
    return "".join(_term(f, text) for f, text, _ in terms).removeprefix("+") if np.array_equal(said, target) else None


def _term(factor: Fraction, formula: str) -> str:
    sign = "-" if factor < 0 else "+"
    size = abs(factor)
    text = formula or "1"
    if size.numerator != 1:
        text = f"{size.numerator}*{text}" if formula else str(size.numerator)
    return sign + text + (f"/{size.denominator}" if size.denominator != 1 else "")


def number(value: Any) -> float | None:
    """A value as a number, yes and no as 1 and 0."""
    if isinstance(value, bool):
        return int(value)
    return value if isinstance(value, int | float) and math.isfinite(value) else 0 if value is None else None
