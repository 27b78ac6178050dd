"""A config from a `config.json` of either form, refused where it is something else; and the way back.

The list of fields is an allow-list. A field that is not on it may change what the weights mean (extra norms,
multipliers, experts), so a config that has one is refused by name rather than run without it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from kaibo.errors import FormatError, UsageError, escaped
from kaibo.llama.config.config import LlamaConfig, Rope, Scaling
from kaibo.llama.config.fields import HARMLESS, NEUTRAL, STRUCTURE, refused


@dataclass(frozen=True)
class _Fields:
    """A stranger's object, read field by field."""

    values: Mapping[str, Any]
    file: str
    where: str = ""

    def fail(self, name: str, message: str) -> FormatError:
        return FormatError(f'"{self.where}{escaped(name)}" {message}', file=self.file)

    def count(self, name: str, default: int | None = None) -> int:
        value = self.values.get(name)
        if value is None and default is not None:
            return default
        if isinstance(value, bool) or not isinstance(value, int) or not 0 < value < 2**32:
            what = "is missing" if value is None else f"is {_seen(value)}, not a number of things"
            raise self.fail(name, what)
        return value

    def number(self, name: str, default: float | None = None) -> float:
        value = self.values.get(name)
        if value is None and default is not None:
            return default
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < abs(value) < 1e300:
            raise self.fail(name, "is missing" if value is None else f"is {_seen(value)}, not a number")
        return float(value)

    def optional(self, name: str) -> float | None:
        return None if self.values.get(name) is None else self.number(name)

    def flag(self, name: str, default: bool = False) -> bool:
        value = self.values.get(name)
        if value is None:
            return default
        if not isinstance(value, bool):
            raise self.fail(name, f"is {_seen(value)}, not true or false")
        return value

    def text(self, name: str, default: str) -> str:
        value = self.values.get(name)
        if value is None:
            return default
        if not isinstance(value, str):
            raise self.fail(name, f"is {_seen(value)}, not a text")
        return value

    def ids(self, name: str) -> tuple[int, ...]:
        value = self.values.get(name)
        several = value if isinstance(value, list) else [] if value is None else [value]
        if any(isinstance(one, bool) or not isinstance(one, int) or one < -1 for one in several):
            raise self.fail(name, f"is {_seen(value)}, not a token's number")
        return tuple(one for one in several if one >= 0)


def _seen(value: Any) -> str:
    return "an object" if isinstance(value, Mapping) else escaped(repr(value), 60)


def read_config(config: Mapping[str, Any], file: str = "config.json") -> LlamaConfig:
    """The config that a folder's `config.json` describes.

    Raises FormatError, naming the field, for what is missing or malformed and for any architecture but LLaMA's
    own, Mistral's (a window) and Qwen2's (biases).
    """
    fields = _Fields(config, file)
    kind = fields.text("model_type", "")
    _check_kind(fields, kind)
    for name, value in fields.values.items():
        _check_field(fields, kind, str(name), value)
    layers, heads, hidden = (fields.count(name) for name in ("num_hidden_layers", "num_attention_heads", "hidden_size"))
    if fields.text("hidden_act", "silu") not in ("silu", "swish"):
        raise refused(fields.file, "hidden_act", "its activation is not SiLU")
    if fields.values.get("head_dim") is None and hidden % heads:
        raise fields.fail("hidden_size", f"is {hidden}, which {heads} heads do not divide")
    context = fields.count("max_position_embeddings", 2048)
    bias = fields.flag("attention_bias") if kind == "llama" else False
    try:
        return LlamaConfig(
            vocabulary=fields.count("vocab_size"),
            hidden=hidden,
            intermediate=fields.count("intermediate_size"),
            layers=layers,
            heads=heads,
            kv_heads=fields.count("num_key_value_heads", heads),
            head_size=fields.count("head_dim", max(hidden // heads, 1)),
            context=context,
            rope=_rope(fields, context),
            norm_epsilon=fields.number("rms_norm_eps", 1e-6),
            tied=fields.flag("tie_word_embeddings"),
            qkv_bias=bias or kind == "qwen2",
            output_bias=bias,
            mlp_bias=fields.flag("mlp_bias") if kind == "llama" else False,
            windows=_windows(fields, kind, layers),
            init_sigma=abs(fields.number("initializer_range", 0.02)),
            kind=kind,
            bos=next(iter(fields.ids("bos_token_id")), None),
            eos=fields.ids("eos_token_id"),
            pad=next(iter(fields.ids("pad_token_id")), None),
        )
    except UsageError as wrong:
        raise FormatError(wrong.message, file=fields.file) from None


ARCHITECTURES = {"llama": "LlamaForCausalLM", "mistral": "MistralForCausalLM", "qwen2": "Qwen2ForCausalLM"}
"""The kinds that are one architecture but for a window or a bias, and the class that each names."""


def _check_kind(fields: _Fields, kind: str) -> None:
    if kind not in ARCHITECTURES:
        raise refused(fields.file, "model_type", f'it is "{escaped(kind, 60)}", not {", ".join(ARCHITECTURES)}')
    named = fields.values.get("architectures")
    if named not in (None, [], [ARCHITECTURES[kind]]):
        raise refused(fields.file, "architectures", f"it is {_seen(named)}, not {ARCHITECTURES[kind]}")


def _check_field(fields: _Fields, kind: str, name: str, value: Any) -> None:
    if name in STRUCTURE or name in HARMLESS or value is None:
        return
    if name in ("attention_bias", "mlp_bias") and kind != "llama" and value is not False:
        raise refused(fields.file, name, f"{kind} has no such setting")
    if name in NEUTRAL:
        neutral, reason = NEUTRAL[name]
        if value not in neutral or isinstance(value, bool) != isinstance(neutral[0], bool):
            raise refused(fields.file, name, reason)
        return
    raise refused(fields.file, name, "no LLaMA has this setting, and what it changes is not known here")


_ROPE_KINDS: Mapping[str, Scaling] = {
    "default": "none",
    "linear": "linear",
    "dynamic": "dynamic",
    "yarn": "yarn",
    "llama3": "llama3",
}
_ROPE_FIELDS = {
    *("rope_type", "type", "rope_theta", "factor", "original_max_position_embeddings", "partial_rotary_factor"),
    *("beta_fast", "beta_slow", "attention_factor", "mscale", "mscale_all_dim", "truncate", "finetuned"),
    *("low_freq_factor", "high_freq_factor"),
}


def _rope(fields: _Fields, context: int) -> Rope:
    """The positions, from `rope_theta` and `rope_scaling` (transformers 4) or `rope_parameters` (5)."""
    found: dict[Any, Any] = {}
    for name in ("rope_scaling", "rope_parameters"):
        value = fields.values.get(name)
        if value is not None and not isinstance(value, Mapping):
            raise fields.fail(name, f"is {_seen(value)}, not an object")
        found |= value or {}
    inner = _Fields(found, fields.file, "rope_parameters.")
    odd = sorted(str(name) for name in found if name not in _ROPE_FIELDS)
    if odd:
        raise refused(fields.file, f"rope_parameters.{odd[0]}", "this way of scaling positions is not known here")
    kind = inner.text("rope_type", inner.text("type", "default"))
    if kind not in _ROPE_KINDS:
        raise refused(fields.file, "rope_type", f'positions scaled by "{escaped(kind, 60)}" are not known here')
    if inner.number("partial_rotary_factor", 1.0) != 1.0:
        raise refused(fields.file, "partial_rotary_factor", "only a part of each head is rotated")
    base = inner.number("rope_theta", fields.number("rope_theta", 10_000.0))
    return _scaled(inner, _ROPE_KINDS[kind], base, context)


def _scaled(inner: _Fields, kind: Scaling, base: float, context: int) -> Rope:
    if base <= 1:
        raise inner.fail("rope_theta", f"is {base}; angles want a base above 1")
    if kind == "none":
        return Rope(base=base)
    stated = inner.values.get("original_max_position_embeddings")
    trained = inner.count("original_max_position_embeddings") if stated is not None else context
    absent = inner.values.get("factor") is None and kind == "yarn"
    factor = context / trained if absent else inner.number("factor")
    if factor < 1:
        raise inner.fail("factor", f"is {factor}; positions are scaled by 1 or more")
    return Rope(
        kind=kind,
        base=base,
        factor=factor,
        trained=trained if kind in ("yarn", "llama3") else None,
        beta_fast=inner.number("beta_fast", 32.0),
        beta_slow=inner.number("beta_slow", 1.0),
        attention_factor=inner.optional("attention_factor"),
        mscale=inner.optional("mscale"),
        mscale_all=inner.optional("mscale_all_dim"),
        truncate=inner.flag("truncate", True),
        low=inner.number("low_freq_factor", 1.0),
        high=inner.number("high_freq_factor", 4.0),
    )


def _windows(fields: _Fields, kind: str, layers: int) -> tuple[int | None, ...]:
    used = kind == "mistral" or (kind == "qwen2" and fields.flag("use_sliding_window"))
    if not used or fields.values.get("sliding_window") is None:
        return (None,) * layers
    window = fields.count("sliding_window")
    if kind == "mistral":
        return (window,) * layers
    named = fields.values.get("layer_types")
    if isinstance(named, list) and len(named) == layers:
        return tuple(window if one == "sliding_attention" else None for one in named)
    first = fields.values.get("max_window_layers", 28)
    return tuple(window if isinstance(first, int) and layer >= first else None for layer in range(layers))


def write_config(config: LlamaConfig) -> dict[str, Any]:
    """The `config.json` of a config, which transformers 4 and 5 and `read_config` read."""
    eos: int | list[int] | None = list(config.eos) if len(config.eos) > 1 else next(iter(config.eos), None)
    fields: dict[str, Any] = {
        "architectures": [ARCHITECTURES[config.kind]],
        "model_type": config.kind,
        "vocab_size": config.vocabulary,
        "hidden_size": config.hidden,
        "intermediate_size": config.intermediate,
        "num_hidden_layers": config.layers,
        "num_attention_heads": config.heads,
        "num_key_value_heads": config.kv_heads,
        "head_dim": config.head_size,
        "hidden_act": "silu",
        "max_position_embeddings": config.context,
        "rms_norm_eps": config.norm_epsilon,
        "tie_word_embeddings": config.tied,
        "initializer_range": config.init_sigma,
        "rope_theta": config.rope.base,
        "rope_parameters": rope_json(config.rope),
        "bos_token_id": config.bos,
        "eos_token_id": eos,
        "pad_token_id": config.pad,
        "use_cache": True,
    }
    scaling = {name: value for name, value in rope_json(config.rope).items() if name != "rope_theta"}
    fields["rope_scaling"] = None if config.rope.kind == "none" else scaling
    if config.kind == "llama":
        fields |= {"attention_bias": config.qkv_bias, "mlp_bias": config.mlp_bias}
    window = next((window for window in config.windows if window), None)
    if config.kind == "mistral":
        fields |= {"sliding_window": window}
    if config.kind == "qwen2":
        kinds = ["full_attention" if one is None else "sliding_attention" for one in config.windows]
        fields |= {"use_sliding_window": window is not None, "sliding_window": window, "layer_types": kinds}
    return fields


def rope_json(rope: Rope) -> dict[str, Any]:
    """The `rope_parameters` of transformers 5."""
    fields: dict[str, Any] = {"rope_type": "default" if rope.kind == "none" else rope.kind, "rope_theta": rope.base}
    if rope.kind == "none":
        return fields
    fields |= {"factor": rope.factor}
    if rope.trained is not None:
        fields |= {"original_max_position_embeddings": rope.trained}
    if rope.kind == "llama3":
        fields |= {"low_freq_factor": rope.low, "high_freq_factor": rope.high}
    if rope.kind == "yarn":
        fields |= {"beta_fast": rope.beta_fast, "beta_slow": rope.beta_slow, "truncate": rope.truncate}
        chosen = {"attention_factor": rope.attention_factor, "mscale": rope.mscale, "mscale_all_dim": rope.mscale_all}
        fields |= {name: value for name, value in chosen.items() if value is not None}
    return fields
