"""`adapter_config.json` and the names inside a file of factors, as PEFT and others write them, read strictly.

Source: PEFT, `tuners/lora/config.py` (fields), `tuners/lora/layer.py` (scaling α/r, rsLoRA α/√r, patterns) and
`utils/save_and_load.py` (names). What changes the base itself, or is no product of two factors, is refused by name.
"""

from __future__ import annotations

import math
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from kaibo.documents.json_text import json_value
from kaibo.errors import FormatError, escaped
from kaibo.models.formats import safetensors, sniff, torch_zip
from kaibo.models.formats.contents import Beside, Contents, Format, alone
from kaibo.models.formats.patterns import Budget, ModulePattern, PatternError
from kaibo.models.places import Place

Patterns = tuple[tuple[ModulePattern, float], ...]

CONFIG = "adapter_config.json"
WEIGHTS = (
    *("adapter_model.safetensors", "adapters.safetensors", "pytorch_lora_weights.safetensors"),
    *("adapter_model.bin", "pytorch_lora_weights.bin"),
)
"""Files of factors: as PEFT, MLX and diffusers call them."""

PREFIX = "base_model.model."

_FACTORS = {
    **dict.fromkeys(("lora_A", "lora_a", "lora_down"), "a"),
    **dict.fromkeys(("lora_B", "lora_b", "lora_up"), "b"),
    **dict.fromkeys(("lora_embedding_A", "lora_embedding_a"), "embedding_a"),
    **dict.fromkeys(("lora_embedding_B", "lora_embedding_b"), "embedding_b"),
    **dict.fromkeys(("lora_magnitude_vector", "dora_scale", "magnitude"), "magnitude"),
}
"""Words of a name that say which part of an update a tensor is: as PEFT, torchtune and MLX, kohya write them."""

_LINEAR = {"down": "a", "up": "b"}
"""What follows `lora`, `lora_linear_layer` or `…_lora` in the names of diffusers."""

_OTHERS = re.compile(r"(?:^|[._])(?:lora|dora|hada|loha|lokr|oft|boft|ia3|vera|fourier|adapter|prompt)", re.IGNORECASE)
"""A name with such a word that is not read is no weight of the base: it belongs to an adapter of another kind."""

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


@dataclass(frozen=True)
class AdapterConfig:
    """What `adapter_config.json` says of a LoRA: `base` and `revision` name the model it was trained on.

    `ranks` and `alphas` are the patterns that overrule `rank` and `alpha` for some modules, `saved` the modules that
    the adapter brings whole. `factor` is what B·A is multiplied by where the file says that itself (MLX), `transposed`
    None where the file does not say it. `unread` says why what the adapter adds cannot be formed, where it cannot.
    """

    rank: int
    alpha: float
    rslora: bool = False
    dora: bool = False
    transposed: bool | None = None
    base: str | None = None
    revision: str | None = None
    ranks: Patterns = ()
    alphas: Patterns = ()
    saved: tuple[str, ...] = ()
    factor: float | None = None
    unread: str | None = None

    @property
    def kind(self) -> str:
        """LoRA, rsLoRA or DoRA, as people say it."""
        scaled = "rsLoRA" if self.rslora else "LoRA"
        return f"DoRA ({scaled})" if self.dora and self.rslora else "DoRA" if self.dora else scaled

    @property
    def sentence(self) -> str:
        """`adapter, rank 4, base org/name`: what an adapter is, in words."""
        ranks = sorted({self.rank, *(int(value) for _, value in self.ranks)})
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
        if self.factor is not None:
            return self.factor
        rank = self.rank_of(module)
        return _overruled(self.alphas, module, self.alpha) / (math.sqrt(rank) if self.rslora else rank)


def _overruled(patterns: Patterns, module: str, usual: float) -> float:
    """The value of the first pattern that the end of a module's name matches, as PEFT matches them."""
    try:
        return next((value for pattern, value in patterns if pattern.matches(module)), usual)
    except PatternError as problem:
        raise FormatError(f"the patterns of {CONFIG} cannot be matched: one {problem}", tensor=module) from None


def parse_config(text: bytes, file: str) -> AdapterConfig:
    """An adapter's config. Raises FormatError for what is malformed; kinds that cannot be formed are described."""
    found = json_value(text, file)
    if not isinstance(found, dict):
        raise FormatError("is not a JSON object", file=file)
    if "peft_type" not in found and isinstance(found.get("lora_parameters"), dict):
        return _of_mlx(found, found["lora_parameters"], file)
    return AdapterConfig(
        rank=int(_number(found, "r", 8, file, whole=True)),
        alpha=_number(found, "lora_alpha", 8, file),
        rslora=_flag(found, "use_rslora", file),
        dora=_flag(found, "use_dora", file),
        transposed=_flag(found, "fan_in_fan_out", file) if "fan_in_fan_out" in found else None,
        base=_text(found, "base_model_name_or_path", file),
        revision=_text(found, "revision", file),
        ranks=_patterns(found, "rank_pattern", file, whole=True),
        alphas=_patterns(found, "alpha_pattern", file),
        saved=_names(found, "modules_to_save"),
        unread=_unread(found),
    )


def _of_mlx(found: Mapping[str, Any], said: Mapping[str, Any], file: str) -> AdapterConfig:
    """What MLX writes: a rank, and the scale that B·A is multiplied by."""
    kind = found.get("fine_tune_type", "lora")
    return AdapterConfig(
        rank=int(_number(said, "rank", 8, file, whole=True)),
        alpha=math.nan,
        base=_text(found, "model", file),
        factor=_number(said, "scale", 20.0, file),
        unread=None if kind == "lora" else f"is an adapter of kind {escaped(kind, 40)} of MLX; its LoRA is read",
    )


def _names(found: Mapping[str, Any], key: str) -> tuple[str, ...]:
    value = found.get(key)
    return tuple(name for name in value if isinstance(name, str)) if isinstance(value, list) else ()


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


def _patterns(found: Mapping[str, Any], key: str, file: str, *, whole: bool = False) -> Patterns:
    """PEFT's patterns are regular expressions; those of one adapter share a budget of steps."""
    patterns = found.get(key) or {}
    if not isinstance(patterns, dict) or len(patterns) > 10_000:
        raise FormatError(f"{key} is no object of patterns and numbers", file=file)
    budget, made = Budget(), []
    for pattern in patterns:
        try:
            made.append((ModulePattern(pattern, budget), _number(patterns, pattern, 0, file, whole=whole)))
        except PatternError as problem:
            next_step = "write the pattern so that it needs nothing else"
            raise FormatError(f'{key}: "{escaped(pattern, 80)}" {problem}', file=file, next=next_step) from None
    return tuple(made)


def claims(name: str, start: bytes) -> bool:
    """Whether a file holds the factors of an adapter: it is known by its name."""
    return name in WEIGHTS


def read(place: Place, beside: Beside = alone) -> Contents:
    """The factors of an adapter. Raises FormatError naming a tensor whose part of an update is not known."""
    start = place.read(0, min(place.size, sniff.START))
    of_torch = torch_zip.claims(os.path.basename(place.name), start)
    found = torch_zip.read(place) if of_torch else safetensors.read(place)
    for entry in found.entries:
        if part_of(entry.name)[1] == "unknown":
            next_step = "LoRA factors are called lora_A and lora_B, lora_a and lora_b, or lora_down and lora_up"
            raise FormatError(
                "is no part of an adapter that is read", file=place.name, tensor=entry.name, next=next_step
            )
    return replace(found, meant={entry.name: weight_name(entry.name) for entry in found.entries})


def weight_name(name: str) -> str:
    """The name of the base's tensor that a stored tensor is a part of, or stands for.

    >>> weight_name("base_model.model.lm_head.lora_A.weight")
    'lm_head.weight'
    """
    module, part = part_of(name)
    return module if part == "whole" else f"{module}.weight"


def part_of(name: str) -> tuple[str, str]:
    """The module (or whole tensor) that a stored name belongs to, without PEFT's prefix, and which part it is.

    `unknown` is a part of an update that is not read.

    >>> part_of("base_model.model.lm_head.lora_A.weight"), part_of("lm_head.lora_down.default.weight")
    (('lm_head', 'a'), ('lm_head', 'a'))
    >>> part_of("base_model.model.lm_head.weight"), part_of("lm_head.hada_w1_a")
    (('lm_head.weight', 'whole'), ('lm_head.hada_w1_a', 'unknown'))
    """
    bare = name
    while bare.startswith(("base_model.model.", "module.", "_orig_mod.")):
        bare = bare.removeprefix(PREFIX).removeprefix("module.").removeprefix("_orig_mod.")
    if bare.endswith(".alpha"):  # kohya: one number beside the factors
        return bare.removesuffix(".alpha"), "alpha"
    words = bare.split(".")
    place = next((n for n in range(len(words) - 1, 0, -1) if words[n] in _FACTORS or words[n] in _LINEAR), 0)
    factor = _factor(words, place) if place else None
    if factor is not None:
        return factor
    whole = bare.replace(".base_layer.", ".")
    whole = re.sub(r"\.modules_to_save(?:\.[^.]+(?=\.(?:weight|bias)$))?\.", ".", whole)
    return whole, "unknown" if _OTHERS.search(whole) else "whole"


def _factor(words: Sequence[str], place: int) -> tuple[str, str] | None:
    """Module and part of a name of which the word at `place` is that of a factor; None where the rest does not fit."""
    before, word, after = list(words[:place]), words[place], tuple(words[place + 1 :])
    if word in _LINEAR:
        last = before.pop()
        if last not in ("lora", "lora_linear_layer") and not last.endswith("_lora"):
            return None
        before += [last.removesuffix("_lora")] if last.endswith("_lora") else []
        part = _LINEAR[word]
    else:
        part = _FACTORS[word]
    ending = after[-1] if after and after[-1] in ("weight", "bias") else ""
    between = after[:-1] if ending else after  # the adapter's own name stands here, where one was given
    if len(between) > 1 or not before or (ending == "bias" and part != "b"):
        return None
    lower = word in ("lora_a", "lora_b") and not after  # MLX: A is inputs × rank, B rank × outputs
    return ".".join(before), "bias" if ending == "bias" else f"{part} turned" if lower else part


FORMAT = Format("adapter", WEIGHTS, claims, read)
