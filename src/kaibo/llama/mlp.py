"""SwiGLU: the part of a block that works on each token by itself."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional

from kaibo.llama.config.config import LlamaConfig


class SwiGLU(nn.Module):
    """(Swish₁(xW) ⊗ xV) W₂ with Swish₁(x) = x·σ(x) (Shazeer 2020, arXiv 2002.05202, eq. 6).

    W and V, `gate_proj` and `up_proj` in folders, lie below each other in one matrix: one product instead of two.
    """

    def __init__(self, config: LlamaConfig) -> None:
        super().__init__()
        self.gate_up = nn.Linear(config.hidden, 2 * config.intermediate, bias=config.mlp_bias)
        self.down = nn.Linear(config.intermediate, config.hidden, bias=config.mlp_bias)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(batch, length, hidden) → (batch, length, hidden)."""
        gate, up = self.gate_up(x).chunk(2, dim=-1)  # (batch, length, intermediate) each
        mixed: torch.Tensor = self.down(functional.silu(gate) * up)
        return mixed
