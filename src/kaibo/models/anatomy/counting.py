"""Settings in, parameters out: each kind of tensor of the anatomy, its shape, and how often it is there."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from kaibo.models.anatomy.catalogue import Family, Kind
from kaibo.models.anatomy.conditions import names_in
from kaibo.models.anatomy.expressions import evaluate, nouns
from kaibo.models.anatomy.settings import Settings


@dataclass(frozen=True)
class Parameters:
    """How many values a model has, by role, and how many of them one token's pass uses.

    `missing` are the dimensions without which nothing can be counted.
    """

    by_role: Mapping[str, int]
    active_by_role: Mapping[str, int]
    missing: tuple[str, ...] = ()

    @property
    def total(self) -> int:
        """All values."""
        return sum(self.by_role.values())

    @property
    def active(self) -> int:
        """The values one token uses: all, but of the experts only the chosen ones."""
        return sum(self.active_by_role.values())


def count_parameters(anatomy: Family, settings: Settings) -> Parameters:
    """The parameters that the family's modelling code would make of these settings.

    Σ over kinds of tensor: product of its shape × layers that have it × experts. Tied weights are one tensor.
    """
    missing = _missing(anatomy, settings)
    if missing:
        return Parameters({}, {}, missing)
    total: dict[str, int] = {}
    active: dict[str, int] = {}
    for kind in anatomy.kinds:
        for times, (size, used) in () if kind.shape is None else _layers(kind, anatomy, settings):
            total[kind.role] = total.get(kind.role, 0) + times * size
            active[kind.role] = active.get(kind.role, 0) + times * used
    return Parameters(total, active)


def _layers(kind: Kind, anatomy: Family, settings: Settings) -> Iterator[tuple[int, tuple[int, int]]]:
    """In how many layers a kind has which sizes: layer by layer where a number differs from one to the next."""
    if not any(nouns(axis) & set(anatomy.layered) for axis in kind.shape or ()):
        if times := times_of(kind, settings):
            yield times, sizes_of(kind, settings)
        return
    layers = evaluate(kind.layers, settings.dimensions) or 0
    for layer in range(layers):
        if settings.holds(*kind.conditions, layer=layer, layers=layers):
            yield 1, sizes_of(kind, settings, layer)


def sizes_of(kind: Kind, settings: Settings, layer: int = 0) -> tuple[int, int]:
    """Values of a kind in one layer, and how many of them a token uses: of experts the chosen ones."""
    size = math.prod(shape_of(kind, settings, layer))
    experts = settings.size("experts")
    if "{expert}" in kind.name:
        return size * experts, size * _used(settings)
    stacked = kind.shape and kind.shape[0] == "experts" and "experts" in kind.name and experts
    return size, size // experts * _used(settings) if stacked else size


def _missing(anatomy: Family, settings: Settings) -> tuple[str, ...]:
    """Dimensions that a kind which is there needs, or that decide whether it is there, and that the config lacks."""
    needed = {"experts", "experts_used"} & set(anatomy.dimensions)
    lost: set[str] = set()
    own = set(anatomy.layered)
    known = set(settings.dimensions) | set(settings.flags)
    for kind in anatomy.kinds:
        words = names_in(kind.conditions)
        needed |= words & set(anatomy.dimensions)
        if kind.shape is None:
            continue
        if "{layer}" in kind.name:
            needed |= nouns(kind.layers)
        if not words & set(settings.reasons) and times_of(kind, settings):
            needed |= {noun for axis in kind.shape for noun in nouns(axis)}
            sizes = () if own else shape_of(kind, settings)
            if not own and needed <= known and (len(sizes) < len(kind.shape) or min(sizes, default=0) < 0):
                lost.add(f"the shape of {kind.name}")
        lost |= {name for name in anatomy.lists if name in settings.reader.malformed}
    lost |= own_missing(anatomy, settings) | ({"sparse"} & set(settings.reasons))
    return tuple(sorted((needed - known - own) | lost | settings.unsaid))


def own_missing(anatomy: Family, settings: Settings) -> set[str]:
    """The lists of numbers that differ from layer to layer, where the config has them wrong."""
    layers = settings.depth
    return {key for key in anatomy.layered.values() if settings.list_of(key, layers) is None}


def times_of(kind: Kind, settings: Settings) -> int:
    """In how many layers the kind is; 1 or 0 outside the layers."""
    if "{layer}" not in kind.name:
        return int(settings.holds(*kind.conditions))
    return settings.times(kind.conditions, evaluate(kind.layers, settings.dimensions) or 0)


def shape_of(kind: Kind, settings: Settings, layer: int = 0) -> tuple[int, ...]:
    """The shape of a kind in a layer; an axis that cannot be told is left out."""
    values = settings.values(layer)
    sizes = [evaluate(axis, values) for axis in kind.shape or ()]
    return tuple(size for size in sizes if size is not None)


def _used(settings: Settings) -> int:
    return min(settings.size("experts"), settings.size("experts_used"))
