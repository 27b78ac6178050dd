"""A class of transformers built on the meta device: no memory, only names and shapes, as its files would hold them."""

from __future__ import annotations

import re
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from transformers import PreTrainedConfig, PreTrainedModel
from transformers.conversion_mapping import get_model_conversion_mapping
from transformers.core_model_loading import PrefixChange, revert_weight_conversion
from transformers.utils import logging

logging.set_verbosity(logging.CRITICAL)
warnings.filterwarnings("ignore")

for _name in [name for name in vars(torch.nn.init) if name.endswith("_") and not name.startswith("_")]:
    setattr(torch.nn.init, _name, lambda tensor, *given, **named: tensor)  # nothing is there to be initialised

PreTrainedModel.can_generate = classmethod(lambda cls: False)  # no generation config is made for each
re._MAXCACHE = 100_000  # the patterns of all conversions stay compiled

Shape = tuple[int, ...]
Values = Mapping[str, Any]
_CONVERSIONS: dict[Any, Any] = {}


@dataclass(frozen=True)
class Unit:
    """One config class and the model class that is built from it; `name` is the file that will describe it."""

    name: str
    config: type[PreTrainedConfig]
    model: type[PreTrainedModel]
    model_types: tuple[str, ...]


@dataclass(frozen=True)
class Seen:
    """What one config made: tensors by the names of hub files, `buffers` among them, and the config after its init."""

    given: Values
    tensors: Mapping[str, Shape]
    buffers: frozenset[str]
    after: Values


def configured(unit: Unit, given: Values) -> PreTrainedConfig:
    """The config of a unit with some values given, `a.b` for those of a nested one."""
    flat: dict[str, Any] = {}
    for key, value in given.items():
        head, dot, rest = key.partition(".")
        if dot:
            flat.setdefault(head, {})[rest] = value
        else:
            flat[key] = value
    for head, value in flat.items():
        if any(key.startswith(head + ".") for key in given):
            flat[head] = nested(unit.config, head, value)
    return unit.config(**flat)


def nested(config: type[PreTrainedConfig], head: str, given: dict[str, Any]) -> Any:
    """A nested config of the kind that the outer one has there, with some values given."""
    inner = getattr(config(), head)
    kept = {} if inner is None else dict(overrides_of(config, head))
    deeper: dict[str, Any] = {}
    for key, value in given.items():
        first, dot, rest = key.partition(".")
        if dot:
            deeper.setdefault(first, {})[rest] = value
        else:
            kept[key] = value
    for first, values in deeper.items():
        kept[first] = nested(type(inner), first, values)
    return {**kept, "model_type": inner.model_type} if inner is not None and inner.model_type else kept


def overrides_of(config: type[PreTrainedConfig], head: str) -> dict[str, Any]:
    """What the outer class gives its nested one by default, beyond the inner class's own defaults."""
    spec = getattr(config, "sub_configs_defaults", {}).get(head)
    return dict(spec.init_kwargs) if spec is not None else {}


def build(unit: Unit, given: Values) -> tuple[PreTrainedModel, PreTrainedConfig]:
    """The model on the meta device."""
    config = configured(unit, given)
    with torch.device("meta"):
        model = unit.model(config)
    return model, config


def see(unit: Unit, given: Values) -> Seen:
    """The names and shapes of the files that transformers would save of a model, tied tensors once."""
    model, config = build(unit, given)
    tied = getattr(model, "all_tied_weights_keys", None) or {}
    state = {name: tensor for name, tensor in model.state_dict().items() if name not in tied}
    ignored = [re.compile(pattern) for pattern in (model._keys_to_ignore_on_save or ())]
    state = {name: tensor for name, tensor in state.items() if not any(one.search(name) for one in ignored)}
    parameters = dict(model.named_parameters(remove_duplicate=False))
    saved = {name: tuple(tensor.shape) for name, tensor in reverted(model, state).items()}
    rest = {name: tensor for name, tensor in state.items() if name not in parameters}
    buffers = frozenset(reverted(model, rest)) & set(saved) if rest else frozenset()
    return Seen(dict(given), saved, frozenset(buffers), after(config))


def reverted(model: PreTrainedModel, state: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """The state under the names of hub files."""
    kind = type(model), type(model.config)
    if kind not in _CONVERSIONS:
        found = get_model_conversion_mapping(model, add_legacy=False)
        _CONVERSIONS[kind] = [one for one in found if not isinstance(one, PrefixChange)] or None
    if _CONVERSIONS[kind] is None:
        return dict(state)
    model._weight_conversions = _CONVERSIONS[kind]
    return dict(revert_weight_conversion(model, state))


def after(config: PreTrainedConfig, depth: int = 0) -> dict[str, Any]:
    """The values of a config as its init left them, nested ones under `a.b`."""
    found: dict[str, Any] = {}
    names = {*config.__dict__, *(key for key in getattr(type(config), "__annotations__", {}))}
    names |= {name for name in dir(type(config)) if isinstance(getattr(type(config), name, None), property)}
    for name in sorted(names):
        if name.startswith("_") or name in ("sub_configs", "attribute_map"):
            continue
        try:
            value = getattr(config, name)
        except Exception:
            continue
        if isinstance(value, PreTrainedConfig) and depth < 3:
            found |= {f"{name}.{key}": inner for key, inner in after(value, depth + 1).items()}
        elif isinstance(value, bool | int | float | str | list | tuple) or value is None:
            found[name] = list(value) if isinstance(value, tuple) else value
    return found
