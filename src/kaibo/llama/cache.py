"""Keys and values of the tokens that were read, kept so that the next token reads only itself."""

from __future__ import annotations

from copy import copy

import torch

from kaibo.llama.config.config import LlamaConfig


class Cache:
    """Room for `capacity` tokens of `batch` texts, allocated once; it doubles where more come.

    `length` says how many tokens are held. It can be shortened with `crop` (a shared prefix is read once and kept)
    and repeated over a batch with `expand`.
    """

    def __init__(self, config: LlamaConfig, batch: int, capacity: int, like: torch.Tensor) -> None:
        shape = (config.layers, 2, batch, config.kv_heads, max(capacity, 1), config.head_size)
        self.kept = torch.empty(shape, dtype=like.dtype, device=like.device)
        self.length = 0

    @property
    def batch(self) -> int:
        """How many texts are held."""
        return self.kept.shape[2]

    def reserve(self, count: int) -> None:
        """Makes room for `count` more tokens; what is held is copied where the room is too small."""
        needed, capacity = self.length + count, self.kept.shape[4]
        if needed > capacity:
            wider = self.kept.new_empty((*self.kept.shape[:4], max(needed, 2 * capacity), self.kept.shape[5]))
            wider[..., : self.length, :] = self.kept[..., : self.length, :]
            self.kept = wider

    def update(self, layer: int, keys: torch.Tensor, values: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Puts (batch, kv heads, new, d) behind what a layer holds; all of it, (batch, kv heads, length + new, d)."""
        end = self.length + keys.shape[2]
        here = self.kept[layer]
        here[0, :, :, self.length : end] = keys
        here[1, :, :, self.length : end] = values
        return here[0, :, :, :end], here[1, :, :, :end]

    def advance(self, count: int) -> None:
        """Every layer has put `count` tokens down."""
        self.length += count

    def crop(self, length: int) -> None:
        """Forgets all tokens after the first `length`."""
        if not 0 <= length <= self.length:
            raise ValueError(f"{length} of {self.length} tokens cannot be kept")
        self.length = length

    def expand(self, batch: int) -> None:
        """Repeats the one text that is held `batch` times, each copy free to go on by itself."""
        if self.batch != 1:
            raise ValueError(f"{self.batch} texts are held, only one can be repeated")
        self.kept = self.kept.repeat(1, 1, batch, 1, 1, 1)

    def repeated(self, batch: int, room: int) -> Cache:
        """A cache of its own that holds the one text `batch` times, with room for so many more tokens."""
        if self.batch != 1:
            raise ValueError(f"{self.batch} texts are held, only one can be repeated")
        made = copy(self)
        layers, pair, _, heads, _, size = self.kept.shape
        made.kept = self.kept.new_empty((layers, pair, batch, heads, self.length + room, size))
        made.kept[..., : self.length, :] = self.kept[..., : self.length, :]
        return made

    def select(self, rows: torch.Tensor) -> None:
        """Forgets all texts but those at the places `rows`, in their order."""
        self.kept = self.kept.index_select(2, rows)
