"""Rotary positions: queries and keys are turned by angles that grow with their place, so scores see distances.

Su et al. 2021 (arXiv 2104.09864), eq. 34: f(x, m) = R^d_{Θ,m} W x with θ_i = base^(−2(i−1)/d). The pair of numbers
that turns together is (i, i + d/2) here, as in every Hugging Face folder, where the paper has (2i − 1, 2i): the same
up to a fixed permutation of each head, which the rows of the query and key matrices have undergone.
"""

from __future__ import annotations

import math

import torch

from kaibo.llama.config.config import LlamaConfig, Rope

Tables = tuple[torch.Tensor, torch.Tensor]
"""Cosines and signed sines, float32, of shape (length, head size) or (batch, length, head size)."""


def rotate(x: torch.Tensor, tables: Tables) -> torch.Tensor:
    """Turns every pair (i, i + d/2) of x, (batch, length, heads, d), by the angle of its position.

    x·cos + swapped(x)·(−sin, sin): the rotation [[cos, −sin], [sin, cos]] of each pair, written for whole halves.
    """
    cosines, sines = tables
    return x * cosines + x.roll(x.shape[-1] // 2, -1) * sines


class Rotary:
    """The tables of a config: made once, lengthened when a longer text comes."""

    def __init__(self, config: LlamaConfig) -> None:
        self.config = config
        self._kept: dict[tuple[torch.device, torch.dtype], Tables] = {}

    def tables(self, positions: torch.Tensor | None, begin: int, length: int, like: torch.Tensor) -> Tables:
        """Tables for `length` positions from `begin`, or for given `positions` (batch, length); one axis for heads.

        (length, 1, d), or (batch, length, 1, d), of the type and on the device of `like`.
        """
        end = begin + length if positions is None else int(positions.max()) + 1
        if self.config.rope.kind == "dynamic" and end > self.config.trained_context:
            kept = self._make(end, end, like)  # the base follows the text's length: nothing to keep
        else:
            kept = self._keep(end, like)
        if positions is None:
            return kept[0][begin:end, None], kept[1][begin:end, None]
        return kept[0][positions].unsqueeze(-2), kept[1][positions].unsqueeze(-2)

    def _keep(self, end: int, like: torch.Tensor) -> Tables:
        key = (like.device, like.dtype)
        if key not in self._kept or len(self._kept[key][0]) < end:
            self._kept[key] = self._make(max(256, 1 << (end - 1).bit_length()), 0, like)
        return self._kept[key]

    @torch.inference_mode(False)  # tables made while generating must also serve a training step
    def _make(self, count: int, seen: int, like: torch.Tensor) -> Tables:
        turns, scale = frequencies(self.config, seen)
        angles = torch.outer(torch.arange(count, dtype=torch.float32), turns)  # (count, d/2)
        cosines, sines = angles.cos() * scale, angles.sin() * scale
        tables = torch.cat((cosines, cosines), -1), torch.cat((-sines, sines), -1)
        return tables[0].to(like), tables[1].to(like)


def frequencies(config: LlamaConfig, seen: int = 0) -> tuple[torch.Tensor, float]:
    """θ_i in radians per token, shape (d/2,), and the factor of the cosines and sines (YaRN's temperature, else 1).

    `seen` is the length of the text, which dynamic scaling follows.
    """
    rope, size = config.rope, config.head_size
    plain = _powers(rope.base, size)
    if rope.kind == "linear":  # Chen et al. 2023 (arXiv 2306.15595): positions divided by the factor
        return plain / rope.factor, 1.0
    if rope.kind == "dynamic":
        return _powers(dynamic_base(rope, size, seen, config.trained_context), size), 1.0
    if rope.kind == "yarn":
        return _yarn(rope, plain, config.trained_context)
    if rope.kind == "llama3":
        return _llama3(rope, plain, config.trained_context), 1.0
    return plain, 1.0


def _powers(base: float, size: int) -> torch.Tensor:
    return 1.0 / (base ** (torch.arange(0, size, 2, dtype=torch.float32) / size))


def dynamic_base(rope: Rope, size: int, seen: int, trained: int) -> float:
    """base·(s·n/L − s + 1)^(d/(d−2)): the slowest pair turns over n tokens as far as it did over the trained L."""
    growth = rope.factor * max(seen, trained) / trained - (rope.factor - 1)
    return float(rope.base * growth ** (size / (size - 2)))


def _yarn(rope: Rope, plain: torch.Tensor, trained: int) -> tuple[torch.Tensor, float]:
    """Peng et al. 2023 (arXiv 2309.00071), eq. 23-25: fast pairs stay, slow ones are interpolated, a ramp between."""
    size = 2 * len(plain)

    def pair_that_turns(times: float) -> float:  # over the trained length
        return size * math.log(trained / (times * 2 * math.pi)) / (2 * math.log(rope.base))

    low, high = pair_that_turns(rope.beta_fast), pair_that_turns(rope.beta_slow)
    if rope.truncate:
        low, high = math.floor(low), math.ceil(high)
    low, high = max(low, 0), min(high, size - 1)
    width = high - low if high != low else 0.001  # as transformers does where the ramp has no width
    slow = ((torch.arange(size // 2, dtype=torch.float32) - low) / width).clamp(0, 1)
    mixed = plain / rope.factor * slow + plain * (1 - slow)
    return mixed, rope.temperature


def _llama3(rope: Rope, plain: torch.Tensor, trained: int) -> torch.Tensor:
    """Llama 3.1: wavelengths above L/low are divided by the factor, those below L/high stay, smooth between.

    Source: `apply_scaling` of meta-llama/llama-models, models/llama3/model.py.
    """
    turns = trained * plain / (2 * math.pi)  # full turns over the trained length
    smooth = ((turns - rope.low) / (rope.high - rope.low)).clamp(0, 1)
    return (1 - smooth) * plain / rope.factor + smooth * plain
