"""A model that can be asked what it thinks: one that `kaibo.llama` runs, its weights exchanged for a checkpoint's."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

import torch

from kaibo.llama import Llama, fill, read_config, run_model
from kaibo.llama.loading import fill_values, matched, read_values
from kaibo.scoring.prefetch import Values
from kaibo.vocabulary import Model, Tensor


class Causal:
    """A causal model without its tokenizer: states of a row of ids, and the logits of as many as are wanted."""

    def __init__(self, model: Model, *, dtype: str = "float32", device: str = "cpu", rope: str | None = None) -> None:
        self.address = model.address
        opened = run_model(model, dtype=dtype, device=device, rope=rope)
        self._runs, self.vocabulary, self.context = opened.runs, opened.vocabulary, opened.context
        self._config: Mapping[str, Any] = dict(model.config)

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        found: torch.device = next(self._runs.model.parameters()).device
        return found

    def states(self, ids: torch.Tensor) -> torch.Tensor:
        """(batch, length) ids → (batch, length, …), each from the ids up to it; padding stands on the right."""
        found: torch.Tensor = self._runs.states(ids)
        return found

    def logits(self, states: torch.Tensor) -> torch.Tensor:
        """(n, …) → (n, vocabulary)."""
        found: torch.Tensor = self._runs.logits(states)
        return found

    @property
    def head(self) -> tuple[torch.Tensor, torch.Tensor | None] | None:
        """Matrix and bias where logits are states times the matrix plus the bias and nothing more; else None."""
        found: tuple[torch.Tensor, torch.Tensor | None] | None = self._runs.head
        return found

    def values(self, model: Model) -> Values | None:
        """The weights of another checkpoint, read for a `swap` to come; None where none can."""
        return read_values(_matched(model)) if self._takes(model) else None

    def swap(self, model: Model, values: Values | None = None) -> bool:
        """Takes over the weights of another checkpoint in place; False where it is not of the same shape.

        `values` are its weights where they were read before. Only the reference does: names that transformers gives
        are its own affair. Raises FormatError where the folder is not what its config says.
        """
        if not self._takes(model):
            return False
        self.address = ""  # half one checkpoint and half another is neither
        if values is None:
            fill(self._runs.model, _matched(model))
        else:
            fill_values(self._runs.model, values)
        self.address = model.address
        return True

    def _takes(self, model: Model) -> bool:
        return isinstance(self._runs.model, Llama) and dict(model.config) == self._config


def _matched(model: Model) -> dict[str, Tensor]:
    return matched(model, read_config(model.config, os.path.join(model.address, "config.json")))
