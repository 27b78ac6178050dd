"""Settings in, parameters out: each kind of tensor of the anatomy, its shape, and how often it is there."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from kaibo.models.anatomy.catalogue import Family, Kind
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
        times = 0 if kind.shape is None else _times(kind, settings)
        if times:
            size = times * math.prod(_axes(kind, settings))
            experts = "{expert}" in kind.name
            total[kind.role] = total.get(kind.role, 0) + size * (settings.dimensions["experts"] if experts else 1)
            active[kind.role] = active.get(kind.role, 0) + size * (_used(settings) if experts else 1)
    return Parameters(total, active)


def _missing(anatomy: Family, settings: Settings) -> tuple[str, ...]:
    """Dimensions that a kind which is there needs, or that decide whether it is there, and that the config lacks."""
    needed = {"layers"} | ({"experts", "experts_used"} & set(anatomy.dimensions))
    for kind in anatomy.kinds:
        words = {condition.removeprefix("!") for condition in kind.conditions}
        needed |= words & set(anatomy.dimensions)
        if kind.shape is not None and not words & set(settings.reasons) and _times(kind, settings):
            needed |= {noun for axis in kind.shape for noun in nouns(axis)}
    return tuple(sorted(needed - set(settings.dimensions)))


def _times(kind: Kind, settings: Settings) -> int:
    """In how many layers the kind is; 1 or 0 outside the layers."""
    if "{layer}" not in kind.name:
        return int(all(settings.holds(condition) for condition in kind.conditions))
    layers = settings.dimensions.get("layers", 0)
    if not {"sparse", "dense"} & set(kind.conditions):
        return layers * all(settings.holds(condition) for condition in kind.conditions)
    return sum(all(settings.holds(condition, layer) for condition in kind.conditions) for layer in range(layers))


def _axes(kind: Kind, settings: Settings) -> list[int]:
    sizes = [evaluate(axis, settings.dimensions) for axis in kind.shape or ()]
    return [size for size in sizes if size is not None]


def _used(settings: Settings) -> int:
    return min(settings.dimensions["experts"], settings.dimensions["experts_used"])
