"""`adapter_config.json` and the names inside `adapter_model.safetensors`, as PEFT writes them, read strictly.

Source: PEFT, `tuners/lora/config.py` (fields), `tuners/lora/layer.py` (scaling α/r, rsLoRA α/√r, patterns) and
`utils/save_and_load.py` (names). What changes the base itself, or is no product of two factors, is refused by name.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from kaibo.documents.json_text import json_value
from kaibo.errors import FormatError, escaped

CONFIG = "adapter_config.json"
WEIGHTS = "adapter_model.safetensors"
PICKLE = "adapter_model.bin"
PREFIX = "base_model.model."

PARTS = {
    ".lora_A.weight": "a",
    ".lora_B.weight": "b",
    ".lora_embedding_A": "embedding_a",
    ".lora_embedding_B": "embedding_b",
    ".lora_magnitude_vector": "magnitude",
    ".lora_magnitude_vector.weight": "magnitude",
    ".lora_B.bias": "bias",
}
"""How the name of a stored tensor ends, and which part of an update it is; any other is a whole tensor."""

_PLAIN_STARTS = (True, False, None, "gaussian", "eva", "orthogonal")
_REFUSED = {
    "trainable_token_indices": "trains single rows of the embedding",
    "target_parameters": "changes parameters that are no module's weight",
    "layer_replication": "repeats layers of its base",
    "use_qalora": "pools its inputs (QA-LoRA)",
    "use_bdlora": "has block-diagonal factors (BD-LoRA)",
    "alora_invocation_tokens": "acts from some token on (aLoRA), which no one change of the weights is",
    "arrow_config": "routes between adapters (Arrow)",
    "kasa_config": "changes the base itself (KaSA)",
    "monteclora_config": "draws its factors at random (MonteCLoRA)",
    "velora_config": "compresses its inputs (VeLoRA)",
}
_PATTERN = re.compile(r"[\w.\\^$|?:()\[\]*+\-]{1,500}")
_REPEATED_GROUP = re.compile(r"[)\]][*+{?]")


@dataclass(frozen=True)
class AdapterConfig:
    """What `adapter_config.json` says of a LoRA: `base` and `revision` name the model it was trained on.

    `ranks` and `alphas` are the patterns that overrule `rank` and `alpha` for some modules. `unread` says why what
    the adapter adds cannot be formed, where it cannot.
    """

    rank: int
    alpha: float
    rslora: bool = False
    dora: bool = False
    transposed: bool = False
    base: str | None = None
    revision: str | None = None
    ranks: Mapping[str, float] = field(default_factory=dict)
    alphas: Mapping[str, float] = field(default_factory=dict)
    unread: str | None = None

    @property
    def kind(self) -> str:
        """LoRA, rsLoRA or DoRA, as people say it."""
        scaled = "rsLoRA" if self.rslora else "LoRA"
        return f"DoRA ({scaled})" if self.dora and self.rslora else "DoRA" if self.dora else scaled

    @property
    def sentence(self) -> str:
        """`adapter, rank 4, base org/name`: what an adapter is, in words."""
        ranks = sorted({self.rank, *map(int, self.ranks.values())})
        rank = "–".join(dict.fromkeys((str(ranks[0]), str(ranks[-1]))))
        base = escaped(self.base) if self.base else "unknown"
        kind = f"{self.kind}, α {self.alpha:g}" if self.unread is None else f"it {self.unread}"
        return f"adapter, rank {rank}, base {base} ({kind}); the base is not fetched"

    def rank_of(self, module: str) -> int:
        """The rank of a module's factors."""
        return int(_overruled(self.ranks, module, self.rank))

    def scale_of(self, module: str) -> float:
        """What B·A is multiplied by: α/r, of rsLoRA α/√r.

        >>> AdapterConfig(4, 8.0).scale_of("q_proj"), AdapterConfig(4, 8.0, rslora=True).scale_of("q_proj")
        (2.0, 4.0)
        """
        rank = self.rank_of(module)
        return _overruled(self.alphas, module, self.alpha) / (math.sqrt(rank) if self.rslora else rank)


def _overruled(patterns: Mapping[str, float], module: str, usual: float) -> float:
    """The value of the first pattern that the end of a module's name matches, as PEFT matches them."""
    found = (value for key, value in patterns.items() if re.match(rf"(.*\.)?({key})$", module))
    return next(found, usual)


def parse_config(text: bytes, file: str) -> AdapterConfig:
    """An adapter's config. Raises FormatError for what is malformed; kinds that cannot be formed are described."""
    found = json_value(text, file)
    if not isinstance(found, dict):
        raise FormatError("is not a JSON object", file=file)
    return AdapterConfig(
        rank=int(_number(found, "r", 8, file, whole=True)),
        alpha=_number(found, "lora_alpha", 8, file),
        rslora=_flag(found, "use_rslora", file),
        dora=_flag(found, "use_dora", file),
        transposed=_flag(found, "fan_in_fan_out", file),
        base=_text(found, "base_model_name_or_path", file),
        revision=_text(found, "revision", file),
        ranks=_patterns(found, "rank_pattern", file, whole=True),
        alphas=_patterns(found, "alpha_pattern", file),
        unread=_unread(found),
    )


def _unread(found: Mapping[str, Any]) -> str | None:
    """Why what an adapter adds cannot be formed by this version; None where it can."""
    if found.get("peft_type") != "LORA":
        return f"is an adapter of kind {escaped(found.get('peft_type'), 40)}; LoRA, rsLoRA and DoRA are read"
    for key, reason in _REFUSED.items():
        if found.get(key):
            return f"{reason} ({key}), which this version does not read"
    start = found.get("init_lora_weights", True)
    if isinstance(start, dict | list) or start not in _PLAIN_STARTS:
        return f"was begun as {escaped(start, 40)}, which changes the base itself, so B·A is not what it adds"
    return None


def _number(found: Mapping[str, Any], key: str, usual: float, file: str, *, whole: bool = False) -> float:
    value = found.get(key, usual)
    good = isinstance(value, int | float) and not isinstance(value, bool)
    if not good or not 0 < value < 1e9 or (whole and value != int(value)):
        raise FormatError(f"{key} is {escaped(value, 40)}, not a {'whole ' if whole else ''}number above 0", file=file)
    return float(value)


def _flag(found: Mapping[str, Any], key: str, file: str) -> bool:
    value = found.get(key, False)
    if not isinstance(value, bool):
        raise FormatError(f"{key} is {escaped(value, 40)}, not true or false", file=file)
    return value


def _text(found: Mapping[str, Any], key: str, file: str) -> str | None:
    value = found.get(key)
    if value is not None and not isinstance(value, str):
        raise FormatError(f"{key} is {escaped(value, 40)}, not a text", file=file)
    return value or None


def _patterns(found: Mapping[str, Any], key: str, file: str, *, whole: bool = False) -> dict[str, float]:
    patterns = found.get(key) or {}
    if not isinstance(patterns, dict) or len(patterns) > 10_000:
        raise FormatError(f"{key} is no object of patterns and numbers", file=file)
    for pattern in patterns:
        _check_pattern(pattern, key, file)
    return {pattern: _number(patterns, pattern, 0, file, whole=whole) for pattern in patterns}


def _check_pattern(pattern: str, key: str, file: str) -> None:
    """PEFT's patterns are regular expressions; one from a stranger must not be able to run for ever."""
    repeats = len(re.findall(r"[*+]", pattern))
    if not _PATTERN.fullmatch(pattern) or _REPEATED_GROUP.search(pattern) or repeats > 3:
        raise FormatError(f'{key}: "{escaped(pattern, 80)}" is no plain pattern of module names', file=file)
    try:
        re.compile(pattern)
    except re.error:
        raise FormatError(f'{key}: "{escaped(pattern, 80)}" is no regular expression', file=file) from None


def weight_name(name: str) -> str:
    """The name of the base's tensor that a stored tensor is a part of, or stands for.

    >>> weight_name("base_model.model.lm_head.lora_A.weight")
    'lm_head.weight'
    """
    module, part = part_of(name)
    return module if part == "whole" else f"{module}.weight"


def part_of(name: str) -> tuple[str, str]:
    """The module (or whole tensor) that a stored name belongs to, without PEFT's prefix, and which part it is.

    >>> part_of("base_model.model.lm_head.lora_A.weight"), part_of("base_model.model.lm_head.weight")
    (('lm_head', 'a'), ('lm_head.weight', 'whole'))
    """
    bare = name.removeprefix(PREFIX)
    for ending, part in PARTS.items():
        if bare.endswith(ending):
            return bare.removesuffix(ending), part
    return bare.replace(".base_layer.", ".").replace(".modules_to_save.", "."), "whole"
