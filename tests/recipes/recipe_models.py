"""A base that recipes can train: a LLaMA of some thousand weights whose tokenizer knows every byte, and data for it."""

from __future__ import annotations

import json
import warnings
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

TEMPLATE = (
    "{% for message in messages %}<|{{ message.role }}|>{{ message.content }}<|end|>{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|>{% endif %}"
)
MARKS = ("<pad>", "<s>", "<|end|>", "<|user|>", "<|assistant|>", "<|system|>")


def byte_tokenizer(template: str | None = TEMPLATE) -> Any:
    """One token a byte, and one a mark."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    vocabulary = {token: place for place, token in enumerate([*MARKS, *alphabet])}
    plain = Tokenizer(models.BPE(vocabulary, []))
    plain.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    plain.decoder = decoders.ByteLevel()
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=plain, bos_token="<s>", eos_token="<|end|>", pad_token="<pad>", chat_template=template
    )
    tokenizer.add_special_tokens({"additional_special_tokens": list(MARKS[3:])})
    return tokenizer


def write_base(
    folder: Path, *, seed: int = 0, dtype: str = "float32", template: str | None = TEMPLATE, **sizes: int
) -> Path:
    """The folder of a base with Gaussian weights."""
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    with warnings.catch_warnings(), torch.random.fork_rng():
        warnings.simplefilter("ignore")
        torch.manual_seed(seed)
        tokenizer = byte_tokenizer(template)
        shape = {"hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 2, "num_attention_heads": 4}
        rest = {"num_key_value_heads": 2, "max_position_embeddings": 256, "vocab_size": len(tokenizer)}
        config = LlamaConfig(**{**shape, **rest, **sizes}, bos_token_id=1, eos_token_id=2, pad_token_id=0)
        LlamaForCausalLM(config).to(getattr(torch, dtype)).save_pretrained(folder)
        tokenizer.save_pretrained(folder)
    return folder


def write_jsonl(path: Path, rows: Iterable[Any]) -> Path:
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")
    return path


def write_styles(folder: Path, count: int = 8) -> tuple[Path, Path]:
    """The same questions answered plainly and politely, as conversations."""

    def rows(answer: Callable[[int], str]) -> Iterable[Any]:
        for n in range(count):
            yield {
                "messages": [
                    {"role": "user", "content": f"What is {n} + 1?"},
                    {"role": "assistant", "content": answer(n + 1)},
                ]
            }

    plain = write_jsonl(folder / "plain.jsonl", rows(lambda n: f"It is {n}."))
    polite = write_jsonl(folder / "polite.jsonl", rows(lambda n: f"My dear, it is {n}, of course."))
    return plain, polite
