"""How the reference's weights are called in a Hugging Face folder, and which rows of which each folder tensor is."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from kaibo.llama.config.config import LlamaConfig


@dataclass(frozen=True)
class Part:
    """One tensor of a folder: rows `begin` to `end` of the reference's parameter `parameter`."""

    name: str
    shape: tuple[int, ...]
    parameter: str
    begin: int = 0

    @property
    def end(self) -> int:
        """The first row after it."""
        return self.begin + self.shape[0]


def parts(config: LlamaConfig) -> Iterator[Part]:
    """Every tensor that a folder of this config holds, in the order of a token's way."""
    yield Part("model.embed_tokens.weight", (config.vocabulary, config.hidden), "embedding.weight")
    for layer in range(config.layers):
        yield from _block(config, f"model.layers.{layer}.", f"blocks.{layer}.")
    yield Part("model.norm.weight", (config.hidden,), "norm.weight")
    if not config.tied:
        yield Part("lm_head.weight", (config.vocabulary, config.hidden), "head.weight")


def _block(config: LlamaConfig, theirs: str, ours: str) -> Iterator[Part]:
    queries, keys = config.heads * config.head_size, config.kv_heads * config.head_size
    hidden, inner = config.hidden, config.intermediate
    yield Part(f"{theirs}input_layernorm.weight", (hidden,), f"{ours}attention_norm.weight")
    rows = (("q", queries, 0), ("k", keys, queries), ("v", keys, queries + keys))
    for letter, count, begin in rows:
        name = f"{theirs}self_attn.{letter}_proj"
        yield from _linear(name, (count, hidden), f"{ours}attention.qkv", begin, config.qkv_bias)
    name = f"{theirs}self_attn.o_proj"
    yield from _linear(name, (hidden, queries), f"{ours}attention.output", 0, config.output_bias)
    yield Part(f"{theirs}post_attention_layernorm.weight", (hidden,), f"{ours}mlp_norm.weight")
    for which, begin in (("gate", 0), ("up", inner)):
        name = f"{theirs}mlp.{which}_proj"
        yield from _linear(name, (inner, hidden), f"{ours}mlp.gate_up", begin, config.mlp_bias)
    yield from _linear(f"{theirs}mlp.down_proj", (hidden, inner), f"{ours}mlp.down", 0, config.mlp_bias)


def _linear(name: str, shape: tuple[int, int], parameter: str, begin: int, bias: bool) -> Iterator[Part]:
    yield Part(f"{name}.weight", shape, f"{parameter}.weight", begin)
    if bias:
        yield Part(f"{name}.bias", shape[:1], f"{parameter}.bias", begin)
