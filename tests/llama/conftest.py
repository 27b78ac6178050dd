"""Tiny real models with a tokenizer trained on the spot, each as a folder."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

TEXT = "The quick brown fox jumps over the lazy dog; pack my box with five dozen liquor jugs. 解剖 は 楽しい。 "
SPECIAL = ["<s>", "</s>", "<|user|>"]


@pytest.fixture(scope="session")
def tokenizer_json() -> str:
    """A byte-level BPE of 300 ids."""
    tokenizers = pytest.importorskip("tokenizers", reason="the extra torch is not installed")
    made = tokenizers.Tokenizer(tokenizers.models.BPE())
    made.pre_tokenizer = tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False)
    made.decoder = tokenizers.decoders.ByteLevel()
    alphabet = tokenizers.pre_tokenizers.ByteLevel.alphabet()
    trainer = tokenizers.trainers.BpeTrainer(
        vocab_size=300, special_tokens=SPECIAL, initial_alphabet=sorted(alphabet), show_progress=False
    )
    made.train_from_iterator([TEXT * 3], trainer)
    text: str = made.to_str()
    return text


Make = Callable[..., Path]


@pytest.fixture
def make(tmp_path: Path, tokenizer_json: str) -> Make:
    """Writes a transformers model of a kind with the tokenizer beside it; the folder."""

    def write(kind: str = "Llama", template: str | None = None, **settings: Any) -> Path:
        transformers = pytest.importorskip("transformers", reason="the extra torch is not installed")
        import torch

        torch.manual_seed(0)
        sizes = {"vocab_size": 300, "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4}
        sizes |= {"max_position_embeddings": 64, "intermediate_size": 48, "bos_token_id": 0, "eos_token_id": 1}
        if kind == "GPT2":
            sizes = {"vocab_size": 300, "n_embd": 32, "n_layer": 2, "n_head": 4, "n_positions": 64, "eos_token_id": 1}
        config = getattr(transformers, f"{kind}Config")(**{**sizes, **settings})
        model = transformers.AutoModelForCausalLM.from_config(config)
        with torch.no_grad():
            for weight in model.parameters():
                weight.add_(torch.randn_like(weight) * 0.1)
        folder = tmp_path / kind.lower()
        model.save_pretrained(folder)
        (folder / "tokenizer.json").write_text(tokenizer_json, encoding="utf-8")
        words = {"bos_token": "<s>", "eos_token": "</s>", "tokenizer_class": "PreTrainedTokenizerFast"}
        (folder / "tokenizer_config.json").write_text(json.dumps(words | {"chat_template": template}))
        return folder

    return write
