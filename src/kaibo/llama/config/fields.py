"""The fields of a `config.json` that a LLaMA may have, and why others are refused: data, not code."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from kaibo.errors import FormatError, escaped

STRUCTURE = frozenset(
    {
        *("model_type", "architectures", "vocab_size", "hidden_size", "intermediate_size", "num_hidden_layers"),
        *("num_attention_heads", "num_key_value_heads", "head_dim", "hidden_act", "max_position_embeddings"),
        *("rms_norm_eps", "tie_word_embeddings", "initializer_range", "rope_theta", "rope_scaling", "rope_parameters"),
        *("attention_bias", "mlp_bias", "sliding_window", "use_sliding_window", "max_window_layers", "layer_types"),
        *("bos_token_id", "eos_token_id", "pad_token_id"),
    }
)
"""Fields that say what the model is; every one of them is read."""

HARMLESS = frozenset(
    {
        *("torch_dtype", "dtype", "transformers_version", "_name_or_path", "name_or_path", "use_cache", "auto_map"),
        *("pretraining_tp", "attention_dropout", "unsloth_version", "unsloth_fixed", "_attn_implementation_autoset"),
        *("output_attentions", "output_hidden_states", "return_dict", "id2label", "label2id", "num_labels"),
        *("temperature", "top_p", "top_k", "do_sample", "max_length", "min_length", "repetition_penalty"),
        *("rope_interleaved", "tokenizer_class", "task_specific_params", "problem_type", "is_decoder", "prefix"),
        *("chunk_size_feed_forward", "gradient_checkpointing", "original_max_position_embeddings"),
    }
)
"""Fields that change no logits. `auto_map` names code to run, which is never run: the kind is known without it."""

_NORMS = "it has norms that a LLaMA has not"
_EXPERTS = "it chooses among experts"
_SCALE = "it multiplies what a LLaMA does not"
_CAP = "it caps its logits"

NEUTRAL: Mapping[str, tuple[tuple[Any, ...], str]] = {
    **dict.fromkeys(("qk_norm", "use_qk_norm", "use_qkv_norm", "qk_layernorm"), ((False,), _NORMS)),
    **dict.fromkeys(("num_experts", "num_local_experts", "n_routed_experts", "num_experts_per_tok"), ((0,), _EXPERTS)),
    **dict.fromkeys(("attn_logit_softcapping", "final_logit_softcapping"), ((0,), _CAP)),
    **dict.fromkeys(("logit_scale", "logits_scaling", "embedding_multiplier", "residual_multiplier"), ((1,), _SCALE)),
    **dict.fromkeys(("attention_multiplier", "query_pre_attn_scalar", "scale_emb", "scale_depth"), ((None,), _SCALE)),
    "clip_qkv": ((None,), "it clips queries, keys and values"),
    "partial_rotary_factor": ((1,), "only a part of each head is rotated"),
    "no_rope_layers": (([],), "some layers have no positions"),
    "is_encoder_decoder": ((False,), "it has an encoder"),
    "add_cross_attention": ((False,), "it has cross-attention"),
    "cross_attention_hidden_size": ((None,), "it has cross-attention"),
    "tie_encoder_decoder": ((False,), "it has an encoder"),
    "pruned_heads": (({},), "heads were pruned"),
    "quantization_config": ((None,), "its weights are packed codes; kaibo generate runs them through transformers"),
    "text_config": ((None,), "it is a part of a larger model"),
    "vision_config": ((None,), "it is a part of a larger model"),
}
"""Fields that are harmless with one value and change the architecture with any other, and how."""


def refused(file: str, field: str, reason: str) -> FormatError:
    """The error for an architecture that only looks like LLaMA."""
    message = f'is no LLaMA that the reference runs: {reason} ("{escaped(field, 80)}")'
    return FormatError(message, file=file, next="kaibo generate and kaibo score run it through transformers")
