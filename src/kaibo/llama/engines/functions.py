"""What a model does, as one key: its weights, what its forward pass reads of the config, and how it is run.

Two folders with the same tensors answer differently under another `rope_theta`, epsilon or number of heads, so nothing
that a model answered may be looked up by its tensors alone. A config is compared by what it means: old and new
spellings of a field agree, a default may be written out, and fields that no forward pass reads are left out.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from kaibo.errors import FormatError
from kaibo.llama.config.config import LlamaConfig
from kaibo.llama.config.config_json import read_config
from kaibo.vocabulary import Function, Model

FUNCTION_VERSION = 1
"""Raised when the reference would answer otherwise with the same weights, config and settings."""


@dataclass(frozen=True)
class Running:
    """How a model is run: in which type, on which device, with positions scaled or weights packed beyond its config."""

    dtype: str | None = None
    device: str = "cpu"
    rope: str | None = None
    bits: int | None = None


def function_of(stored: Model, model_id: str, tokenizer_hash: str, how: Running, step: int | None = None) -> Function:
    """The model as what answers; `tokenizer_hash` names the tokenizer, `model_id` the content of the tensors."""
    engine, config = _engine(stored, how)
    said = {
        "version": FUNCTION_VERSION,
        "model": model_id,
        "tokenizer": tokenizer_hash,
        "engine": engine,
        "config": meaning(config),
        "dtype": how.dtype,
        "device": how.device.partition(":")[0],
        "rope": how.rope,
        "bits": how.bits,
    }
    if how.dtype is None:  # as stored, which transformers takes from the config
        said["stored"] = str(stored.config.get("dtype") or stored.config.get("torch_dtype"))
    text = json.dumps(said, sort_keys=True, default=str)
    return Function(stored.address, step, model_id, hashlib.sha256(text.encode()).hexdigest()[:16], tokenizer_hash)


def ends_said(*configs: Mapping[str, Any]) -> frozenset[int]:
    """The ids after which a model has stopped, as each of these documents says."""
    ends: set[int] = set()
    for config in configs:
        value = config.get("eos_token_id")
        ends |= {one for one in (value if isinstance(value, list) else [value]) if isinstance(one, int)}
    return frozenset(ends)


def _engine(stored: Model, how: Running) -> tuple[str, Mapping[str, Any]]:
    """What runs the model, as `run_model` decides it, and the config that it runs by, defaults filled in."""
    try:
        config = read_config(stored.config)
    except FormatError:
        return f"transformers {_version()}", _theirs(stored.config)
    if how.bits is not None:
        return f"transformers {_version()}", _theirs(stored.config)
    return "reference", _ours(config)


def _ours(config: LlamaConfig) -> Mapping[str, Any]:
    """The reference's config without what only training, sampling or files name; unscaled positions have no kind."""
    said = {name: value for name, value in asdict(config).items() if name not in _UNREAD_BY_OURS}
    return said | {"rope": {**said["rope"], "kind": None if config.rope.kind == "none" else config.rope.kind}}


def _version() -> str:
    try:
        return version("transformers")
    except PackageNotFoundError:
        return "absent"


def _theirs(config: Mapping[str, Any]) -> Mapping[str, Any]:
    """The config as transformers reads it, under its own names; as it stands where transformers reads none."""
    try:
        from transformers import CONFIG_MAPPING

        read: dict[str, Any] = CONFIG_MAPPING[config["model_type"]].from_dict(dict(config)).to_dict()
    except Exception:  # noqa: BLE001 - what transformers cannot read it cannot run: loading says what is wrong
        return config
    return read


_UNREAD_BY_OURS = ("init_sigma", "bos", "eos", "pad", "kind")
UNREAD = frozenset(
    {
        *("architectures", "transformers_version", "name_or_path", "auto_map", "tokenizer_class", "use_cache"),
        *("torch_dtype", "dtype", "initializer_range", "init_std", "bos_token_id", "eos_token_id", "torchscript"),
        *("output_attentions", "output_hidden_states", "return_dict", "id2label", "label2id", "num_labels"),
        *("problem_type", "task_specific_params", "finetuning_task", "prefix", "gradient_checkpointing"),
        *("temperature", "top_p", "top_k", "typical_p", "do_sample", "max_length", "min_length", "num_beams"),
        *("repetition_penalty", "length_penalty", "no_repeat_ngram_size", "early_stopping", "num_return_sequences"),
        *("attn_pdrop", "embd_pdrop", "resid_pdrop", "unsloth_version", "unsloth_fixed", "chunk_size_feed_forward"),
        *("summary_type", "summary_use_proj", "summary_activation", "summary_proj_to_labels", "layerdrop"),
    }
)
"""Fields that no forward pass in evaluation mode reads; what is not listed is taken to matter."""


def meaning(config: Any) -> Any:
    """A config with its unread fields left out, at every depth; 500000 and 500000.0 are one number.

    >>> meaning({"rope_theta": 1e4, "use_cache": True, "hidden_dropout": 0.1, "head_dim": None})
    {'rope_theta': 10000}
    """
    if isinstance(config, Mapping):
        kept = {str(name): meaning(value) for name, value in config.items() if value is not None and _read(str(name))}
        return {name: value for name, value in kept.items() if not (name == "type" and "rope_type" in kept)}
    if isinstance(config, list | tuple):
        return [meaning(one) for one in config]
    return int(config) if isinstance(config, float) and config.is_integer() else config


def _read(name: str) -> bool:
    return name not in UNREAD and not name.startswith(("_", "summary_")) and "dropout" not in name
