"""What transformers made of a few configs, as data that kaibo's own answers are held against without torch."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import transformers

from building import Seen, Unit, configured
from caching import elements
from describing import collapsed
from exploring import Explored

NOISE = ("transformers_version", "id2label", "label2id", "_name_or_path", "auto_map")


def proof(explored: Explored, stacks: set[str], cached: bool) -> dict[str, Any]:
    """A config as it would be saved, and the tensors of its files, for the base and two others."""
    chosen = [explored.base]
    others = [seen for seen in explored.all if len(_changed(explored, seen)) >= 2 and not _uneven(seen)]
    chosen += sorted(others, key=lambda seen: -len(_changed(explored, seen)))[:2]
    return {
        "class": explored.unit.model.__name__,
        "transformers": transformers.__version__,
        "cases": [_case(explored.unit, seen, stacks, cached) for seen in chosen],
    }


def _uneven(seen: Seen) -> bool:
    """Whether heads share no whole number of keys: shapes can be made of that, a model cannot."""
    names = [name for name in seen.after if name.endswith("num_key_value_heads")]
    pairs = [(seen.after.get(n.replace("key_value", "attention")), seen.after[n]) for n in names]
    return any(type(heads) is int and type(keys) is int and keys and heads % keys for heads, keys in pairs)


def _changed(explored: Explored, seen: Seen) -> set[str]:
    return {name for name, value in seen.given.items() if explored.base.given.get(name) != value}


def saved(unit: Unit, given: Mapping[str, Any]) -> dict[str, Any]:
    """The config.json that transformers would write, without what says nothing."""
    config = configured(unit, given)
    config.architectures = [unit.model.__name__]
    found = json.loads(config.to_json_string(use_diff=True))
    return _quiet(found)


def _quiet(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _quiet(inner) for key, inner in value.items() if key not in NOISE}
    return value


def _case(unit: Unit, seen: Seen, stacks: set[str], cached: bool) -> dict[str, Any]:
    held = elements(unit, seen.given) if cached else None
    kept = {} if held is None else {"cache": held}
    return kept | {"config": saved(unit, seen.given), **tensors_of(seen, stacks)}


def tensors_of(seen: Seen, stacks: set[str]) -> dict[str, Any]:
    """The tensors of a model, those of all layers in one entry: shape, layers, number of experts; and its buffers."""
    groups: dict[str, dict[tuple[int, ...], set[int]]] = {}
    experts: dict[str, int] = {}
    for name, shape in seen.tensors.items():
        pattern, layer, expert = collapsed(name, stacks)
        groups.setdefault(pattern, {}).setdefault(shape, set()).add(-1 if layer is None else layer)
        if expert is not None:
            experts[pattern] = max(experts.get(pattern, 0), expert + 1)
    tensors = {
        pattern: [[list(shape), _ranges(layers), experts.get(pattern, 0)] for shape, layers in shapes.items()]
        for pattern, shapes in sorted(groups.items())
    }
    return {"tensors": tensors, "buffers": sorted({collapsed(n, stacks)[0] for n in seen.buffers})}


def _ranges(layers: set[int]) -> str:
    """Layers as `0-3,7`; empty outside the layers."""
    if layers == {-1}:
        return ""
    found: list[list[int]] = []
    for layer in sorted(layers):
        if found and found[-1][1] == layer - 1:
            found[-1][1] = layer
        else:
            found.append([layer, layer])
    return ",".join(f"{a}-{b}" if a != b else str(a) for a, b in found)
