"""RMSNorm: each token's numbers divided by their root mean square."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional


class RMSNorm(nn.Module):
    """x / √(mean(x²) + ε) · g over the last axis (Zhang and Sennrich 2019, arXiv 1910.07467, eq. 4).

    Unlike LayerNorm it takes no mean away and adds no bias; multiplying x by a number changes nothing but ε's part.
    """

    def __init__(self, size: int, epsilon: float) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(size))
        self.epsilon = epsilon

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(…, size) → (…, size). Squares are added in float32: those of 16-bit values would overflow or vanish."""
        if x.dtype == torch.float32:  # the same steps in one call; of 16-bit values it rounds once, transformers twice
            return functional.rms_norm(x, self.weight.shape, self.weight, self.epsilon)
        wide = x.float()
        scale = torch.rsqrt(wide.square().mean(-1, keepdim=True) + self.epsilon)
        return (wide * scale).to(x.dtype) * self.weight
