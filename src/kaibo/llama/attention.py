"""Grouped-query attention: every token looks at those before it.

    MHA                 GQA                 MQA           query heads above, the key/value head each group
q q q q q q q q     q q q q q q q q     q q q q q q q q   shares below (Ainslie et al. 2023, arXiv 2305.13245,
│ │ │ │ │ │ │ │     └┬┘ └┬┘ └┬┘ └┬┘     └──────┬──────┘   figure 2). One code path: MHA has as many groups as
k k k k k k k k      k   k   k   k             k          heads, MQA has one.
"""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional

from kaibo.llama.cache import Cache
from kaibo.llama.config.config import LlamaConfig
from kaibo.llama.rotary import Tables, rotate


class Attention(nn.Module):
    """softmax(Q Kᵀ/√d) V per head, the heads side by side times W_O (Vaswani et al. 2017, arXiv 1706.03762, eq. 1).

    The matrices of queries, keys and values, three in folders, lie below each other in one: one product, not three.
    """

    def __init__(self, config: LlamaConfig, layer: int) -> None:
        super().__init__()
        self.layer, self.heads, self.kv_heads, self.size = layer, config.heads, config.kv_heads, config.head_size
        rows = (config.heads + 2 * config.kv_heads) * config.head_size
        self.qkv = nn.Linear(config.hidden, rows, bias=config.qkv_bias)
        self.output = nn.Linear(config.heads * config.head_size, config.hidden, bias=config.output_bias)

    def forward(self, x: torch.Tensor, tables: Tables, mask: torch.Tensor | None, cache: Cache | None) -> torch.Tensor:
        """(batch, length, hidden) → the same; without a mask each token sees itself and all before it."""
        batch, length, _ = x.shape
        rows = self.qkv(x).view(batch, length, -1, self.size)  # (batch, length, heads + 2 kv heads, d)
        turned = rotate(rows[:, :, : self.heads + self.kv_heads], tables).transpose(1, 2)
        queries, keys = turned[:, : self.heads], turned[:, self.heads :]  # (batch, heads | kv heads, length, d)
        values = rows[:, :, self.heads + self.kv_heads :].transpose(1, 2)  # values carry no position
        if cache is not None:
            keys, values = cache.update(self.layer, keys, values)
        seen = self._attend(queries, keys, values, mask)  # (batch, heads, length, d)
        mixed: torch.Tensor = self.output(seen.transpose(1, 2).reshape(batch, length, -1))
        return mixed

    def _attend(
        self, queries: torch.Tensor, keys: torch.Tensor, values: torch.Tensor, mask: torch.Tensor | None
    ) -> torch.Tensor:
        attend = functional.scaled_dot_product_attention
        batch, _, length, size = queries.shape
        if length == 1 and mask is None:  # the queries of a group read the same keys: they are rows of one product
            grouped = queries.reshape(batch, self.kv_heads, -1, size)
            return attend(grouped, keys, values).view(batch, self.heads, 1, size)
        causal = mask is None and length > 1
        return attend(queries, keys, values, attn_mask=mask, is_causal=causal, enable_gqa=self.heads != self.kv_heads)
