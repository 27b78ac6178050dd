"""Arithmetic of a training step, and how much of a card's peak it reaches."""

from __future__ import annotations

from typing import Any

from kaibo.llama import LlamaConfig

PEAKS = {
    "B200": 2.25e15,
    "H200": 9.895e14,
    "H100 PCIe": 7.56e14,
    "H100": 9.895e14,
    "A100": 3.12e14,
    "L40S": 3.62e14,
    "L4": 1.21e14,
    "A10G": 7.0e13,
    "RTX 4090": 1.652e14,
    "RTX 3090": 7.1e13,
}
"""Dense bf16 operations per second of NVIDIA's data sheets, by a part of the card's name; the first match counts."""


def flops_per_token(config: LlamaConfig, length: int) -> float:
    """Operations of one token of a training step: 6 a weight, and 12·layers·width·length for attention scores.

    Kaplan et al. 2020 (arXiv 2001.08361) for the first, PaLM (arXiv 2204.02311, appendix B) for the second.
    """
    scores = 12.0 * config.layers * config.heads * config.head_size * length
    return float(6.0 * config.parameters + scores)


def utilisation(config: LlamaConfig, length: int, tokens_per_second: float) -> dict[str, Any]:
    """Operations per second, and on a known card their share of its dense bf16 peak (model FLOPs utilisation)."""
    import torch

    rate = flops_per_token(config, length) * tokens_per_second
    card = torch.cuda.get_device_name() if torch.cuda.is_available() else None
    peak = next((value for name, value in PEAKS.items() if card and name in card), None)
    return {
        "tokens_per_second": tokens_per_second,
        "flops_per_second": rate,
        "card": card,
        "utilisation": rate / peak if peak else None,
    }
