"""How older files spell what newer ones say: kinds of layers, patterns of letters; and what a model class is for."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from kaibo.errors import escaped

MOST_LAYERS = 100_000
_SHOWN = 60

_ENDINGS = (
    "ForSequenceClassification",
    "ForTokenClassification",
    "ForQuestionAnswering",
    "ForMultipleChoice",
    "ForNextSentencePrediction",
    "ForConditionalGeneration",
    "ForPreTraining",
    "ForMaskedLM",
    "ForCausalLM",
    "LMHeadModel",
    "Model",
)


LEGACY = {
    "mamba": "linear_attention",
    "attention": "full_attention",
    "deepseek_sparse_attention": "indexed_attention",
    "qwen_sparse_attention": "indexed_attention",
}
"""Entries of `layer_types` in older files. Source: transformers: configuration_utils.py, _LEGACY_LAYER_TYPE_REMAP."""


SPELLED: Mapping[str, tuple[str, Mapping[str, str]]] = {
    "hybrid_override_pattern": (
        "layers_block_type",
        {"M": "linear_attention", "E": "moe", "*": "full_attention", "-": "mlp"},
    )
}
"""Layers that older files spell with a letter each. Source: transformers: nemotron_h/configuration_nemotron_h.py."""


KINDS_OF_LAYERS = frozenset(
    {
        *(
            "attention",
            "chunked_attention",
            "compressed_sparse_attention",
            "conv",
            "deepseek_sparse_attention",
            "dense",
        ),
        *(
            "full_attention",
            "hash_moe",
            "heavily_compressed_attention",
            "hybrid",
            "hybrid_sliding",
            "indexed_attention",
        ),
        *("linear_attention", "local_attention", "mamba", "minimax_m3_sparse", "mlp", "moe", "qwen_sparse_attention"),
        *("reference_sliding_attention", "sliding_attention", "sparse", "window_attention"),
    }
)
"""What may stand in a list of kinds of layers. Source: transformers: configuration_utils.py, ALLOWED_LAYER_TYPES."""

NUMBERED: Mapping[str, tuple[str, Mapping[int, str]]] = {
    "compress_ratios": (
        "layer_types",
        {0: "sliding_attention", 4: "compressed_sparse_attention", 128: "heavily_compressed_attention"},
    ),
    "sparse_attention_freq": ("layer_types", {0: "full_attention", 1: "minimax_m3_sparse"}),
    "moe_layer_freq": ("mlp_layer_types", {0: "dense", 1: "sparse"}),
}
"""Layers that older files number. Source: transformers: deepseek_v4 and minimax_m3_vl, configuration files."""

RENAMED: Mapping[str, str] = {
    "vt_hidden_size": "hidden_size",
    "vt_intermediate_size": "intermediate_size",
    "vt_num_attention_heads": "num_attention_heads",
    "vt_num_hidden_layers": "num_hidden_layers",
    "init_pos_emb_height": "pos_emb_height",
    "init_pos_emb_width": "pos_emb_width",
    "init_pos_emb_time": "pos_emb_time",
    "mm_hidden_size": "projection_hidden_size",
}
"""Older names of keys. Source: huggingface.co/moonshotai/Kimi-K2.5: configuration_kimi_k25.py."""

FLAT: Mapping[str, Mapping[str, str]] = {
    "sparse_attention_config": {
        "sparse_attention_freq": "sparse_attention_freq",
        "sparse_num_index_heads": "index_n_heads",
        "sparse_index_dim": "index_head_dim",
    }
}
"""Keys of a nested table that newer files have outside. Source: transformers: minimax_m3_vl configuration."""


def spelled_out(config: Mapping[str, Any]) -> Mapping[str, Any]:
    """The config with a list in place of each pattern of letters or numbers, and of blocks described one by one."""
    found = {**config, **_blocks(config)}
    found |= {new: config[old] for old, new in RENAMED.items() if old in config and new not in config}
    for outer, names in FLAT.items():
        inner = config.get(outer)
        if isinstance(inner, Mapping):
            found |= {new: inner[old] for old, new in names.items() if old in inner and new not in config}
    for key, (name, words) in NUMBERED.items():
        held, layers = found.get(key), config.get("num_hidden_layers")
        if not isinstance(held, list) or len(held) > MOST_LAYERS or any(type(one) is not int for one in held):
            continue
        if name not in config and type(layers) is int:  # one more is of a layer that predicts further
            found[name] = [words.get(one, one) for one in held[: max(layers, 0)]]
    for key, (name, letters) in SPELLED.items():
        text = config.get(key)
        if isinstance(text, str) and name not in config and len(text) <= MOST_LAYERS:
            found[name] = [letters.get(letter, letter) for letter in text]
        elif text is not None and name not in config:
            found[name] = text
    return found


def _blocks(config: Mapping[str, Any]) -> dict[str, list[str | int]]:
    """`block_configs` of nemotron-nas as lists with an entry a layer: kinds, heads of keys, widths.

    Source: huggingface.co/nvidia/Llama-3_3-Nemotron-Super-49B-v1: block_config.py and modeling_decilm.py.
    """
    blocks = config.get("block_configs")
    heads, hidden = config.get("num_attention_heads"), config.get("hidden_size")
    if not isinstance(blocks, list) or len(blocks) > MOST_LAYERS or type(heads) is not int or type(hidden) is not int:
        return {}
    halves = [[_half(block, name) for block in blocks] for name in ("attention", "ffn")]
    if any(half is None for column in halves for half in column):
        return {}
    looking, feeding = ([half or {} for half in column] for column in halves)
    narrow = any(_done(half) == "whole" and not _quotient(heads, half.get("n_heads_in_group")) for half in looking)
    if narrow or any(_done(half) == "whole" and not _width(half.get("ffn_mult"), hidden) for half in feeding):
        return {}
    return {
        "block_attention": [_done(half) for half in looking],
        "block_ffn": [_done(half) for half in feeding],
        "block_kv_heads": [_quotient(heads, half.get("n_heads_in_group")) for half in looking],
        "block_intermediate": [_width(half.get("ffn_mult"), hidden) for half in feeding],
    }


def _half(block: Any, name: str) -> Mapping[str, Any] | None:
    half = block.get(name) if isinstance(block, Mapping) else None
    return half if isinstance(half, Mapping) else None


def _done(half: Mapping[str, Any]) -> str:
    return "none" if half.get("no_op") is True else "linear" if half.get("replace_with_linear") is True else "whole"


def _quotient(heads: int, group: Any) -> int:
    return heads // group if type(group) is int and group > 0 else 0


def _width(factor: Any, hidden: int) -> int:
    """The width of a feed-forward part: ⅔ · 2 · factor · hidden, up to the next multiple of 256."""
    if not isinstance(factor, int | float) or isinstance(factor, bool) or not 0 < factor < 1000:
        return 0
    return -(-int(2 * factor * min(hidden, 2**32) / 3) // 256) * 256


def ending_of(architecture: str) -> str | None:
    """What a model class is for, from the end of its name: `ForCausalLM`, `Model` …; None where it says nothing."""
    return next((ending for ending in _ENDINGS if architecture.endswith(ending)), None)


def describe(value: Any) -> str:
    """What a stranger's value is, in a few words, without ever spelling out a long one.

    >>> describe("4096"), describe([1, 2]), describe(10**5000)
    ('the text "4096"', 'a list', 'a number of 16610 bits')
    """
    if isinstance(value, str):
        return f'the text "{escaped(value, _SHOWN)}"'
    if isinstance(value, int) and not isinstance(value, bool) and value.bit_length() > 128:
        return f"a number of {value.bit_length()} bits"
    if isinstance(value, Mapping):
        return "an object"
    return "a list" if isinstance(value, list | tuple) else escaped(value, _SHOWN)
