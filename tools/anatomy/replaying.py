"""A proof and what kaibo itself makes of its config: the same tensors, or the first that differ."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from kaibo.models.anatomy import architecture
from kaibo.models.anatomy.caches import kept_of
from kaibo.models.anatomy.catalogue import GENERATED, family, generated
from kaibo.models.anatomy.promising import promises
from kaibo.models.anatomy.settings import Reader, settings_in

WRAPPING = {"model", "transformer", "backbone"}


def differences(name: str, case: Mapping[str, Any]) -> list[str]:
    """What kaibo says otherwise than transformers, in the first few words."""
    generated.cache_clear()  # other processes write families, too
    prefixes = family(GENERATED + name).prefixes
    made = {_bare(key, prefixes): value for key, value in seen(case).items()}
    said = promised(name, case["config"])
    found = [
        f"{key}: {made.get(key)} and not {said.get(key)}" for key in {**made, **said} if made.get(key) != said.get(key)
    ]
    if case["config"].get("model_type") == name:
        found += _counted(case["config"], seen(case))
    if "cache" in case:
        kept = kept_of(case["config"], name) or ()
        for tokens, numbers in case["cache"].items():
            ours = sum(one.numbers(int(tokens)) for one in kept)
            found += [] if ours == numbers else [f"cache after {tokens} tokens: {numbers} and not {ours}"]
    return found


def _counted(config: Mapping[str, Any], tensors: Mapping[str, tuple[tuple[int, ...], int]]) -> list[str]:
    """The parameters of the whole model, where kaibo counts others than there are."""
    drawn = architecture(config)
    ours, theirs = (
        drawn.parameters_whole or drawn.parameters,
        sum(math.prod(s) * max(e, 1) for s, e in tensors.values()),
    )
    return [] if ours == theirs else [f"parameters: {theirs} and not {ours}"]


def _bare(name: str, prefixes: tuple[str, ...]) -> str:
    return next((name.removeprefix(prefix) for prefix in prefixes if name.startswith(prefix)), name)


def seen(case: Mapping[str, Any]) -> dict[str, tuple[tuple[int, ...], int]]:
    """What transformers made: bare name with its layer, its shape and its number of experts."""
    buffers = set(case["buffers"])
    return {
        plain(pattern.replace("{layer}", str(layer))): (tuple(shape), experts)
        for pattern, groups in case["tensors"].items()
        if pattern not in buffers or pattern.endswith("bias")
        for shape, layers, experts in groups
        for layer in layers_of(layers)
    }


def promised(name: str, config: Mapping[str, Any]) -> dict[str, tuple[tuple[int, ...], int]]:
    """What the anatomy makes of the config."""
    anatomy = family(GENERATED + name)
    settings = settings_in(Reader({**anatomy.nested, **config}), anatomy)
    return {plain(one.name): (one.shape, one.experts) for one in promises(config, anatomy, settings)}


def plain(name: str) -> str:
    """A name without the words that wrap the language model."""
    return ".".join(part for part in name.split(".") if part not in WRAPPING)


def layers_of(text: str) -> list[int | None]:
    """`0-3,7` as numbers; None outside the layers."""
    if not text:
        return [None]
    ends = [[int(n) for n in part.split("-")] for part in text.split(",")]
    return [n for end in ends for n in range(end[0], end[-1] + 1)]
