"""The table of contents of the anatomies, and how one is read from its TOML file.

A file is named after its family and holds, each with its source:

    source, model_types       the modelling code that names the tensors; `model_type`s of `config.json` that mean it
    prefixes                  what wrappers put before a name (`model.`), taken off for the canonical one
    tensors                   [name with {layer} and {expert}, role, shape, condition, how many layers], a row a kind
    cache                     [kind, numbers, condition, window], a row a tensor that a layer keeps; see `caches`
    [[parts]]                 the models inside one of several parts: stack, key of its config, prefix, family
    [dimensions] [flags]      where `config.json` keeps each number and yes/no, tried in order: a key, then "=formula"
    [norm] [activation] [position] [attention] [sparse] [heads]   the rest of the architecture
    [lists]                   what a list with an entry a layer holds where the config has none: value, condition
    [layered]                 numbers that differ from layer to layer, and the list of the config that has them
    [nested]                  the class's defaults, which a `text_config` is published without
    [layout]                  how fused and transposed tensors are laid out, for comparing models of two families

A row without a shape names a tensor that is not counted: a buffer, or another way of packing the same weights.
Conditions are explained in `conditions`. Files in `generated/` are written by `tools/anatomy` from transformers' own
classes, one a `model_type`, and found by that name; one is read only where its type is asked for.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib import resources
from types import MappingProxyType
from typing import Any

MODEL_TYPES: Mapping[str, str] = MappingProxyType(
    {
        "llama": "llama",
        "mistral": "mistral",
        "qwen2": "qwen2",
        "qwen3": "qwen3",
        "gemma": "gemma",
        "gemma2": "gemma2",
        "gemma3": "gemma3",
        "gemma3_text": "gemma3",
        "phi3": "phi3",
        "mixtral": "mixtral",
        "qwen2_moe": "qwen2_moe",
        "qwen3_moe": "qwen3_moe",
        "deepseek_v2": "deepseek",
        "deepseek_v3": "deepseek",
        "gpt_neox": "gpt_neox",
        "opt": "opt",
        "gpt2": "gpt2",
        "falcon": "falcon",
        "RefinedWeb": "falcon",
        "RefinedWebModel": "falcon",
        "mpt": "mpt",
        "bert": "bert",
        "meta": "meta",
        "kimi_k2": "deepseek",
        "mimo": "mimo",
        "nemotron-nas": "nemotron_nas",
        "plamo2": "plamo2",
    }
)
"""Which anatomy a `model_type` means. One line more here, and one file beside, is a new family."""

ALIASES: Mapping[str, str] = MappingProxyType(
    {
        "qwen3_vl_text": "qwen3",
        "qwen3_vl_moe_text": "qwen3_moe",
        "ministral3": "mistral",
        "smollm3": "llama",
        "granite": "llama",
        "ernie4_5": "llama",
        "cwm": "llama",
        "helium": "llama",
        "internlm3": "llama",
        "iquestcoder": "llama",
        "deepseek_ref": "deepseek_v4",
        "minimax_m3": "minimax_m3_vl_text",
        "seed_oss": "qwen2",
    }
)
"""Types with the very tensors of another family, for which no file of their own was generated."""

UNKNOWN = "unknown"
"""The family of a model that no anatomy describes: its roles are `other`, its common settings are still read."""

EVERYWHERE = ("module.", "_orig_mod.")
"""Prefixes that training frameworks (data parallel, compile) put before the names of any family."""

GENERATED = "generated:"
"""Before the name of a generated family where one written by hand has the same name."""

_FILE_NAME = re.compile(r"[a-z0-9][a-z0-9_.-]{0,80}")

Sources = tuple[str | int | float | bool, ...]
"""Where a setting stands: keys of `config.json` (`a.b` for a nested one), formulas "=…" and at last a default."""


@dataclass(frozen=True)
class Kind:
    """One kind of tensor: its name with `{layer}` and `{expert}`, its role, its shape and when it is there.

    `shape` has an expression per axis (`heads*head_size`), None where the kind is named but never counted.
    `conditions` are flags, dimensions that must not be zero, `sparse` or `dense`; `!` before one turns it round.
    """

    name: str
    role: str
    shape: tuple[str, ...] | None
    conditions: tuple[str, ...]
    layers: str = "layers"


@dataclass(frozen=True)
class Keeping:
    """One tensor that layers keep while a text is written: its kind, numbers, the layers that do, its window."""

    kind: str
    numbers: str
    conditions: tuple[str, ...] = ()
    window: str = ""


@dataclass(frozen=True)
class Part:
    """A model inside a model: `any` where its own config says of which family it is, `head` where it has its head."""

    stack: str
    key: str
    prefix: str
    family: str
    any: bool
    head: bool


@dataclass(frozen=True)
class Family:
    """The anatomy of one family, as its TOML file says it; `measured` where its cache was measured or is unknown."""

    name: str
    source: str
    model_types: tuple[str, ...]
    prefixes: tuple[str, ...]
    kinds: tuple[Kind, ...]
    dimensions: Mapping[str, Sources] = field(default_factory=dict)
    flags: Mapping[str, Sources] = field(default_factory=dict)
    heads: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    facts: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    layout: Mapping[str, Any] = field(default_factory=dict)
    nested: Mapping[str, Any] = field(default_factory=dict)
    lists: Mapping[str, tuple[tuple[str, tuple[str, ...]], ...]] = field(default_factory=dict)
    layered: Mapping[str, str] = field(default_factory=dict)
    parts: tuple[Part, ...] = ()
    cache: tuple[Keeping, ...] | None = None
    measured: bool = False


@cache
def family(name: str) -> Family:
    """The anatomy of a family, read once from the package's data.

    >>> family("llama").kinds[0].role
    'embedding'
    """
    folder = resources.files(__package__)
    by_hand = name in MODEL_TYPES.values() and not name.startswith(GENERATED)
    file = folder / f"{name}.toml" if by_hand else folder / "generated" / f"{name.removeprefix(GENERATED)}.toml"
    document = tomllib.loads(file.read_text(encoding="utf-8"))
    return Family(
        name=name,  # a generated family that has the name of one written by hand keeps its mark
        source=document["source"],
        model_types=tuple(document["model_types"]),
        prefixes=(*EVERYWHERE, *document["prefixes"]),
        kinds=tuple(_kind(*row) for row in document["tensors"]),
        dimensions=_sources(document.get("dimensions", {})),
        flags=_sources(document.get("flags", {})),
        heads={name: tuple(endings) for name, endings in document.get("heads", {}).items()},
        facts={name: document.get(name, {}) for name in ("norm", "activation", "position", "attention", "sparse")},
        layout=MappingProxyType(document.get("layout", {})),
        nested=MappingProxyType(document.get("nested", {})),
        lists={name: _rules(rows) for name, rows in document.get("lists", {}).items()},
        layered=MappingProxyType(document.get("layered", {})),
        measured=document.get("measured", not by_hand),
        cache=tuple(_keeping(*row) for row in document["cache"]) if "cache" in document else None,
        parts=tuple(Part(**part) for part in document.get("parts", ())),
    )


@cache
def generated(model_type: str) -> bool:
    """Whether `tools/anatomy` wrote a file for a `model_type`."""
    if not _FILE_NAME.fullmatch(model_type):
        return False
    return (resources.files(__package__) / "generated" / f"{model_type}.toml").is_file()


def generated_families() -> tuple[str, ...]:
    """The names of all files that `tools/anatomy` wrote, as `family` takes them."""
    files = (resources.files(__package__) / "generated").iterdir()
    return tuple(sorted(GENERATED + file.name.removesuffix(".toml") for file in files if file.name.endswith(".toml")))


def family_name(model_type: str) -> str | None:
    """The family that describes a `model_type`: the one written by hand where there is one, else the generated one."""
    found = MODEL_TYPES.get(model_type) or (model_type if generated(model_type) else ALIASES.get(model_type))
    return found if found is None or found in MODEL_TYPES.values() or generated(found) else None


def families() -> tuple[str, ...]:
    """The names of all families, in the order in which tensor names are tried against them."""
    return tuple(dict.fromkeys(MODEL_TYPES.values()))


def _kind(name: str, role: str, shape: str | None = None, conditions: str = "", layers: str = "layers") -> Kind:
    return Kind(name, role, None if shape is None else tuple(shape.split()), tuple(conditions.split()), layers)


def _keeping(kind: str, numbers: str, condition: str = "", window: str = "") -> Keeping:
    return Keeping(kind, numbers, tuple(condition.split()), window)


def _rules(rows: list[list[str]]) -> tuple[tuple[str, tuple[str, ...]], ...]:
    return tuple((value, tuple(condition.split())) for value, condition in rows)


def _sources(table: Mapping[str, Any]) -> dict[str, Sources]:
    return {name: tuple(value) if isinstance(value, list) else (value,) for name, value in table.items()}
