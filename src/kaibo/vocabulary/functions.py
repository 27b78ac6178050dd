"""A model as what answers: which weights it holds, and what it does with them."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Function:
    """A model that texts and questions are put to, under the settings that decide its answers.

    `model_id` names what it holds (tensors); `function_id` what it does: the tensors, the config fields that its
    forward pass reads, its tokenizer, engine, type, device and overrides. `step` is its place in a series.
    """

    address: str
    step: int | None
    model_id: str
    function_id: str
    tokenizer_hash: str
