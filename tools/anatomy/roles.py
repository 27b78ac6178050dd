"""What a tensor is for, from its name: the words of kaibo's roles."""

from __future__ import annotations

import re

RULES: tuple[tuple[str, str], ...] = (
    (
        r"(^|\.)(lm_head|embed_out|output_projection|lm_predictions|cls\.predictions\.decoder)\.|^(model\.)?head\.weight$",
        "head",
    ),
    (r"(^|\.)(hc_|hyper|mhc)", "connection"),
    (
        r"(embed_positions|compressor\.ape|wpe|position_embeddings?|pos_emb|position_embedding|positional_embedding|relative_attention_bias|rel_pos|pos_embed|position_encoding|positions_embed)",
        "embedding.position",
    ),
    (r"(token_type_embeddings|segment_embedding|type_embed)", "embedding.type"),
    (
        r"(per_layer_model_projection|embedding_projection|embeddings_project|embedding_hidden_mapping_in|project_in|project_out)",
        "embedding.projection",
    ),
    (r"(embed_tokens_per_layer|per_layer_embed)", "embedding.per_layer"),
    (
        r"(^|\.)(embed_tokens|wte|word_embeddings?|embed_in|tokens_embed|embedding|embeddings|shared|tok_embeddings|word_embedding|embed)(\.weight)?$",
        "embedding",
    ),
    (r"(patch_embed|patch_embedding|patch_conv|conv_in|patch_proj|patch_embedder|patch_embeddings)", "embedding.patch"),
    (r"indexer", "attention.indexer"),
    (r"(q_norm|query_norm|q_layernorm|query_layernorm|q_ln|q_a_layernorm_never)", "attention.q_norm"),
    (r"(k_norm|key_norm|k_layernorm|key_layernorm|k_ln)", "attention.k_norm"),
    (r"(q_a_proj|wq_a|q_lora_a|q_down_proj)", "attention.q_a"),
    (r"(q_b_proj|wq_b|q_lora_b|q_up_proj)", "attention.q_b"),
    (r"(kv_a_proj|kv_down_proj|wkv_a)", "attention.kv_a"),
    (r"(kv_b_proj|kv_up_proj|wkv_b)", "attention.kv_b"),
    (r"(?<![a-z])(sinks?|attention_sink\w*)$", "attention.sink"),
    (r"(?<![a-z_])experts?\.(\d+|\{expert\})\.(gate_proj|w1|wi_0|linear_fc1_never)", "expert.gate"),
    (r"(?<![a-z_])experts?\.(\d+|\{expert\})\.(up_proj|w3|wi_1|fc1|wi|dense_h_to_4h)", "expert.up"),
    (r"(?<![a-z_])experts?\.(\d+|\{expert\})\.(down_proj|w2|wo|fc2|dense_4h_to_h)", "expert.down"),
    (r"(?<![a-z_])experts\.(.*\.)?(gate_up_proj|w13|input_linear|gate_and_up)", "expert.gate_up"),
    (r"(?<![a-z_])experts\.(.*\.)?(gate_proj|w1|v1)", "expert.gate"),
    (r"(?<![a-z_])experts\.(.*\.)?(up_proj|w3)", "expert.up"),
    (r"(?<![a-z_])experts\.(.*\.)?(down_proj|w2|output_linear)", "expert.down"),
    (r"(block_sparse_moe|moe|mlp)\.input_linear", "expert.gate_up"),
    (r"(block_sparse_moe|moe|mlp)\.output_linear", "expert.down"),
    (r"(e_score_correction_bias|expert_bias|score_bias)", "bias"),
    (
        r"(router|(moe|mlp|feed_forward|ffn|mixer|sparse_moe|gate)\.gate|\.gate)(\.\w+)*(\.weight|_weight|\.scale|\.wg)?$",
        "router",
    ),
    (r"shared_expert_gate", "router"),
    (
        r"(A_log|(^|\.)D$|dt_bias|dt_proj|x_proj|in_proj|out_proj_never|conv1d|ssm|b_proj|f_a_proj|f_b_proj|g_a_proj|g_b_proj|linear_attn|mamba|mixer\.(?!.*(up|down|gate|q|k|v|o)_proj)|rg_lru|conv_1d|short_conv|conv\.conv|q_conv|k_conv|v_conv|time_mix|time_decay|time_first|slope_rate|recurrent)",
        "mixer",
    ),
    (r"(qkv|query_key_value|Wqkv|c_attn|in_proj_weight|qkv_proj|q_k_v)", "attention.qkv"),
    (r"(kv_proj|key_value|kv\.weight|kv_linear|wkv)", "attention.kv"),
    (r"(q_proj|\.query|\.wq|q_lin|linear_q|\.q\.|q_linear|to_q|Wq|\.q$)", "attention.q"),
    (r"(k_proj|\.key|\.wk|k_lin|linear_k|\.k\.|k_linear|to_k|Wk|\.k$)", "attention.k"),
    (r"(v_proj|\.value|\.wv|v_lin|linear_v|\.v\.|v_linear|to_v|Wv|\.v$)", "attention.v"),
    (
        r"(o_proj|attention\.output\.dense|attn.*\.c_proj|attention.*\.dense|attn.*\.dense|wo\.|out_lin|self_attn.*out_proj|attn.*\.out_proj|attention.*\.out_proj|attn.*\.proj|\.o\.|linear_out|to_out|attention\.output|self_attn\.dense|self_attn\.linear|attn\.wo|o_a_proj|o_b_proj|\.o$)",
        "attention.o",
    ),
    (r"(g_proj|gate.*attn|attn.*gate|self_attn.*gate)", "attention.gate"),
    (r"(gate_up_proj|gate_up|w12|wi_fused|dense_h_to_4h_swiglu|shared_mlp\.input_linear|gate_and_up)", "mlp.gate_up"),
    (r"(gate_proj|\.w1\b|wi_0|linear_gate|ffn.*gate|mlp.*gate)", "mlp.gate"),
    (
        r"(up_proj|\.w3\b|wi_1|fc1|c_fc|dense_h_to_4h|intermediate\.dense|linear_1|lin1|fc_in|\.wi\b|linear_fc1|w_in|ff\.0|mlp\.0|ffn\.0|layer_1|dense1)",
        "mlp.up",
    ),
    (
        r"(down_proj|\.w2\b|fc2|mlp\.c_proj|dense_4h_to_h|output\.dense|linear_2|lin2|fc_out|linear_fc2|w_out|ff\.2|mlp\.2|ffn\.2|layer_2|output_linear|dense2|c_proj)",
        "mlp.down",
    ),
    (r"(pooler)", "pooler"),
    (r"(norm|ln_|\.ln\d?|layer_norm|\bln)", "norm"),
    (r"(^|\.)(classifier|score|qa_outputs|classification_head)", "head"),
    (r"(hc_|hyper|lauren|mhc|alpha|\bhead_scale|residual)", "connection"),
    (
        r"(projector|projection|merger|connector|adapter|aligner|resampler|perceiver|multi_modal|modality|mm_)",
        "projector",
    ),
    (r"conv", "mixer"),
)
NORM = re.compile(r"(norm|\bln_?\w*|layer_norm|layernorm)[^.]*\.(weight|scale|gamma)$|norm[^.]*$")


def role_of(name: str, *, buffer: bool = False) -> str:
    """The role of a tensor of this name, `part` where no word says what it does; never `other`.

    >>> role_of("layers.{layer}.self_attn.q_proj.weight"), role_of("layers.{layer}.input_layernorm.weight")
    ('attention.q', 'norm')
    """
    if name.endswith((".bias", "_bias")) or re.search(r"\.bias_\w+$|_b$", name):
        return "bias"
    if buffer:
        return "buffer"
    if NORM.search(name) and not re.search(r"(q|k|query|key)_?(norm|layernorm|ln)", name):
        return "norm"
    for pattern, role in RULES:
        if re.search(pattern, name):
            return role
    return "part"
