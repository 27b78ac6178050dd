"""Which classes of transformers are described: causal ones, wrappers that see or hear, and the parts of these."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache

import transformers
from transformers import PreTrainedModel
from transformers.models.auto import modeling_auto as auto
from transformers.models.auto.configuration_auto import CONFIG_MAPPING

from building import Unit, build, reverted, see

CAUSAL: Mapping[str, str] = auto.MODEL_FOR_CAUSAL_LM_MAPPING_NAMES
WRAPPERS: Mapping[str, str] = {
    **auto.MODEL_FOR_MULTIMODAL_LM_MAPPING_NAMES,
    **auto.MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING_NAMES,
}
BASES: Mapping[str, str] = auto.MODEL_MAPPING_NAMES
STACKS = {
    "text": "text",
    "vision": "vision",
    "audio": "audio",
    "thinker": "thinker",
    "talker": "talker",
    "decoder": "text",
}


@dataclass(frozen=True)
class Part:
    """A model inside a model: where its config is, what its tensors begin with, and which family it is."""

    stack: str
    key: str
    prefix: str
    family: str
    any_family: bool
    head: bool


def unit(model_type: str) -> Unit | None:
    """The class that is built for a `model_type`: the one of several parts where there is one, else the causal one."""
    name = WRAPPERS.get(model_type) or CAUSAL.get(model_type)
    if name is None or model_type not in CONFIG_MAPPING:
        return None
    config, model = CONFIG_MAPPING[model_type], getattr(transformers, name, None)
    if model is None:
        return None
    if model_type not in WRAPPERS and model.config_class is not config and "text_config" in (config.sub_configs or {}):
        return None
    return Unit(model_type, config, model, (model_type,))


@cache
def part_unit(name: str) -> Unit | None:
    """The unit of a part by the name of its file, known once its wrapper was looked at."""
    return _KNOWN.get(name)


_KNOWN: dict[str, Unit] = {}


def parts_of(wrapper: Unit, given: Mapping[str, object]) -> list[Part]:
    """The models inside a wrapper whose hub names are a prefix and their own names, the outermost of each config."""
    model, config = build(wrapper, given)
    configs: dict[int, str] = {}
    _configs(config, "", configs)
    found: list[Part] = []
    taken: list[str] = []
    for path, module in model.named_modules():
        if not path or not isinstance(module, PreTrainedModel) or any(path.startswith(t + ".") for t in taken):
            continue
        key = configs.get(id(module.config))
        if key is None:
            continue
        part = _part(wrapper, model, path, module, key)
        if part is not None:
            taken.append(path)
            found.append(part)
    return found


def _configs(config: object, prefix: str, found: dict[int, str]) -> None:
    for key in getattr(config, "sub_configs", None) or {}:
        inner = getattr(config, key, None)
        if inner is not None:
            found[id(inner)] = prefix + key
            _configs(inner, f"{prefix}{key}.", found)


def _part(wrapper: Unit, model: PreTrainedModel, path: str, module: PreTrainedModel, key: str) -> Part | None:
    kind, config = type(module), type(module.config)
    model_type = config.model_type
    causal = CAUSAL.get(model_type) == kind.__name__ or WRAPPERS.get(model_type) == kind.__name__
    auto_class = causal or BASES.get(model_type) == kind.__name__
    spec = getattr(wrapper.config, "sub_configs_defaults", {}).get(key)
    open_family = (spec is not None and not hasattr(spec.config_class, "model_type")) or _is_auto(wrapper, key)
    name = model_type if auto_class else f"{wrapper.name}--{key.split('.')[-1]}"
    if name == wrapper.name:
        name = f"{wrapper.name}--{key.split('.')[-1]}"
    known = unit(model_type) if auto_class and name == model_type else None
    own = Unit(name, config, kind, (model_type,) if auto_class else ())
    if known is None:
        _KNOWN.setdefault(name, own)
    inside = {n: t for n, t in model.state_dict().items() if n.startswith(path + ".")}
    hub = sorted(reverted(model, inside))
    alone = sorted(reverted(module, dict(module.state_dict())))
    prefix = _prefix(hub, alone) or _alike(hub, alone, sum(t.numel() for t in inside.values()))
    return None if prefix is None else Part(_stack(key, path), key, prefix, name, open_family, causal)


def _is_auto(wrapper: Unit, key: str) -> bool:
    held = (wrapper.config.sub_configs or {}).get(key)
    return held is not None and getattr(held, "__name__", "") == "AutoConfig"


def _prefix(hub: list[str], alone: list[str]) -> str | None:
    """What stands before every name of a part, tied tensors left out."""
    if not hub or not alone:
        return None
    for name in hub:
        if name.endswith(alone[0]):
            prefix = name[: len(name) - len(alone[0])]
            if {prefix + one for one in alone} >= set(hub) and sum(prefix + one in set(hub) for one in alone) == len(
                hub
            ):
                return prefix
    return None


def _alike(hub: list[str], alone: list[str], size: int) -> str | None:
    """The beginning of a part whose names transformers changes when it saves the whole, of those that it leaves."""
    if not size:
        return None
    ends = [name for name in alone if "." in name and not any(part.isdigit() for part in name.split("."))]
    found = {name[: len(name) - len(end)] for end in ends for name in hub if name.endswith(end)}
    return found.pop() if len(found) == 1 and len(hub) == len(alone) else None


def _stack(key: str, path: str) -> str:
    word = key.rsplit(".", 1)[-1].removesuffix("_config").removesuffix("config").strip("_") or path.rsplit(".", 1)[-1]
    return {"decoder": "text", "llm": "text", "qformer": "projector"}.get(word, word)


__all__ = ["CAUSAL", "WRAPPERS", "Part", "part_unit", "parts_of", "see", "unit"]
