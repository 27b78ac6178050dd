"""What the metadata of a GGUF file say of its model: config, tokenizer, chat template, and the names of its tensors.

Sources: ggml, docs/gguf.md (keys), and llama.cpp, convert_hf_to_gguf.py (names and what it changes: rows of q and k
are interleaved in llama-like types, norms of Gemma hold 1 + weight).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

FAMILIES: Mapping[str, str] = {
    "gptneox": "gpt_neox",
    "gemma3": "gemma3_text",
    "qwen2moe": "qwen2_moe",
    "qwen3moe": "qwen3_moe",
    "deepseek2": "deepseek_v3",
    "gpt-oss": "gpt_oss",
}
"""Architectures whose `model_type` has another name."""

INTERLEAVED = frozenset(
    {"llama", "granite", "granitemoe", "minicpm", "deci", "baichuan", "internlm2", "xverse", "arctic"}
)
"""Architectures whose q and k rows the converter interleaves."""

PLUS_ONE = frozenset({"gemma", "gemma2", "gemma3", "gemma3_text"})
"""Architectures of which the converter adds 1 to every norm."""

KEYS: Mapping[str, str] = {
    "embedding_length": "hidden_size",
    "block_count": "num_hidden_layers",
    "feed_forward_length": "intermediate_size",
    "context_length": "max_position_embeddings",
    "vocab_size": "vocab_size",
    "attention.head_count": "num_attention_heads",
    "attention.head_count_kv": "num_key_value_heads",
    "attention.key_length": "head_dim",
    "attention.layer_norm_rms_epsilon": "rms_norm_eps",
    "attention.layer_norm_epsilon": "layer_norm_eps",
    "attention.sliding_window": "sliding_window",
    "rope.freq_base": "rope_theta",
    "expert_count": "num_experts",
    "expert_used_count": "num_experts_per_tok",
    "expert_feed_forward_length": "moe_intermediate_size",
    "attn_logit_softcapping": "attn_logit_softcapping",
    "final_logit_softcapping": "final_logit_softcapping",
}
GPT2_KEYS = {
    "hidden_size": "n_embd",
    "num_hidden_layers": "n_layer",
    "num_attention_heads": "n_head",
    "max_position_embeddings": "n_positions",
    "intermediate_size": "n_inner",
    "layer_norm_eps": "layer_norm_epsilon",
}
SPECIAL = {"bos": "bos_token", "eos": "eos_token", "unknown": "unk_token", "padding": "pad_token"}

_LLAMA = {
    "token_embd": "model.embed_tokens",
    "output_norm": "model.norm",
    "output": "lm_head",
    "attn_q": "self_attn.q_proj",
    "attn_k": "self_attn.k_proj",
    "attn_v": "self_attn.v_proj",
    "attn_qkv": "self_attn.qkv_proj",
    "attn_output": "self_attn.o_proj",
    "attn_q_norm": "self_attn.q_norm",
    "attn_k_norm": "self_attn.k_norm",
    "attn_norm": "input_layernorm",
    "ffn_norm": "post_attention_layernorm",
    "ffn_gate": "mlp.gate_proj",
    "ffn_up": "mlp.up_proj",
    "ffn_down": "mlp.down_proj",
    "ffn_gate_inp": "mlp.gate",
    "ffn_gate_exps": "mlp.experts.gate_proj",
    "ffn_up_exps": "mlp.experts.up_proj",
    "ffn_down_exps": "mlp.experts.down_proj",
}
_FOUR_NORMS = {
    "post_attention_norm": "post_attention_layernorm",
    "ffn_norm": "pre_feedforward_layernorm",
    "post_ffw_norm": "post_feedforward_layernorm",
}
_GPT2 = {
    "token_embd": "wte",
    "position_embd": "wpe",
    "output_norm": "ln_f",
    "output": "lm_head",
    "attn_qkv": "attn.c_attn",
    "attn_output": "attn.c_proj",
    "attn_norm": "ln_1",
    "ffn_norm": "ln_2",
    "ffn_up": "mlp.c_fc",
    "ffn_down": "mlp.c_proj",
}
_BLOCK = re.compile(r"blk\.(\d{1,6})\.(.+)")


def meaning(metadata: Mapping[str, Any], shapes: Mapping[str, tuple[int, ...]]) -> dict[str, Any]:
    """Config, documents, names and undone layouts, as fields of `Contents`."""
    kind = metadata.get("general.architecture")
    kind = kind if isinstance(kind, str) else ""
    config = _config(kind, metadata, shapes)
    names = {name: _name(kind, name) for name in shapes}
    interleaved = {}
    heads, head_size = config.get("num_attention_heads"), config.get("head_dim")
    if kind in INTERLEAVED and type(heads) is int:
        for name, shape in shapes.items():
            if re.fullmatch(r"blk\.\d+\.attn_[qk]\.(weight|bias)", name) and shape:
                size = head_size if type(head_size) is int else int(config.get("hidden_size", 0)) // max(heads, 1)
                if size > 1 and size % 2 == 0 and shape[0] % size == 0:
                    interleaved[name] = size
    plus = frozenset(name for name in shapes if kind in PLUS_ONE and name.endswith("norm.weight"))
    return {
        "config": config,
        "documents": _documents(metadata),
        "names": names,
        "interleaved": interleaved,
        "plus_one": plus,
    }


def _name(kind: str, name: str) -> str:
    """The name that the family's own files give a tensor; its own where none is known."""
    table = _GPT2 if kind == "gpt2" else {**_LLAMA, **(_FOUR_NORMS if kind in ("gemma2", "gemma3") else {})}
    found = _BLOCK.fullmatch(name)
    stem, dot, ending = (found[2] if found else name).rpartition(".")
    if stem not in table or ending not in ("weight", "bias"):
        return name
    prefix = f"{'h' if kind == 'gpt2' else 'model.layers'}.{found[1]}." if found else ""
    return f"{prefix}{table[stem]}{dot}{ending}"


def _config(kind: str, metadata: Mapping[str, Any], shapes: Mapping[str, tuple[int, ...]]) -> dict[str, Any]:
    """The config in the keys of transformers; empty where the file names no architecture."""
    if not kind:
        return {}
    found = {
        known: value
        for key, known in KEYS.items()
        if isinstance(value := metadata.get(f"{kind}.{key}"), int | float) and not isinstance(value, bool)
    }
    counts = metadata.get(f"{kind}.attention.head_count_kv")
    if isinstance(counts, list) and counts and len(set(map(str, counts))) == 1 and type(counts[0]) is int:
        found["num_key_value_heads"] = counts[0]
    tokens = metadata.get("tokenizer.ggml.tokens")
    table = shapes.get("token_embd.weight")
    if isinstance(tokens, list):
        found["vocab_size"] = table[0] if table else len(tokens)
    model_type = "mixtral" if kind == "llama" and found.get("num_experts") else FAMILIES.get(kind, kind)
    if kind == "gpt2":
        found = {GPT2_KEYS.get(key, key): value for key, value in found.items()}
    if model_type == "mixtral":
        found["num_local_experts"] = found.pop("num_experts")
    return {
        "model_type": model_type,
        **found,
        **_scaling(kind, metadata),
        **_special(metadata),
        "tie_word_embeddings": "token_embd.weight" in shapes and "output.weight" not in shapes,
    }


def _special(metadata: Mapping[str, Any]) -> dict[str, Any]:
    """The ids of the tokens that begin and end a text; a turn that has an end of its own ends there, too."""
    ids = {key: metadata.get(f"tokenizer.ggml.{key}_token_id") for key in ("bos", "eos", "eot")}
    known = {key: number for key, number in ids.items() if type(number) is int}
    ends = list(dict.fromkeys(known[key] for key in ("eos", "eot") if key in known))
    found: dict[str, Any] = {"bos_token_id": known["bos"]} if "bos" in known else {}
    return {**found, "eos_token_id": ends[0] if len(ends) == 1 else ends} if ends else found


def _scaling(kind: str, metadata: Mapping[str, Any]) -> dict[str, Any]:
    scaling, factor = metadata.get(f"{kind}.rope.scaling.type"), metadata.get(f"{kind}.rope.scaling.factor")
    if not isinstance(scaling, str) or scaling == "none" or not isinstance(factor, int | float):
        return {}
    original = metadata.get(f"{kind}.rope.scaling.original_context_length")
    found: dict[str, Any] = {"rope_type": scaling, "factor": factor}
    if isinstance(original, int):
        found["original_max_position_embeddings"] = original
    return {"rope_scaling": found}


def _documents(metadata: Mapping[str, Any]) -> dict[str, Any]:
    """What the file says of its tokenizer, under the names of the small files that other folders have."""
    tokens = metadata.get("tokenizer.ggml.tokens")
    said: dict[str, Any] = {}
    for key, role in SPECIAL.items():
        number = metadata.get(f"tokenizer.ggml.{key}_token_id")
        if isinstance(tokens, list) and type(number) is int and 0 <= number < len(tokens):
            said[role] = tokens[number]
    for key in ("add_bos_token", "add_eos_token"):
        if isinstance(metadata.get(f"tokenizer.ggml.{key}"), bool):
            said[key] = metadata[f"tokenizer.ggml.{key}"]
    found: dict[str, Any] = {"tokenizer_config.json": said} if said else {}
    template = metadata.get("tokenizer.chat_template")
    return {**found, "chat_template": template} if isinstance(template, str) else found
