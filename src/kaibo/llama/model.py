"""The whole: embedding, blocks, last norm, head; and which tokens may see which.

LLaMA (Touvron et al. 2023, arXiv 2302.13971, section 2.2): norms before each part, SwiGLU, rotary positions.
"""

from __future__ import annotations

import torch
from torch import nn

from kaibo.errors import UsageError
from kaibo.llama.attention import Attention
from kaibo.llama.cache import Cache
from kaibo.llama.config.config import LlamaConfig
from kaibo.llama.mlp import SwiGLU
from kaibo.llama.norm import RMSNorm
from kaibo.llama.rotary import Rotary, Tables


class Block(nn.Module):
    """x + attention(norm(x)), then x + SwiGLU(norm(x)): pre-normalisation, the residual stream itself untouched."""

    def __init__(self, config: LlamaConfig, layer: int) -> None:
        super().__init__()
        self.attention_norm = RMSNorm(config.hidden, config.norm_epsilon)
        self.attention = Attention(config, layer)
        self.mlp_norm = RMSNorm(config.hidden, config.norm_epsilon)
        self.mlp = SwiGLU(config)

    def forward(self, x: torch.Tensor, tables: Tables, mask: torch.Tensor | None, cache: Cache | None) -> torch.Tensor:
        """(batch, length, hidden) → the same."""
        x = x + self.attention(self.attention_norm(x), tables, mask, cache)
        mixed: torch.Tensor = x + self.mlp(self.mlp_norm(x))
        return mixed


class Llama(nn.Module):
    """A LLaMA of a config, its weights not yet set: `initialise` or `load_llama` does that.

    `model(ids)` gives the states after the last norm, (batch, length, hidden); `model.logits(states)` the logits of
    as many of them as are wanted, so that no tensor of batch × length × vocabulary need ever be.
    """

    def __init__(self, config: LlamaConfig) -> None:
        super().__init__()
        self.config = config
        rows = torch.empty(config.vocabulary, config.hidden)  # not drawn: that would load torch's compiler (75 MiB)
        self.embedding = nn.Embedding.from_pretrained(rows, freeze=False)  # type: ignore[no-untyped-call]
        self.blocks = nn.ModuleList(Block(config, layer) for layer in range(config.layers))
        self.norm = RMSNorm(config.hidden, config.norm_epsilon)
        self.head = None if config.tied else nn.Linear(config.hidden, config.vocabulary, bias=False)
        self.rotary = Rotary(config)

    def forward(
        self,
        ids: torch.Tensor,
        *,
        positions: torch.Tensor | None = None,
        mask: torch.Tensor | None = None,
        cache: Cache | None = None,
    ) -> torch.Tensor:
        """(batch, length) ids → (batch, length, hidden) states after the last norm.

        `positions` (batch, length) default to the places after what the cache holds. `mask` is (batch, held + length),
        true or 1 for what is text and false or 0 for padding; or (batch, 1, length, held + length), which alone then
        says who sees whom: booleans, or numbers added to the scores. With a `cache` the keys and values are kept.
        """
        held = 0 if cache is None else cache.length
        x = self.embedding(ids)
        tables = self.rotary.tables(positions, held, ids.shape[1], x)
        masks = self._masks(mask, held, x)
        if cache is not None:
            cache.reserve(ids.shape[1])
        for block, window in zip(self.blocks, self.config.windows, strict=True):
            x = block(x, tables, masks[window], cache)
        if cache is not None:
            cache.advance(ids.shape[1])
        states: torch.Tensor = self.norm(x)
        return states

    def logits(self, states: torch.Tensor) -> torch.Tensor:
        """(…, hidden) → (…, vocabulary)."""
        return nn.functional.linear(states, self.head_weight)

    @property
    def head_weight(self) -> torch.Tensor:
        """(vocabulary, hidden): the head's matrix, which is the embedding's where the two are tied."""
        return self.embedding.weight if self.head is None else self.head.weight

    def new_cache(self, batch: int = 1, capacity: int = 256) -> Cache:
        """An empty cache of the model's type, on its device."""
        return Cache(self.config, batch, capacity, self.embedding.weight)

    def check_ids(self, ids: torch.Tensor) -> None:
        """Raises UsageError for ids outside the vocabulary, before an embedding (or a GPU) meets them."""
        if ids.numel() and (int(ids.min()) < 0 or int(ids.max()) >= self.config.vocabulary):
            bad = ids[(ids < 0) | (ids >= self.config.vocabulary)].flatten()[0].item()
            raise UsageError(
                f"token id {bad} is outside the vocabulary of {self.config.vocabulary}",
                next="is this the model's own tokenizer?",
            )

    def _masks(self, mask: torch.Tensor | None, held: int, x: torch.Tensor) -> dict[int | None, torch.Tensor | None]:
        """Which keys each query may see, by window; None is "itself and all before it", which needs no tensor."""
        windows = set(self.config.windows)
        if mask is not None and mask.dim() == 4:
            wide = mask if mask.dtype in (torch.bool, x.dtype) else mask.to(x.dtype)
            return dict.fromkeys(windows, wide)
        length = x.shape[1]
        plain = mask is None and (held == 0 or length == 1)
        return {
            window: None
            if plain and (window is None or held + length <= window)
            else _visible(mask, held, length, window, x.device)
            for window in windows
        }


def _visible(
    mask: torch.Tensor | None, held: int, length: int, window: int | None, device: torch.device
) -> torch.Tensor:
    """(batch or 1, 1, length, held + length): true where a query sees a key.

    A padded token sees itself, so that no row of scores is empty; nobody else sees it.
    """
    queries = torch.arange(held, held + length, device=device)[:, None]
    keys = torch.arange(held + length, device=device)
    seen = keys <= queries
    if window is not None:  # as Mistral counts: itself and the window − 1 before it
        seen &= keys > queries - window
    if mask is None:
        return seen[None, None]
    return seen & (mask[:, None, None].bool() | (keys == queries))


def initialise(model: Llama, seed: int = 0) -> Llama:
    """Sets the weights for pre-training: Gaussians of the config's σ, biases zero, norms one.

    The same seed gives the same weights.
    """
    random = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if name.endswith("bias"):
                weight.zero_()
            elif "norm" in name:
                weight.fill_(1.0)
            else:
                drawn = torch.randn(weight.shape, generator=random) * model.config.init_sigma
                weight.copy_(drawn)
    return model
