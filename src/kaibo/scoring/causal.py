"""A model that can be asked what it thinks: LLaMA-shaped ones run on the reference, others as transformers has them."""

from __future__ import annotations

import os
import warnings
from collections.abc import Mapping
from typing import Any, Protocol

import torch

from kaibo.errors import FormatError, KaiboError, UsageError
from kaibo.llama import fill, load_llama, read_config
from kaibo.llama.loading import checked_device, dtype_named, fill_values, matched, read_values
from kaibo.scoring.prefetch import Values
from kaibo.vocabulary import Model, Tensor


class Causal(Protocol):
    """States of a row of ids, and the logits of as many states as are wanted."""

    address: str
    vocabulary: int
    context: int | None

    @property
    def device(self) -> torch.device: ...  # noqa: D102

    def states(self, ids: torch.Tensor) -> torch.Tensor:
        """(batch, length) ids → (batch, length, hidden), each from the ids up to it; padding stands on the right."""
        ...

    def logits(self, states: torch.Tensor) -> torch.Tensor:
        """(n, hidden) → (n, vocabulary)."""
        ...

    def values(self, model: Model) -> Values | None:
        """The weights of another checkpoint, read for a `swap` to come; None where none can."""
        ...

    def swap(self, model: Model, values: Values | None = None) -> bool:
        """Takes over the weights of another checkpoint in place; False where it is not of the same shape.

        `values` are its weights where they were read before.
        """
        ...


class Reference:
    """A LLaMA on the reference implementation."""

    def __init__(self, model: Model, dtype: str, device: str, rope: str | None) -> None:
        self.address = model.address
        self.llama = load_llama(model, dtype=dtype, device=device, rope=rope)
        self._config: Mapping[str, Any] = dict(model.config)
        self.vocabulary, self.context = self.llama.config.vocabulary, self.llama.config.context

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        found: torch.device = self.llama.embedding.weight.device
        return found

    def states(self, ids: torch.Tensor) -> torch.Tensor:
        """As `Causal.states`."""
        found: torch.Tensor = self.llama(ids)
        return found

    def logits(self, states: torch.Tensor) -> torch.Tensor:
        """As `Causal.logits`."""
        found: torch.Tensor = self.llama.logits(states)
        return found

    def values(self, model: Model) -> Values | None:
        """As `Causal.values`."""
        return read_values(self._matched(model)) if dict(model.config) == self._config else None

    def swap(self, model: Model, values: Values | None = None) -> bool:
        """As `Causal.swap`. Raises FormatError where the folder is not what its config says."""
        if dict(model.config) != self._config:
            return False
        self.address = ""  # half one checkpoint and half another is neither
        if values is None:
            fill(self.llama, self._matched(model))
        else:
            fill_values(self.llama, values)
        self.address = model.address
        return True

    def _matched(self, model: Model) -> dict[str, Tensor]:
        return matched(model, read_config(model.config, os.path.join(model.address, "config.json")))


class Foreign:
    """A causal model of transformers; its head is called for the wanted states alone where that gives its logits."""

    def __init__(self, model: Model, folder: str, dtype: str, device: str, rope: str | None) -> None:
        if rope is not None:
            message = "positions can be scaled only for models in the shape of LLaMA"
            raise UsageError(message, file=model.address, next="leave out --rope")
        self.address = model.address
        self.whole = _from_transformers(folder, dtype).to(checked_device(device)).eval()
        config = self.whole.config
        self.vocabulary = int(self.whole.get_input_embeddings().weight.shape[0])
        self.context: int | None = getattr(config, "max_position_embeddings", None)
        self._parted = _parts_agree(self.whole)

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        found: torch.device = next(self.whole.parameters()).device
        return found

    def states(self, ids: torch.Tensor) -> torch.Tensor:
        """As `Causal.states`; the logits themselves where the model cannot be taken apart."""
        if not self._parted:
            whole: torch.Tensor = self.whole(input_ids=ids, use_cache=False).logits
            return whole
        found: torch.Tensor = self.whole.base_model(input_ids=ids, use_cache=False)[0]
        return found

    def logits(self, states: torch.Tensor) -> torch.Tensor:
        """As `Causal.logits`."""
        if not self._parted:
            return states
        found: torch.Tensor = self.whole.get_output_embeddings()(states)
        return found

    def values(self, model: Model) -> Values | None:
        """Nothing is read ahead."""
        return None

    def swap(self, model: Model, values: Values | None = None) -> bool:
        """Another checkpoint of transformers' is loaded anew: its names are its own affair."""
        return False


def open_causal(
    model: Model, folder: str, *, dtype: str = "float32", device: str = "cpu", rope: str | None = None
) -> Causal:
    """The model with its weights; `folder` is where its files are on this machine.

    Raises FormatError for a model that neither the reference nor transformers can run, UsageError for a type or
    device that is not here.
    """
    try:
        return Reference(model, dtype, device, rope)
    except FormatError as refused:
        if rope is not None and model.config.get("model_type") in ("llama", "mistral", "qwen2"):
            raise
        try:
            return Foreign(model, folder, dtype, device, rope)
        except KaiboError as other:
            raise refused if model.config.get("model_type") == "llama" else other from other


def _from_transformers(folder: str, dtype: str) -> Any:
    from transformers import AutoModelForCausalLM
    from transformers.utils import logging

    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return AutoModelForCausalLM.from_pretrained(
                folder, dtype=dtype_named(dtype), local_files_only=True, trust_remote_code=False, use_safetensors=True
            )
    except KaiboError:
        raise
    except Exception as problem:  # a stranger's files: whatever transformers says about them is the answer
        reason = (str(problem).strip() or type(problem).__name__).splitlines()[0]
        raise FormatError(f"cannot be run: {reason}", file=folder, next="is it a causal language model?") from problem


@torch.inference_mode()
def _parts_agree(whole: Any) -> bool:
    """Whether base model and head, called one after the other, give the model's own logits (no cap, no scale)."""
    ids = torch.arange(4, device=next(whole.parameters()).device)[None] % whole.get_input_embeddings().weight.shape[0]
    try:
        own = whole(input_ids=ids, use_cache=False).logits
        parted = whole.get_output_embeddings()(whole.base_model(input_ids=ids, use_cache=False)[0])
    except (TypeError, AttributeError, RuntimeError, ValueError, KeyError, IndexError):
        return False
    return own.shape == parted.shape and torch.equal(own, parted)
