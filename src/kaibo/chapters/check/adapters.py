"""Adapters: factors that training left at zero, layers that the config names and the factors lack, and merges.

A merged tensor is compared with base + k·ΔW: k = ⟨D, ΔW⟩/⟨ΔW, ΔW⟩ with D = merged − base, by least squares. Storing
rounds, and what is below the step of the type is lost, so k is divided by the k₁ that the very same sums give for
base + ΔW rounded once to the type of the merged tensor. Its standard error is that of least squares.
"""

from __future__ import annotations

import math
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from kaibo.chapters.check.rows import Fault, fault
from kaibo.counting.rounding import nearest
from kaibo.models.adapters import Adapter, applied
from kaibo.models.derived.updates import Update
from kaibo.models.descriptions import read_object
from kaibo.models.formats.adapter import CONFIG
from kaibo.vocabulary import Model, Row, Tensor, widen32

LAYER = re.compile(r"\.(?:layers|layer|h|blocks|block)\.(\d{1,6})\.")
BLOCK = 1 << 20
NEAR, SURE = 0.02, 4.0
"""A scale is right where it is within the first of 1, or within so many standard errors."""


def zero_factors(rows: Sequence[Row]) -> Iterator[Fault]:
    """B that is still zero: an update that is nothing; where all are, nothing was trained."""
    outer = [row for row in rows if re.search(r"lora_(embedding_)?B|lora_b$|lora_up", row.tensor)]
    zero = [row for row in outer if row.census is not None and row.census.minimum == row.census.maximum == 0]
    for row in zero:
        yield fault("zero-b", row.tensor, count=f"{len(zero):,}", of=f"{len(outer):,}")


def unreached(adapter: Adapter) -> Iterator[Fault]:
    """Modules that `target_modules` names and that have factors in some of the adapted layers only."""
    config = read_object(adapter.target, CONFIG)
    targets = config.get("target_modules")
    if not isinstance(targets, list) or config.get("layers_to_transform") is not None:
        return
    found: dict[str, set[int]] = defaultdict(set)
    for module in adapter.modules:
        at = LAYER.search(f"{module}.")
        if at is not None:
            found[module.rpartition(".")[2]].add(int(at[1]))
    layers = set().union(*found.values()) if found else set()
    for target in targets:
        if not isinstance(target, str):
            continue
        lacking = sorted(layers - found[target.rpartition(".")[2]])
        if lacking and layers:
            listed = ", ".join(map(str, lacking[:8])) + (" …" if len(lacking) > 8 else "")
            yield fault("unreached", target, layers=listed, count=f"{len(lacking):,}", of=f"{len(layers):,}")


@dataclass
class Sums:
    """⟨D, Δ⟩, ⟨Δ, Δ⟩, ⟨D, D⟩, the first for a merge as it should be, and how many values."""

    dot: float = 0.0
    square: float = 0.0
    moved: float = 0.0
    right: float = 0.0
    n: int = 0

    @property
    def scale(self) -> float:
        """How many times ΔW was added."""
        return self.dot / self.right if self.right else math.nan

    @property
    def error(self) -> float:
        """The standard error of `scale`."""
        left = max(self.moved - self.dot**2 / self.square, 0.0) if self.square else 0.0
        return math.sqrt(left / max(self.n - 1, 1) / self.square) * self.square / abs(self.right) if self.right else 0.0


def merged(model: Model, base: Model, adapter: Adapter) -> Iterator[Fault]:
    """How many times the adapter is in the merged model; a fault where that is not once."""
    held = {tensor.canonical: tensor for tensor in model.weights}
    each = [
        (update, _sums(update, held[update.weight.canonical]))
        for update in applied(adapter, base).updates
        if update.weight.canonical in held and held[update.weight.canonical].shape == update.weight.shape
    ]
    known = [(update, found) for update, found in each if found.square > 0]
    whole = _added([found for _, found in known])
    wrong = [(update, found) for update, found in known if not _right(found)]
    if not known or (not wrong and _right(whole)):
        return
    for update, found in wrong if len(wrong) < len(known) else ():
        yield _fault(update.weight.canonical, found)
    if len(wrong) == len(known) or not wrong:
        yield _fault(None, whole)


def _right(found: Sums) -> bool:
    return abs(found.scale - 1) <= max(NEAR, SURE * found.error)


def _fault(name: str | None, found: Sums) -> Fault:
    times = found.scale
    kind = "merged-not" if abs(times) < 0.25 else "merged-twice" if abs(times - 2) < 0.1 else "merged-scale"
    return fault(kind, name, scale=f"{times:.4f}", error=f"{found.error:.2g}", n=f"{found.n:,}")


def _added(several: Iterable[Sums]) -> Sums:
    total = Sums()
    for one in several:
        for name in ("dot", "square", "moved", "right", "n"):
            setattr(total, name, getattr(total, name) + getattr(one, name))
    return total


def _sums(update: Update, tensor: Tensor) -> Sums:
    """The sums of one tensor, a block at a time."""
    found, at = Sums(), 0
    room = np.empty(BLOCK * tensor.dtype.itemsize, np.uint8)
    for weights, values in update.blocks(BLOCK):
        delta = values.astype(np.float64)
        stored = _read(tensor, at, at + delta.size, room)
        right = _stored(tensor.dtype.name, weights + delta)
        keep = np.isfinite(stored) & np.isfinite(weights) & np.isfinite(delta)
        moved, should, delta = (stored - weights)[keep], (right - weights)[keep], delta[keep]
        found.dot += float(moved @ delta)
        found.square += float(delta @ delta)
        found.moved += float(moved @ moved)
        found.right += float(should @ delta)
        found.n, at = found.n + int(keep.sum()), at + weights.size
    return found


def _read(tensor: Tensor, begin: int, end: int, room: NDArray[np.uint8]) -> NDArray[np.float64]:
    chunks = [widen32(tensor.dtype.name, chunk) for chunk in tensor.chunks(room, begin, end)]
    return np.concatenate(chunks).astype(np.float64)


def _stored(dtype: str, values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Values rounded once to a type."""
    if dtype in ("BF16", "F16"):
        return nearest(dtype.lower(), values, 1)
    return values if dtype == "F64" else values.astype(np.float32).astype(np.float64)
