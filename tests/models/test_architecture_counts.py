"""Parameters, caches and sizes that are known exactly, from configs written from knowledge."""

from __future__ import annotations

import pytest

from kaibo.models.anatomy import architecture


def llama(hidden, intermediate, layers, heads, **more):
    return {
        "model_type": "llama",
        "architectures": ["LlamaForCausalLM"],
        "hidden_size": hidden,
        "intermediate_size": intermediate,
        "num_hidden_layers": layers,
        "num_attention_heads": heads,
        "vocab_size": 32000,
        "max_position_embeddings": 2048,
        "hidden_act": "silu",
        "rms_norm_eps": 1e-6,
        "tie_word_embeddings": False,
        **more,
    }


def kin(model_type, config, **more):
    return {**config, "architectures": None, "model_type": model_type, **more}


def pythia(hidden, layers, heads, vocabulary=50304):
    return {
        "model_type": "gpt_neox",
        "architectures": ["GPTNeoXForCausalLM"],
        "hidden_size": hidden,
        "intermediate_size": 4 * hidden,
        "num_hidden_layers": layers,
        "num_attention_heads": heads,
        "vocab_size": vocabulary,
        "max_position_embeddings": 2048,
        "rotary_pct": 0.25,
        "rotary_emb_base": 10000,
        "use_parallel_residual": True,
        "hidden_act": "gelu",
        "layer_norm_eps": 1e-5,
        "tie_word_embeddings": False,
    }


def opt(hidden, layers, heads, ffn, **more):
    return {
        "model_type": "opt",
        "hidden_size": hidden,
        "num_hidden_layers": layers,
        "num_attention_heads": heads,
        "ffn_dim": ffn,
        "vocab_size": 50272,
        "max_position_embeddings": 2048,
        "word_embed_proj_dim": hidden,
        **more,
    }


BERT = {
    "model_type": "bert",
    "architectures": ["BertModel"],
    "hidden_size": 768,
    "intermediate_size": 3072,
    "num_hidden_layers": 12,
    "num_attention_heads": 12,
    "vocab_size": 30522,
    "max_position_embeddings": 512,
    "type_vocab_size": 2,
}
LLAMA_3 = llama(4096, 14336, 32, 32, num_key_value_heads=8, vocab_size=128256, max_position_embeddings=8192)
LLAMA_2_70B = llama(8192, 28672, 80, 64, num_key_value_heads=8, max_position_embeddings=4096)
MISTRAL = kin("mistral", llama(4096, 14336, 32, 32, num_key_value_heads=8, max_position_embeddings=32768))
GEMMA_2_9B = kin(
    "gemma2",
    llama(3584, 14336, 42, 16, num_key_value_heads=8, head_dim=256, vocab_size=256000, max_position_embeddings=8192),
    sliding_window=4096,
    tie_word_embeddings=True,
)
GEMMA_3_1B = kin(
    "gemma3_text",
    llama(1152, 6912, 26, 4, num_key_value_heads=1, head_dim=256, vocab_size=262144, max_position_embeddings=32768),
    sliding_window=512,
    sliding_window_pattern=6,
    tie_word_embeddings=True,
)
MIXTRAL = kin("mixtral", MISTRAL, num_local_experts=8, num_experts_per_tok=2)
DEEPSEEK_LITE = kin(
    "deepseek_v2",
    llama(2048, 10944, 27, 16, vocab_size=102400, max_position_embeddings=163840),
    q_lora_rank=None,
    kv_lora_rank=512,
    qk_nope_head_dim=128,
    qk_rope_head_dim=64,
    v_head_dim=128,
    n_routed_experts=64,
    n_shared_experts=2,
    num_experts_per_tok=6,
    moe_intermediate_size=1408,
    first_k_dense_replace=1,
    moe_layer_freq=1,
)
DEEPSEEK_V3 = kin(
    "deepseek_v3",
    llama(7168, 18432, 61, 128, vocab_size=129280, max_position_embeddings=163840),
    q_lora_rank=1536,
    kv_lora_rank=512,
    qk_nope_head_dim=128,
    qk_rope_head_dim=64,
    v_head_dim=128,
    n_routed_experts=256,
    n_shared_experts=1,
    num_experts_per_tok=8,
    moe_intermediate_size=2048,
    first_k_dense_replace=3,
    topk_method="noaux_tc",
)
GPT_2 = {"model_type": "gpt2", "n_embd": 768, "n_layer": 12, "n_head": 12, "vocab_size": 50257, "n_positions": 1024}
FALCON_40B = {
    "model_type": "falcon",
    "hidden_size": 8192,
    "num_hidden_layers": 60,
    "num_attention_heads": 128,
    "num_kv_heads": 8,
    "new_decoder_architecture": True,
    "parallel_attn": True,
    "bias": False,
    "vocab_size": 65024,
}
FALCON_7B = {
    **FALCON_40B,
    "hidden_size": 4544,
    "num_hidden_layers": 32,
    "num_attention_heads": 71,
    "num_kv_heads": 71,
    "multi_query": True,
    "new_decoder_architecture": False,
}
MPT_7B = {
    "model_type": "mpt",
    "d_model": 4096,
    "n_layers": 32,
    "n_heads": 32,
    "expansion_ratio": 4,
    "vocab_size": 50432,
    "max_seq_len": 2048,
    "no_bias": True,
    "attn_config": {"alibi": True, "attn_type": "multihead_attention", "qk_ln": False},
}
QWEN3_MOE = kin(
    "qwen3_moe",
    llama(2048, 6144, 48, 32, num_key_value_heads=4, head_dim=128, vocab_size=151936),
    num_experts=128,
    num_experts_per_tok=8,
    moe_intermediate_size=768,
)
QWEN2_MOE = kin(
    "qwen2_moe",
    llama(2048, 5632, 24, 16, vocab_size=151936),
    num_experts=60,
    num_experts_per_tok=4,
    moe_intermediate_size=1408,
    shared_expert_intermediate_size=5632,
)

PLAMO_2_1B = {
    "model_type": "plamo2",
    "hidden_size": 2048,
    "num_hidden_layers": 16,
    "num_attention_heads": 16,
    "num_key_value_heads": 1,
    "hidden_size_per_head": 128,
    "intermediate_size": 8192,
    "mamba_d_state": 64,
    "mamba_d_conv": 4,
    "mamba_num_heads": 32,
    "mamba_step": 2,
    "vocab_size": 100000,
    "max_position_embeddings": 10485760,
}
MIMO_7B = kin(
    "mimo",
    llama(4096, 11008, 36, 32, num_key_value_heads=8, head_dim=128, vocab_size=151680),
    num_nextn_predict_layers=1,
)

KNOWN = {
    "LLaMA-7B": (llama(4096, 11008, 32, 32), 6_738_415_616),
    "LLaMA-13B": (llama(5120, 13824, 40, 40), 13_015_864_320),
    "LLaMA-33B": (llama(6656, 17920, 60, 52), 32_528_943_616),
    "LLaMA-65B": (llama(8192, 22016, 80, 64), 65_285_660_672),
    "Code Llama 34B": (llama(8192, 22016, 48, 64, num_key_value_heads=8), 33_743_970_304),
    "Llama-2-70B": (LLAMA_2_70B, 68_976_648_192),
    "Llama-3-8B": (LLAMA_3, 8_030_261_248),
    "Mistral-7B": (MISTRAL, 7_241_732_096),
    "Qwen2-7B": (
        kin("qwen2", llama(3584, 18944, 28, 28, num_key_value_heads=4, vocab_size=152064)),
        7_615_616_512,
    ),
    "Qwen2.5-0.5B": (
        kin("qwen2", llama(896, 4864, 24, 14, num_key_value_heads=2, vocab_size=151936), tie_word_embeddings=True),
        494_032_768,
    ),
    "Qwen3-8B": (
        kin("qwen3", llama(4096, 12288, 36, 32, num_key_value_heads=8, head_dim=128, vocab_size=151936)),
        8_190_735_360,
    ),
    "gemma-7b": (
        kin("gemma", llama(3072, 24576, 28, 16, head_dim=256, vocab_size=256000), tie_word_embeddings=True),
        8_537_680_896,
    ),
    "gemma-2-9b": (GEMMA_2_9B, 9_241_705_984),
    "gemma-2-2b": (
        {**GEMMA_2_9B, "hidden_size": 2304, "intermediate_size": 9216, "num_hidden_layers": 26}
        | {"num_attention_heads": 8, "num_key_value_heads": 4},
        2_614_341_888,
    ),
    "gemma-3-1b": (GEMMA_3_1B, 999_885_952),
    "Phi-3-mini": (kin("phi3", llama(3072, 8192, 32, 32, vocab_size=32064)), 3_821_079_552),
    "Mixtral-8x7B": (MIXTRAL, 46_702_792_704),
    "Qwen1.5-MoE-A2.7B": (QWEN2_MOE, 14_315_784_192),
    "Qwen3-30B-A3B": (QWEN3_MOE, 30_532_122_624),
    "DeepSeek-V2-Lite": (DEEPSEEK_LITE, 15_706_484_224),
    "DeepSeek-V3": (DEEPSEEK_V3, 671_026_419_200),
    "Pythia-70m": (pythia(512, 6, 8), 70_426_624),
    "Pythia-160m": (pythia(768, 12, 12), 162_322_944),
    "Pythia-410m": (pythia(1024, 24, 16), 405_334_016),
    "Pythia-1b": (pythia(2048, 16, 8), 1_011_781_632),
    "Pythia-1.4b": (pythia(2048, 24, 16), 1_414_647_808),
    "Pythia-2.8b": (pythia(2560, 32, 32), 2_775_208_960),
    "Pythia-6.9b": (pythia(4096, 32, 32, 50432), 6_857_302_016),
    "Pythia-12b": (pythia(5120, 36, 40, 50688), 11_846_072_320),
    "GPT-2": (GPT_2, 124_439_808),
    "OPT-125m": (opt(768, 12, 12, 3072), 125_239_296),
    "OPT-350m": (
        opt(1024, 24, 16, 4096, word_embed_proj_dim=512, do_layer_norm_before=False),
        331_196_416,
    ),
    "OPT-6.7b": (opt(4096, 32, 32, 16384), 6_658_473_984),
    "Falcon-40B": (FALCON_40B, 41_303_293_952),
    "MPT-7B": (MPT_7B, 6_649_286_656),
    "PLaMo-2-1B": (PLAMO_2_1B, 1_291_441_920),
    "MiMo-7B": (MIMO_7B, 7_622_619_136),
    "bert-base": (BERT, 109_482_240),
    "bert-base, masked language model": ({**BERT, "architectures": ["BertForMaskedLM"]}, 109_514_298),
    "bert-base, as pre-trained": ({**BERT, "architectures": ["BertForPreTraining"]}, 110_106_428),
}


@pytest.mark.parametrize("name", KNOWN)
def test_the_parameters_of_a_known_model_follow_from_its_config_to_the_last_one(name):
    config, expected = KNOWN[name]
    drawn = architecture(config)
    assert drawn.parameters == expected, drawn.why
    assert sum(drawn.parameters_by_role.values()) == expected
    assert not drawn.malformed
    assert drawn.weights_bytes == {str(bits): (expected * bits + 7) // 8 for bits in (32, 16, 8, 4)}


def test_the_cache_of_7b_and_70b_at_4096_tokens():
    assert architecture(llama(4096, 11008, 32, 32)).kv_bytes(4096) == 2 * 2**30
    large = architecture(LLAMA_2_70B)
    assert large.kv_bytes_full == {"16": 5 * 2**30 // 4, "8": 5 * 2**30 // 8}
    assert architecture({**LLAMA_2_70B, "num_key_value_heads": 64}).kv_bytes(4096) == 10 * 2**30
    assert any("8 times as large (10.00 GiB)" in remark for remark in large.remarks)


def test_at_4_bit_70b_fits_one_card_of_80_gb_and_in_bf16_it_does_not():
    assert architecture(LLAMA_2_70B).remarks[0] == (
        "At 4 bit the weights take 34.5 GB and fit one 80 GB card; in bf16 (138 GB) they do not."
    )


def test_attention_is_named_by_how_many_key_heads_there_are():
    kinds = {name: architecture(config).attention for name, (config, _) in KNOWN.items()}
    assert kinds["LLaMA-7B"] == "MHA"
    assert kinds["Llama-2-70B"] == "GQA"
    assert kinds["gemma-3-1b"] == "MQA"
    assert kinds["DeepSeek-V2-Lite"] == kinds["DeepSeek-V3"] == "MLA"
    assert architecture(FALCON_7B).attention == "MQA"
    assert architecture(FALCON_7B).parameters == 6_921_720_704  # tied; the published files hold the head again
    assert architecture({**FALCON_7B, "tie_word_embeddings": False}).parameters == 6_921_720_704 + 65024 * 4544


def test_latent_attention_keeps_one_vector_and_one_rotary_key():
    drawn = architecture(DEEPSEEK_V3)
    assert drawn.cache_values == 512 + 64
    assert drawn.kv_bytes_per_token == 61 * 576 * 2
    assert (drawn.experts.count, drawn.experts.used, drawn.experts.layers) == (256, 8, 58)


def test_a_mixtral_without_a_window_keeps_the_keys_and_values_of_every_token():
    """Its measured default, 0, once gave a cache of a negative size."""
    config = {**MISTRAL, "model_type": "mixtral", "architectures": ["MixtralForCausalLM"], "num_local_experts": 8}
    config.pop("sliding_window", None)
    found = architecture(config)
    assert found.window is None
    assert found.kv_bytes(1000) == 1000 * found.kv_bytes(1) > 0


def test_a_window_bounds_the_cache_of_the_layers_that_have_it():
    drawn = architecture(GEMMA_2_9B)
    assert (drawn.window, drawn.windowed_layers) == (4096, 21)
    assert drawn.kv_bytes(8192) == 2 * 8 * 256 * 2 * (21 * 8192 + 21 * 4095)
    assert (architecture(GEMMA_3_1B).window, architecture(GEMMA_3_1B).windowed_layers) == (512, 22)
    listed = {**GEMMA_2_9B, "layer_types": ["full_attention"] * 40 + ["sliding_attention"] * 2}
    assert architecture(listed).windowed_layers == 2
    assert architecture({**MISTRAL, "sliding_window": 4096}).kv_bytes(32768) == 2 * 8 * 128 * 2 * 32 * 4095
    qwen = kin("qwen2", MISTRAL, sliding_window=4096, max_window_layers=28)
    assert architecture(qwen).window is None
    assert architecture({**qwen, "use_sliding_window": True}).windowed_layers == 4


def test_only_the_chosen_experts_of_a_token_are_active():
    assert architecture(MIXTRAL).active_parameters == 12_879_925_248
    idle = 48 * (128 - 8) * 3 * 2048 * 768
    assert architecture(QWEN3_MOE).active_parameters == 30_532_122_624 - idle


def test_flops_of_a_token_are_two_a_parameter_and_the_attention_at_full_context():
    drawn = architecture(llama(4096, 11008, 32, 32), tokens=10**12)
    assert drawn.attention_flops_per_token == 4 * 32 * 4096 * 2048
    assert drawn.flops_per_token == 2 * (6_738_415_616 - 32000 * 4096) + 4 * 32 * 4096 * 2048
    assert drawn.training_flops == 6 * 6_738_415_616 * 10**12
    tied = architecture(GPT_2)
    assert tied.flops_per_token - tied.attention_flops_per_token == 2 * (124_439_808 - 1024 * 768)


def test_the_parts_have_the_names_that_the_field_gives_them():
    drawn = architecture(LLAMA_3 | {"rope_theta": 500000.0})
    assert (drawn.norm.kind, drawn.norm.placement, drawn.norm.eps) == ("RMSNorm", "pre", 1e-6)
    assert (drawn.activation.name, drawn.activation.gated) == ("SwiGLU", True)
    assert (drawn.positions.kind, drawn.positions.base, drawn.positions.scaling) == ("RoPE", 500000.0, None)
    assert architecture(GEMMA_2_9B | {"hidden_activation": "gelu_pytorch_tanh"}).activation.name == "GeGLU"
    assert architecture(GEMMA_2_9B).norm.placement == "sandwich"
    assert architecture(BERT).norm.placement == "post"
    assert architecture(opt(1024, 24, 16, 4096, do_layer_norm_before=False)).norm.placement == "post"
    assert architecture(opt(768, 12, 12, 3072)).activation.name == "ReLU"
    assert architecture(GPT_2).positions.kind == "learned"
    assert architecture(MPT_7B).positions.kind == "ALiBi"
    neox = architecture(pythia(512, 6, 8))
    assert (neox.positions.share, neox.positions.base, neox.parallel) == (0.25, 10000.0, True)


def test_an_encoder_keeps_no_cache_and_says_so():
    drawn = architecture(BERT)
    assert drawn.kv_bytes_per_token is None
    assert drawn.why["kv_bytes_per_token"] == "an encoder keeps no cache"


def test_a_model_with_a_part_that_sees_counts_its_language_model_and_says_so():
    config = {
        "model_type": "gemma3",
        "architectures": ["Gemma3ForConditionalGeneration"],
        "text_config": {
            "model_type": "gemma3_text",
            "hidden_size": 2560,
            "intermediate_size": 10240,
            "num_hidden_layers": 34,
            "sliding_window": 1024,
            "rope_scaling": {"factor": 8.0, "rope_type": "linear"},
        },
        "vision_config": {"hidden_size": 1152, "image_size": 896, "intermediate_size": 4304, "num_hidden_layers": 27}
        | {"patch_size": 14, "num_attention_heads": 16, "vision_use_head": False},
    }
    drawn = architecture(config)
    assert (drawn.parameters, drawn.parameters_whole) == (3_880_263_168, 4_300_079_472)
    alone = architecture({**config, "model_type": "seen_by_nobody"})
    assert alone.parameters == 3_880_263_168
    assert "language model alone" in alone.why["parameters"]
    assert (drawn.positions.scaling, drawn.positions.factor, drawn.positions.local_base) == ("linear", 8.0, 10000.0)


def test_a_wrapper_counts_the_head_of_its_language_model_and_the_defaults_of_a_nested_config():
    """LLaVA was counted without its head, and its published config, which leaves defaults out, not at all."""
    text = {"architectures": ["LlamaForCausalLM"], "model_type": "llama", "vocab_size": 32064}
    drawn = architecture(
        {
            "model_type": "llava",
            "architectures": ["LlavaForConditionalGeneration"],
            "text_config": text,
            "vision_config": {},
        }
    )
    assert drawn.parameters == 6_738_415_616 + 2 * 64 * 4096
    assert drawn.parameters_by_role["head"] == 32064 * 4096
    assert architecture(text).parameters is None, "at the top level nothing is taken from the class"


def test_falcon_2_has_one_norm_where_falcon_40b_has_two():
    assert architecture({**FALCON_40B, "num_ln_in_parallel_attn": 1}).parameters == 41_303_293_952 - 60 * 2 * 8192


@pytest.mark.parametrize("model_type", ["smollm3", "cwm", "internlm3"])
def test_families_with_the_tensors_of_llama_are_counted_as_it_is(model_type):
    assert architecture({**LLAMA_3, "model_type": model_type}).parameters == 8_030_261_248


def test_of_a_family_that_is_not_known_nothing_is_guessed():
    """Attention, head size and cache were inferred as if every model were a LLaMA: up to 25 times wrong."""
    drawn = architecture({**LLAMA_3, "model_type": "of nothing", "architectures": ["NothingForCausalLM"]})
    assert drawn.attention == "unknown"
    assert drawn.head_size is drawn.kv_bytes_per_token is drawn.flops_per_token is drawn.cache_values is None
    assert drawn.kv_bytes_full == {}
    assert all(drawn.why[name] for name in ("head_size", "kv_bytes_per_token", "flops_per_token", "parameters"))


def block(group, factor, **more):
    attention = {"n_heads_in_group": group, "no_op": group is None, "replace_with_linear": False}
    return {"attention": {**attention, **more}, "ffn": {"ffn_mult": factor, "no_op": factor is None}}


def nas(*blocks):
    config = kin("nemotron-nas", llama(256, None, len(blocks), 8), num_key_value_heads=None)
    return {**config, "block_configs": list(blocks)}


def test_a_block_that_a_search_left_out_or_made_narrower_is_counted_as_it_is():
    plain, narrow, without = block(2, 3.0), block(4, 1.5), block(None, 3.0)
    linear = block(None, None, no_op=False, replace_with_linear=True)
    drawn = architecture(nas(plain, narrow, without, linear))
    outside = 2 * 32000 * 256 + 256
    attention = {"plain": 2 * 256 * 256 + 2 * 4 * 32 * 256, "narrow": 2 * 256 * 256 + 2 * 2 * 32 * 256}
    widths = {"plain": 512, "narrow": 256}
    whole = sum(attention.values()) + 3 * 256 * (2 * widths["plain"] + widths["narrow"]) + 256 * 256
    assert drawn.parameters == outside + whole + (2 + 2 + 1 + 1) * 256
    assert drawn.kv_bytes(10) == 2 * 10 * 2 * 32 * (4 + 2), "layers without attention keep nothing"


@pytest.mark.parametrize("wrong", [None, 3, [], [{"attention": 3, "ffn": {}}] * 2, [block(2, float("inf"))] * 2])
def test_blocks_that_say_nothing_are_not_guessed(wrong):
    drawn = architecture({**nas(block(2, 3.0), block(2, 3.0)), "block_configs": wrong})
    assert drawn.parameters is drawn.kv_bytes_per_token is None
    assert "block_" in drawn.why["parameters"]


def test_layers_that_predict_further_tokens_are_stated_beside_the_parameters():
    """671 billion and 14 billion more, as the README_WEIGHTS of DeepSeek-V3 says it."""
    drawn = architecture({**DEEPSEEK_V3, "num_nextn_predict_layers": 1})
    layer = 187_107_328 + 2 * 7168 + 256 * 7168 + 256 + 257 * 3 * 7168 * 2048
    assert drawn.parameters_ahead == layer + 2 * 129280 * 7168 + 2 * 7168 * 7168 + 3 * 7168
    assert drawn.parameters == 671_026_419_200
    assert architecture(MIMO_7B).parameters_ahead + 7_622_619_136 == 7_833_409_536
    assert architecture(DEEPSEEK_V3).parameters_ahead is None


def test_an_encoder_keeps_nothing_of_a_text_and_says_so():
    config = {"model_type": "electra", "vocab_size": 30522, "embedding_size": 128, "hidden_size": 256}
    config |= {"num_hidden_layers": 12, "num_attention_heads": 4, "intermediate_size": 1024}
    assert architecture(config).kv_bytes(64) is None
    assert architecture(config).why["kv_bytes_per_token"] == "an encoder keeps no cache"
    assert architecture({**config, "is_decoder": True}).kv_bytes(64) == 2 * 12 * 256 * 64 * 2
