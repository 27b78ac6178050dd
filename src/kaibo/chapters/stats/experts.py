"""The experts of a mixture: how large each is, how alike two of a layer are, and its row of the router.

Experts that lie in a tensor each and experts that are stacked in one are read alike, in one pass. The cosine of two
experts is that of all their weights of a layer; of unrelated weights it lies within ±3 ÷ √n of 0.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from kaibo.chapters.stats.rows import EXPERTS, ExpertRow
from kaibo.collect import Options
from kaibo.collect.engine import ordered
from kaibo.version import __version__
from kaibo.vocabulary import Finding, Model, Tensor, floats_of
from kaibo.words import note

NUMBER = re.compile(r"(?:^|\.)experts\.(\d{1,6})\.")
SPAN = 1 << 22
"""Values that are held at a time, of all experts of a layer together."""

Floats = NDArray[np.float64]
Place = tuple[Tensor, int]
"""A tensor, and where in it the values of an expert begin."""


@dataclass(frozen=True)
class Part:
    """The same weight of all experts of a layer, in the order of their numbers."""

    layer: int | None
    experts: tuple[int, ...]
    places: tuple[Place, ...]
    n: int


def parts_of(model: Model) -> Iterator[Part]:
    """Every weight that each expert of a layer has; stacked experts lie along the first axis."""
    alone: dict[tuple[int | None, str], dict[int, Tensor]] = defaultdict(dict)
    for tensor in model.weights:
        if not tensor.role.startswith("expert"):
            continue
        found = NUMBER.search(tensor.canonical)
        if found:
            alone[tensor.layer, NUMBER.sub(".experts.*.", tensor.canonical)][int(found[1])] = tensor
        elif len(tensor.shape) >= 2 and tensor.shape[0] > 1:
            size = tensor.size // tensor.shape[0]
            places = tuple((tensor, expert * size) for expert in range(tensor.shape[0]))
            yield Part(tensor.layer, tuple(range(tensor.shape[0])), places, size)
    for (layer, _), members in alone.items():
        sizes = {tensor.size for tensor in members.values()}
        if len(members) > 1 and len(sizes) == 1:
            numbers = tuple(sorted(members))
            yield Part(layer, numbers, tuple((members[number], 0) for number in numbers), sizes.pop())


def experts(model: Model, options: Options) -> list[ExpertRow]:
    """A row for each expert of each layer; none where the model has no experts. Raises what reading raises."""
    parts = list(parts_of(model))
    layers: dict[int | None, tuple[tuple[int, ...], Floats, int]] = {}
    options.progress.begin("experts", sum(part.n * len(part.experts) for part in parts))
    with closing(ordered(parts, _products, options.workers)) as under_way:
        for part, products in zip(parts, under_way, strict=True):
            options.progress.advance(part.n * len(part.experts))
            numbers, before, n = layers.get(part.layer, (part.experts, np.zeros_like(products), 0))
            if numbers == part.experts:
                layers[part.layer] = numbers, before + products, n + part.n
    routers = {tensor.layer: tensor for tensor in model.weights if tensor.role == "router"}
    return [row for layer, held in layers.items() for row in _rows(model, layer, held, routers)]


def _products(part: Part) -> Floats:
    """The inner product of every two experts, added in float64 over spans."""
    total, step = np.zeros((len(part.experts), len(part.experts))), max(SPAN // len(part.experts), 1)
    for begin in range(0, part.n, step):
        end = min(begin + step, part.n)
        rows = np.stack([floats_of(tensor, at + begin, at + end) for tensor, at in part.places]).astype(
            np.float64, copy=False
        )
        total += rows @ rows.T
    return total


def _rows(
    model: Model, layer: int | None, held: tuple[tuple[int, ...], Floats, int], routers: Mapping[int | None, Tensor]
) -> Iterator[ExpertRow]:
    numbers, products, n = held
    norms = np.sqrt(np.diag(products))
    with np.errstate(invalid="ignore", divide="ignore"):
        cosines = products / norms[:, None] / norms[None, :]
    np.fill_diagonal(cosines, np.nan)
    router = _router(routers.get(layer), len(numbers))
    for at, number in enumerate(numbers):
        known = np.flatnonzero(np.isfinite(cosines[at]))
        closest = int(known[np.abs(cosines[at][known]).argmax()]) if known.size else None
        nothing = note("expert_nothing")
        why = {} if closest is not None else dict.fromkeys(("closest", "similarity", "mean_similarity"), nothing)
        yield ExpertRow(
            model=model.address,
            layer=layer,
            expert=number,
            n=n,
            rms=float(norms[at]) / n**0.5,
            closest=None if closest is None else numbers[closest],
            similarity=None if closest is None else float(cosines[at, closest]),
            mean_similarity=float(cosines[at][known].mean()) if known.size else None,
            chance_limit=3 / n**0.5,
            router=None if router is None else float(router[at]),
            why=why if router is not None else {**why, "router": note("expert_router")},
        )


def _router(tensor: Tensor | None, count: int) -> Floats | None:
    """The norm of each expert's row of the router; None where there is none of that many rows."""
    if tensor is None or len(tensor.shape) != 2 or tensor.shape[0] != count:
        return None
    found: Floats = np.linalg.norm(floats_of(tensor).astype(np.float64).reshape(tensor.shape), axis=1)
    return found


def of_models(rows: Sequence[ExpertRow]) -> Finding[ExpertRow]:
    """The finding of all rows."""
    return Finding(EXPERTS, tuple(rows), (note("expert_cosine"),) if rows else (), {"kaibo": __version__})
