"""The table of contents of the anatomies, and how one is read from its TOML file.

A file is named after its family and holds, each with its source:

    source, model_types       the modelling code that names the tensors; `model_type`s of `config.json` that mean it
    prefixes                  what wrappers put before a name (`model.`), taken off for the canonical one
    tensors                   [name with {layer} and {expert}, role, shape, condition], one row a kind of tensor
    [dimensions] [flags]      where `config.json` keeps each number and yes/no, tried in order: a key, then "=formula"
    [norm] [activation] [position] [attention] [sparse] [heads]   the rest of the architecture
    [nested]                  the class's defaults, which a `text_config` is published without
    [layout]                  how fused and transposed tensors are laid out, for comparing models of two families

A row without a shape names a tensor that is not counted: a buffer, or another way of packing the same weights.
"""

from __future__ import annotations

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
        "qwen3_vl_text": "qwen3",
        "qwen3_vl_moe_text": "qwen3_moe",
        "ministral3": "mistral",
        "kimi_k2": "deepseek",
        "smollm3": "llama",
        "granite": "llama",
        "ernie4_5": "llama",
        "cwm": "llama",
        "helium": "llama",
        "internlm3": "llama",
        "iquestcoder": "llama",
        "seed_oss": "qwen2",
    }
)
"""Which anatomy a `model_type` means. One line more here, and one file beside, is a new family."""

UNKNOWN = "unknown"
"""The family of a model that no anatomy describes: its roles are `other`, its common settings are still read."""

EVERYWHERE = ("module.", "_orig_mod.")
"""Prefixes that training frameworks (data parallel, compile) put before the names of any family."""

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


@dataclass(frozen=True)
class Family:
    """The anatomy of one family, as its TOML file says it."""

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


@cache
def family(name: str) -> Family:
    """The anatomy of a family, read once from the package's data.

    >>> family("llama").kinds[0].role
    'embedding'
    """
    text = resources.files(__package__).joinpath(f"{name}.toml").read_text(encoding="utf-8")
    document = tomllib.loads(text)
    return Family(
        name=name,
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
    )


def families() -> tuple[str, ...]:
    """The names of all families, in the order in which tensor names are tried against them."""
    return tuple(dict.fromkeys(MODEL_TYPES.values()))


def _kind(name: str, role: str, shape: str | None = None, conditions: str = "") -> Kind:
    return Kind(name, role, None if shape is None else tuple(shape.split()), tuple(conditions.split()))


def _sources(table: Mapping[str, Any]) -> dict[str, Sources]:
    return {name: tuple(value) if isinstance(value, list) else (value,) for name, value in table.items()}
