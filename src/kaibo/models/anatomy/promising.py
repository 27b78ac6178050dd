"""A config in, every tensor that it promises out: name and shape, before any weights are read."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from kaibo.models.anatomy.catalogue import Family
from kaibo.models.anatomy.counting import count_parameters, shape_of
from kaibo.models.anatomy.expressions import evaluate
from kaibo.models.anatomy.settings import Settings
from kaibo.models.anatomy.wholes import stacks_of


@dataclass(frozen=True)
class Promise:
    """One tensor, or as many as there are experts: its name has `{expert}` then, and `experts` is not 0."""

    name: str
    shape: tuple[int, ...]
    experts: int


def promises(config: Mapping[str, Any], anatomy: Family, settings: Settings) -> Iterator[Promise]:
    """The tensors of a model, part by part; nothing where the config lacks what is needed to say."""
    parts = [(stack.prefix, stack.family, stack.settings) for stack in stacks_of(config)]
    for prefix, family, own in parts or [("", anatomy, settings)]:
        if not count_parameters(family, own).missing:
            yield from _of(prefix, family, own)


def _of(prefix: str, family: Family, settings: Settings) -> Iterator[Promise]:
    for kind in family.kinds:
        if kind.shape is None:
            continue
        count = (evaluate(kind.layers, settings.dimensions) or 0) if "{layer}" in kind.name else 1
        experts = settings.size("experts") if "{expert}" in kind.name else 0
        shape = () if family.layered else shape_of(kind, settings)
        for layer in range(count):
            if settings.holds(*kind.conditions, layer=layer, layers=count):
                own = shape_of(kind, settings, layer) if family.layered else shape
                yield Promise(prefix + kind.name.replace("{layer}", str(layer)), own, experts)
