"""The smallest model with one of its parts exchanged: what do RMSNorm, SwiGLU, rotary positions, shared heads give?

With the parts of LLaMA it is the reference (a test holds them equal); it lives here because it is an experiment, and
the reference stays a LLaMA. Names of weights are those of a LLaMA folder where the part is LLaMA's.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import torch
from torch import nn

Norm = Literal["RMSNorm", "LayerNorm"]
Mlp = Literal["SwiGLU", "GELU"]
Positions = Literal["rotary", "learned", "sinusoidal"]


@dataclass(frozen=True)
class Parts:
    """A shape, and which part stands in each place; `kv_heads` makes it MHA, GQA or MQA."""

    vocabulary: int
    hidden: int
    intermediate: int
    layers: int
    heads: int
    kv_heads: int
    context: int
    norm: Norm = "RMSNorm"
    mlp: Mlp = "SwiGLU"
    positions: Positions = "rotary"
    base: float = 10_000.0
    sigma: float = 0.02

    @property
    def head_size(self) -> int:
        """Numbers a head."""
        return self.hidden // self.heads

    @property
    def kv_bytes_per_token(self) -> int:
        """Bytes of the cache of keys and values for one token, in 16 bit."""
        return 2 * 2 * self.layers * self.kv_heads * self.head_size


def norm_of(parts: Parts) -> nn.Module:
    """RMSNorm (Zhang and Sennrich 2019) or LayerNorm (Ba et al. 2016): mean taken off, and a bias."""
    kind = nn.RMSNorm if parts.norm == "RMSNorm" else nn.LayerNorm
    return kind(parts.hidden, eps=1e-5)


class Attention(nn.Module):
    """Causal attention; queries share the keys and values of their group."""

    def __init__(self, parts: Parts) -> None:
        super().__init__()
        self.parts = parts
        width = parts.kv_heads * parts.head_size
        self.q_proj = nn.Linear(parts.hidden, parts.hidden, bias=False)
        self.k_proj = nn.Linear(parts.hidden, width, bias=False)
        self.v_proj = nn.Linear(parts.hidden, width, bias=False)
        self.o_proj = nn.Linear(parts.hidden, parts.hidden, bias=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(batch, length, hidden) → the same."""
        batch, length, hidden = x.shape
        q, k, v = (
            projected(x).view(batch, length, -1, self.parts.head_size).transpose(1, 2)
            for projected in (self.q_proj, self.k_proj, self.v_proj)
        )
        if self.parts.positions == "rotary":
            q, k = (rotated(part, self.parts.base) for part in (q, k))
        seen = nn.functional.scaled_dot_product_attention(q, k, v, is_causal=True, enable_gqa=True)
        out: torch.Tensor = self.o_proj(seen.transpose(1, 2).reshape(batch, length, hidden))
        return out


def rotated(x: torch.Tensor, base: float) -> torch.Tensor:
    """Each pair (i, i + d/2) of (batch, heads, length, d) turned by position · base^(−2i/d) (Su et al. 2021)."""
    length, size = x.shape[-2:]
    angles = torch.arange(length)[:, None] * base ** (-torch.arange(0, size, 2) / size)
    cosine, sine = (torch.cat([part(angles)] * 2, -1) for part in (torch.cos, torch.sin))
    first, second = x.chunk(2, -1)
    return x * cosine + torch.cat([-second, first], -1) * sine


class FeedForward(nn.Module):
    """SwiGLU (Shazeer 2020), or GELU between two matrices, half as wide again so that both have as many weights."""

    def __init__(self, parts: Parts) -> None:
        super().__init__()
        self.gated = parts.mlp == "SwiGLU"
        width = parts.intermediate if self.gated else parts.intermediate * 3 // 2
        if self.gated:
            self.gate_proj = nn.Linear(parts.hidden, width, bias=False)
        self.up_proj = nn.Linear(parts.hidden, width, bias=False)
        self.down_proj = nn.Linear(width, parts.hidden, bias=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(batch, length, hidden) → the same."""
        up = self.up_proj(x)
        inner = nn.functional.silu(self.gate_proj(x)) * up if self.gated else nn.functional.gelu(up)
        out: torch.Tensor = self.down_proj(inner)
        return out


class Block(nn.Module):
    """x + attention(norm(x)), then x + feed-forward(norm(x))."""

    def __init__(self, parts: Parts) -> None:
        super().__init__()
        self.input_layernorm = norm_of(parts)
        self.self_attn = Attention(parts)
        self.post_attention_layernorm = norm_of(parts)
        self.mlp = FeedForward(parts)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(batch, length, hidden) → the same."""
        x = x + self.self_attn(self.input_layernorm(x))
        out: torch.Tensor = x + self.mlp(self.post_attention_layernorm(x))
        return out


class Exchanged(nn.Module):
    """The whole, its head tied to the embedding; weights are drawn from the seed."""

    def __init__(self, parts: Parts, seed: int) -> None:
        super().__init__()
        self.parts = parts
        self.embed_tokens = nn.Embedding(parts.vocabulary, parts.hidden)
        self.layers = nn.ModuleList(Block(parts) for _ in range(parts.layers))
        self.norm = norm_of(parts)
        self.embed_positions = nn.Embedding(parts.context, parts.hidden) if parts.positions == "learned" else None
        random = torch.Generator().manual_seed(seed)
        with torch.no_grad():
            for weight in self.parameters():
                if weight.dim() > 1:
                    weight.copy_(torch.randn(weight.shape, generator=random) * parts.sigma)

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        """(batch, length) ids → (batch, length, vocabulary) logits."""
        x = self.embed_tokens(ids)
        if self.embed_positions is not None:
            x = x + self.embed_positions(torch.arange(ids.shape[1]))
        elif self.parts.positions == "sinusoidal":
            x = x + self.parts.sigma * sinusoids(ids.shape[1], self.parts.hidden)
        for block in self.layers:
            x = block(x)
        return nn.functional.linear(self.norm(x), self.embed_tokens.weight)


def sinusoids(length: int, width: int) -> torch.Tensor:
    """p(i, 2t) = sin(i / 10000^(2t/d)), p(i, 2t + 1) = cos(…) (Vaswani et al. 2017, section 3.5); (length, width).

    They are added at the size of the embeddings' σ, in which they would otherwise drown.
    """
    angles = torch.arange(length)[:, None] / 10_000 ** (torch.arange(0, width, 2) / width)
    return torch.stack([angles.sin(), angles.cos()], -1).flatten(1) * math.sqrt(2)
