"""A few words from a checkpoint: what has it learned to write?"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from kaibo.llama import Llama, load_llama
from kaibo.recipes.vocabularies.tokenizers import BOS, EOS, load_tokenizer

PROMPTS = (
    "Suzuki Hanako lives in",
    "鈴木花子さんは",
    "<|user|>What is the capital of France?<|assistant|>",
    "<|user|>犬は何と鳴きますか。<|assistant|>",
)
"""Beginnings in both languages, and a question in each as the chat template writes it."""

TOKENS = 48
TEMPERATURE = 0.5


@dataclass(frozen=True)
class Sample:
    """How a checkpoint goes on from a prompt."""

    run: str
    step: int
    prompt: str
    text: str


def samples(folder: Path, run: str, step: int) -> list[Sample]:
    """What the checkpoint in `folder` writes after each of `PROMPTS`: the same words for the same weights."""
    model = load_llama(folder, dtype="float32")
    tokenizer = load_tokenizer(folder)
    tokenizer.encode_special_tokens = False
    return [Sample(run, step, prompt, continued(model, tokenizer, prompt)) for prompt in PROMPTS]


def continued(model: Llama, tokenizer: Any, prompt: str, tokens: int = TOKENS) -> str:
    """The prompt continued by at most `tokens` tokens, drawn at temperature `TEMPERATURE` from a fixed seed."""
    random = torch.Generator().manual_seed(0)
    ids = torch.tensor([[BOS, *tokenizer.encode(prompt, add_special_tokens=False).ids]])
    cache = model.new_cache(1, ids.shape[1] + tokens)
    written: list[int] = []
    with torch.inference_mode():
        for _ in range(tokens):
            scores = model.logits(model(ids, cache=cache)[:, -1]).float()[0] / TEMPERATURE
            chosen = int(torch.multinomial(scores.softmax(0), 1, generator=random))
            if chosen in (EOS, BOS):
                break
            written.append(chosen)
            ids = torch.tensor([[chosen]])
    return str(tokenizer.decode(written))
