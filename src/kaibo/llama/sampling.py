"""From logits to the next token: the largest, or one drawn."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch

from kaibo.errors import UsageError


@dataclass(frozen=True)
class Sampling:
    """How the next token is chosen, and when to stop.

    `temperature` 0 takes the largest logit (greedy). Above it, tokens are drawn: logits are divided by it, all but
    the `top_k` largest left out, then all that are not needed to reach the share `top_p`. The same `seed` draws the
    same tokens. `stop` are texts after which nothing more is wanted; they are not part of the answer.
    """

    max_tokens: int = 128
    temperature: float = 0.0
    top_k: int | None = None
    top_p: float | None = None
    seed: int = 0
    stop: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for name, value, fine, wanted in (
            ("max_tokens", self.max_tokens, self.max_tokens >= 1, "1 or more"),
            ("temperature", self.temperature, 0 <= self.temperature < 1e6, "0 or more"),
            ("top_k", self.top_k, self.top_k is None or self.top_k >= 1, "1 or more"),
            ("top_p", self.top_p, self.top_p is None or 0 < self.top_p <= 1, "above 0, at most 1"),
            ("seed", self.seed, 0 <= self.seed < 2**63, "0 or more"),
        ):
            if not fine:
                raise UsageError(f"{name} is {value}; it wants {wanted}")
        if any(not text for text in self.stop):
            raise UsageError("a stop text is empty")

    @property
    def greedy(self) -> bool:
        """Whether nothing is drawn."""
        return self.temperature == 0

    def random(self) -> torch.Generator:
        """The source of the draws, on the CPU whatever runs the model: a seed means the same everywhere."""
        return torch.Generator().manual_seed(self.seed)


def chances(logits: torch.Tensor, sampling: Sampling) -> torch.Tensor:
    """The probabilities (vocabulary,) from which a token is drawn; not for greedy sampling."""
    scaled = logits.float() / sampling.temperature
    if sampling.top_k is not None and sampling.top_k < len(scaled):
        least = scaled.topk(sampling.top_k).values[-1]
        scaled = scaled.masked_fill(scaled < least, -torch.inf)
    if sampling.top_p is not None and sampling.top_p < 1:
        ordered, places = scaled.sort(descending=True)
        share = ordered.softmax(0)
        before = share.cumsum(0) - share  # what is reached without it: the first is always kept
        spare = places[before >= sampling.top_p]
        scaled = scaled.index_fill(0, spare, -torch.inf)
    return scaled.softmax(0)


def choose(logits: torch.Tensor, sampling: Sampling, random: torch.Generator) -> int:
    """The next token for logits (vocabulary,). Raises UsageError where they are not numbers."""
    if sampling.greedy:
        highest, chosen = logits.max(0)
        if not math.isfinite(highest.item()):
            raise _not_numbers()
        return int(chosen.item())
    share = chances(logits, sampling).cpu()
    if not bool(torch.isfinite(share).all()):
        raise _not_numbers()
    return int(torch.multinomial(share, 1, generator=random))


def _not_numbers() -> UsageError:
    return UsageError(
        "the model's logits are not numbers", next="--dtype float32, or kaibo stats MODEL for NaN weights"
    )
