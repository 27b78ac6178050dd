"""Any causal model behind one small face: LLaMA-shaped ones on the reference, the rest through transformers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import torch

from kaibo.errors import UsageError
from kaibo.llama.tokens import Tokenizer


class Kept(Protocol):
    """What a model keeps of the tokens it has read."""

    @property
    def length(self) -> int:
        """How many tokens are held."""
        ...

    def crop(self, length: int) -> None:
        """Forgets all tokens after the first `length`."""
        ...

    def expand(self, batch: int) -> None:
        """Repeats the one text that is held `batch` times."""
        ...

    def repeated(self, batch: int, room: int) -> Kept:
        """A cache of its own that holds the one text `batch` times, with room for so many more tokens."""
        ...

    def select(self, rows: torch.Tensor) -> None:
        """Forgets all texts but those at the places `rows`, in their order."""
        ...


class Runs(Protocol):
    """A model that can be run. States are what logits can be made of, token by token."""

    @property
    def model(self) -> Any:
        """The module that holds the weights."""
        ...

    def states(
        self,
        ids: torch.Tensor,
        *,
        positions: torch.Tensor | None = None,
        mask: torch.Tensor | None = None,
        cache: Any = None,
    ) -> torch.Tensor:
        """(batch, length) ids → (batch, length, …) states; the arguments are those of `Llama.forward`."""
        ...

    def logits(self, states: torch.Tensor) -> torch.Tensor:
        """(…, vocabulary) of as many states as are wanted."""
        ...

    @property
    def head(self) -> tuple[torch.Tensor, torch.Tensor | None] | None:
        """Matrix and bias where logits are states times the matrix plus the bias and nothing more; else None."""
        ...

    def new_cache(self, batch: int = 1, capacity: int = 256) -> Kept:
        """An empty cache for `states`."""
        ...


@dataclass(frozen=True)
class Causal:
    """An opened causal model: how to run it, its tokenizer, and what is known of it.

    `context` is the most tokens it may read (None: nobody said), `trained` what it was trained for where positions
    are scaled; `vocabulary` the rows of its embedding; `engine` is `reference` or `transformers`. `config` is
    `config.json`, `template` the chat template as text, `ends` the ids after which it has stopped.
    """

    address: str
    name: str
    runs: Runs
    engine: str
    tokenizer: Tokenizer | None
    vocabulary: int
    context: int | None
    trained: int | None
    config: Mapping[str, Any]
    template: str | None = None
    ends: frozenset[int] = frozenset()
    device: str = "cpu"
    notes: tuple[str, ...] = ()

    def check_ids(self, ids: torch.Tensor) -> None:
        """Raises UsageError for ids outside the vocabulary, before an embedding (or a GPU) meets them."""
        if ids.numel() and (int(ids.min()) < 0 or int(ids.max()) >= self.vocabulary):
            bad = ids[(ids < 0) | (ids >= self.vocabulary)].flatten()[0].item()
            message = f"token id {bad} is outside the vocabulary of {self.vocabulary}"
            raise UsageError(message, file=self.address, next="is this the model's own tokenizer?")

    def check_length(self, tokens: int, more: int = 0) -> None:
        """Raises UsageError, with the numbers, where `tokens` and `more` do not fit the context."""
        if self.context is None or tokens + more <= self.context:
            return
        asked = f"{tokens:,} tokens of prompt" + (f" and {more:,} to generate" if more else "")
        message = f"{asked} do not fit the context of {self.context:,}"
        advice = "shorten the prompt, ask for fewer, or scale the positions: --rope yarn:4"
        raise UsageError(message, file=self.address, next=advice)
