"""Tiny causal models of two architectures with a byte-level tokenizer that knows English and Japanese."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from made import quiet

TEXT = "The quick brown fox jumps over the lazy dog. 解剖とは何か。猫が好きです。🙂 naïve café\n"


def save_tokenizer(path: Path, vocabulary: int = 400, *, bos: bool = True) -> Any:
    """A byte-level BPE; with `bos` it puts `<s>` before a text."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
    from transformers import PreTrainedTokenizerFast

    plain = Tokenizer(models.BPE())
    plain.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    plain.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary, special_tokens=["<s>", "</s>"], initial_alphabet=alphabet, show_progress=False
    )
    plain.train_from_iterator(["the quick brown fox jumps over the lazy dog"] * 4, trainer)
    if bos:
        plain.post_processor = processors.TemplateProcessing(single="<s> $A", special_tokens=[("<s>", 0)])
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=plain, bos_token="<s>", eos_token="</s>")
    tokenizer.save_pretrained(path)
    return tokenizer


def save_causal(path: Path, kind: str = "llama", seed: int = 0, *, bos: bool = True, context: int = 64) -> Path:
    """A `llama`, `gpt_neox` or `gpt2` of two blocks with random weights."""
    import torch
    import transformers

    sizes = {"vocab_size": 400, "bos_token_id": 0, "eos_token_id": 1}
    usual = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4}
    with quiet(), torch.random.fork_rng():
        torch.manual_seed(seed)
        if kind == "gpt2":
            config = transformers.GPT2Config(n_embd=32, n_layer=2, n_head=4, n_positions=context, **sizes)
            model = transformers.GPT2LMHeadModel(config)
        elif kind == "gpt_neox":
            config = transformers.GPTNeoXConfig(max_position_embeddings=context, **usual, **sizes)
            model = transformers.GPTNeoXForCausalLM(config)
        else:
            grouped = {"num_key_value_heads": 2, "max_position_embeddings": context, "initializer_range": 0.2}
            model = transformers.LlamaForCausalLM(transformers.LlamaConfig(**usual, **grouped, **sizes))
        model.save_pretrained(path)
    save_tokenizer(path, bos=bos)
    return path
