"""Settings in, parameters out: each kind of tensor of the anatomy, its shape, and how often it is there."""

from __future__ import annotations

import math
from collections.abc import Mapping
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
        times = 0 if kind.shape is None else times_of(kind, settings)
        if times:
            size, used = _sizes(kind, settings)
            total[kind.role] = total.get(kind.role, 0) + times * size
            active[kind.role] = active.get(kind.role, 0) + times * used
    return Parameters(total, active)


def _sizes(kind: Kind, settings: Settings) -> tuple[int, int]:
    """Values of a kind in one layer, and how many of them a token uses: of experts the chosen ones."""
    size = math.prod(shape_of(kind, settings))
    experts = settings.size("experts")
    if "{expert}" in kind.name:
        return size * experts, size * _used(settings)
    stacked = kind.shape and kind.shape[0] == "experts" and "experts" in kind.name and experts
    return size, size // experts * _used(settings) if stacked else size


def _missing(anatomy: Family, settings: Settings) -> tuple[str, ...]:
    """Dimensions that a kind which is there needs, or that decide whether it is there, and that the config lacks."""
    needed = {"experts", "experts_used"} & set(anatomy.dimensions)
    lost: set[str] = set()
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
            sizes = shape_of(kind, settings)
            if needed <= known and (len(sizes) < len(kind.shape) or min(sizes, default=0) < 0):
                lost.add(f"the shape of {kind.name}")
        lost |= {name for name in anatomy.lists if name in settings.reader.malformed}
    return tuple(sorted((needed - set(settings.dimensions) - set(settings.flags)) | lost | settings.unsaid))


def times_of(kind: Kind, settings: Settings) -> int:
    """In how many layers the kind is; 1 or 0 outside the layers."""
    if "{layer}" not in kind.name:
        return int(settings.holds(*kind.conditions))
    return settings.times(kind.conditions, evaluate(kind.layers, settings.dimensions) or 0)


def shape_of(kind: Kind, settings: Settings) -> tuple[int, ...]:
    """The shape of a kind; an axis that cannot be told is left out."""
    values = {**settings.flags, **settings.dimensions}
    sizes = [evaluate(axis, values) for axis in kind.shape or ()]
    return tuple(size for size in sizes if size is not None)


def _used(settings: Settings) -> int:
    return min(settings.size("experts"), settings.size("experts_used"))
