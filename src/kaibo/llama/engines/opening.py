"""From an address to a causal model that runs: which engine, which tokenizer, where it stops."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import torch

from kaibo.errors import FormatError
from kaibo.llama.config.config import with_rope
from kaibo.llama.config.config_json import read_config
from kaibo.llama.engines.causal import Causal, Kept
from kaibo.llama.engines.functions import ends_said
from kaibo.llama.loading import in_columns, load_llama
from kaibo.llama.model import Llama
from kaibo.llama.tokens import open_tokenizer
from kaibo.models import open_model
from kaibo.models.addresses import Target
from kaibo.models.opening import local_of
from kaibo.vocabulary import Model
from kaibo.words import about, note


@dataclass(frozen=True)
class _Reference:
    model: Llama

    def states(
        self,
        ids: torch.Tensor,
        *,
        positions: torch.Tensor | None = None,
        mask: torch.Tensor | None = None,
        cache: Any = None,
    ) -> torch.Tensor:
        found: torch.Tensor = self.model(ids, positions=positions, mask=mask, cache=cache)
        return found

    def logits(self, states: torch.Tensor) -> torch.Tensor:
        return self.model.logits(states)

    @property
    def head(self) -> tuple[torch.Tensor, torch.Tensor | None]:
        return self.model.head_weight, None

    def new_cache(self, batch: int = 1, capacity: int = 256) -> Kept:
        return self.model.new_cache(batch, capacity)


def open_causal(
    address: str | os.PathLike[str],
    *,
    dtype: str | None = None,
    device: str = "cpu",
    rope: str | None = None,
    bits: int | None = None,
) -> Causal:
    """The causal model at an address, ready to run, in evaluation mode.

    `dtype` is `float32`, `bfloat16` or `float16` (default: as stored), `rope` scales the positions (`yarn:8` …),
    `bits` (8 or 4) loads through bitsandbytes. Code that a folder brings is never run.
    Raises FormatError for malformed folders, MissingError for what is absent (weights, an extra, a package that
    packed weights need), PolicyError for pickles and for models that only their own code can run, UsageError for a
    tokenizer that does not belong to the model.
    """
    target = local_of(os.fspath(address))
    stored = open_model(address)
    opened = run_model(stored, dtype=dtype, device=device, rope=rope, bits=bits)
    if isinstance(opened.runs.model, Llama):
        in_columns(opened.runs.model)
    return _with_documents(opened, target, stored.documents)


def run_model(
    stored: Model, *, dtype: str | None = None, device: str = "cpu", rope: str | None = None, bits: int | None = None
) -> Causal:
    """A model that was opened, its weights loaded, as yet without a tokenizer; arguments and errors of `open_causal`.

    LLaMA-shaped ones run on the reference, the rest and all that is packed into 8 or 4 bit through transformers.
    """
    target = local_of(stored.address)
    reason = None
    try:
        config = read_config(stored.config, target.path("config.json"))
    except FormatError as other:
        reason = other.message
    if reason is None and bits is None:
        context = config.context if rope is None else with_rope(config, rope).context
        model = load_llama(stored, dtype=dtype, device=device, rope=rope)
        return Causal(
            *(stored.address, stored.name, _Reference(model), "reference", None, config.vocabulary),
            *(context, config.trained_context, stored.config),
            device=device,
        )
    from kaibo.llama.engines.borrowed import borrow  # transformers takes seconds to import

    return replace(borrow(target, stored, dtype=dtype, device=device, rope=rope, bits=bits), device=device)


def _with_documents(opened: Causal, target: Target, documents: Mapping[str, Any]) -> Causal:
    settings = documents.get("tokenizer_config.json", {})
    tokenizer = open_tokenizer(target, settings)
    template = documents.get("chat_template")
    notes = opened.notes
    if tokenizer is not None and tokenizer.size > opened.vocabulary:
        told = note("tokenizer_larger", id=tokenizer.size - 1, rows=opened.vocabulary)
        notes = (*notes, about(opened.address, told))
    return replace(
        opened,
        tokenizer=tokenizer,
        template=template if isinstance(template, str) else None,
        ends=ends_said(opened.config, documents.get("generation_config.json", {})),
        notes=notes,
    )
