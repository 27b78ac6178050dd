"""A model of several parts: the language model, what sees, what hears, and what joins them, each with its config."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from kaibo.models.anatomy.catalogue import GENERATED, Family, Part, family, family_name, generated
from kaibo.models.anatomy.counting import Parameters, count_parameters
from kaibo.models.anatomy.settings import Reader, Settings, settings_in
from kaibo.models.anatomy.spellings import describe

TEXT = "text"
JOINING = "projector"
_DEEPEST = 4
_SEEING = ("vision", "visual", "image", "vqmodel", "vit", "sam_")
_HEARING = ("audio", "speech", "sound", "voice")


@dataclass(frozen=True)
class Stack:
    """One part: its name (`text`, `vision`, `audio`, `projector` …), what its tensors begin with, family, settings."""

    name: str
    prefix: str
    family: Family
    settings: Settings


def wrapper_of(config: Mapping[str, Any]) -> Family | None:
    """The family of several parts that a config names; None for a model of one part."""
    model_type = config.get("model_type")
    if not isinstance(model_type, str) or not generated(model_type):
        return None
    found = family(GENERATED + model_type)
    return found if found.parts else None


def stacks_of(config: Mapping[str, Any]) -> tuple[Stack, ...]:
    """The parts of a model of several; nothing for a model of one.

    The wrapper's own tensors are a stack each by what they are for, and the head that writes belongs to the text.
    """
    wrapper = wrapper_of(config)
    if wrapper is None or not _whole(wrapper) or wrong_parts(config):
        return ()
    return tuple(_stacks(config, wrapper, "", 0))


def wrong_parts(config: Mapping[str, Any]) -> tuple[str, ...]:
    """A sentence for each part whose config is there and is no object."""
    wrapper = wrapper_of(config)
    found = [] if wrapper is None else [(part.key, config.get(part.key.partition(".")[0])) for part in wrapper.parts]
    return tuple(
        f'config.json: "{key}" is {describe(value)}, not an object'
        for key, value in found
        if value is not None and not isinstance(value, Mapping)
    )


def _whole(wrapper: Family) -> bool:
    """Whether every part has a family that describes it."""
    names = [family_name(part.family) for part in wrapper.parts]
    return None not in names and all(not family(name).parts or _whole(family(name)) for name in names if name)


def _stacks(config: Mapping[str, Any], wrapper: Family, prefix: str, depth: int) -> Iterator[Stack]:
    own = settings_in(Reader({**wrapper.nested, **config}), wrapper)
    for name in (TEXT, "vision", "audio", JOINING):
        kinds = tuple(kind for kind in wrapper.kinds if belongs(kind.name, kind.role) == name)
        if kinds:
            yield Stack(name, prefix, replace(wrapper, kinds=kinds), own)
    for part in wrapper.parts:
        inner = _config_of(config, part)
        found = _family_of(inner, part)
        if found.parts and depth < _DEEPEST:
            yield from _stacks(inner, found, prefix + part.prefix, depth + 1)
            continue
        settings = settings_in(Reader({**found.nested, **inner}), found)
        purposes = {name: name == "language_model" and part.head for name in found.heads}
        yield Stack(part.stack, prefix + part.prefix, found, replace(settings, flags={**settings.flags, **purposes}))


def text_family(wrapper: Family) -> str | None:
    """The family of the language model that a wrapper has unless its config says otherwise."""
    for part in wrapper.parts:
        if part.stack == TEXT:
            return family_name(part.family)
    for part in wrapper.parts:
        name = family_name(part.family)
        if name is not None and family(name).parts and (inner := text_family(family(name))) is not None:
            return inner
    return None


def belongs(name: str, role: str) -> str:
    """Which part a tensor of the wrapper itself is of."""
    if role in ("head", "embedding") and not any(word in name for word in (*_SEEING, *_HEARING)):
        return TEXT
    if any(word in name for word in _SEEING) and "project" not in name:
        return "vision"
    return "audio" if any(word in name for word in _HEARING) and "project" not in name else JOINING


def _config_of(config: Mapping[str, Any], part: Part) -> Mapping[str, Any]:
    """The config of a part; of a text part that older files write flat, the whole."""
    value: Any = config
    for key in part.key.split("."):
        value = value.get(key) if isinstance(value, Mapping) else None
    if isinstance(value, Mapping):
        return value
    return config if part.stack == TEXT else {}


def _family_of(inner: Mapping[str, Any], part: Part) -> Family:
    said = inner.get("model_type")
    if part.any and isinstance(said, str) and (name := family_name(said)) is not None:
        return family(name)
    return family(family_name(part.family) or part.family)


def count_stacks(stacks: tuple[Stack, ...]) -> dict[str, Parameters]:
    """The parameters of each part, its stacks added up."""
    found: dict[str, Parameters] = {}
    for stack in stacks:
        counted = count_parameters(stack.family, stack.settings)
        known = found.get(stack.name)
        found[stack.name] = counted if known is None else _added(known, counted)
    return found


def _added(one: Parameters, other: Parameters) -> Parameters:
    def add(a: Mapping[str, int], b: Mapping[str, int]) -> dict[str, int]:
        return {role: a.get(role, 0) + b.get(role, 0) for role in {**a, **b}}

    return Parameters(
        add(one.by_role, other.by_role), add(one.active_by_role, other.active_by_role), one.missing + other.missing
    )
