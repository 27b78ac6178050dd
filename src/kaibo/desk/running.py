"""How verbs run models: on what, in which type, with which positions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from kaibo.desk.addresses import Address
from kaibo.errors import MissingError

if TYPE_CHECKING:
    from kaibo.llama.engines.causal import Causal
    from kaibo.llama.tokens import Tokenizer


@dataclass(frozen=True)
class Running:
    """How a model is run: `dtype` (`float32`, `bfloat16`, `float16`; as stored), `device`, `rope` (`yarn:8`,
    `linear:4`, `dynamic:4`, `base:1e6`), `bits` (8 or 4, through bitsandbytes).
    """  # fmt: skip

    dtype: str | None = None
    device: str = "cpu"
    rope: str | None = None
    bits: int | None = None


def opened(model: Address, running: Running | None = None) -> Causal:
    """The causal model at an address; raises as `kaibo.llama.open_causal` does."""
    from kaibo.llama import open_causal

    how = running or Running()
    found: Causal = open_causal(model, dtype=how.dtype, device=how.device, rope=how.rope, bits=how.bits)
    return found


def tokenizer_of(model: Causal) -> Tokenizer:
    """Its tokenizer. Raises MissingError where the folder has none."""
    if model.tokenizer is None:
        message = "has no tokenizer (looked for tokenizer.json, tokenizer.model)"
        raise MissingError(message, file=model.address, next="copy it into the folder")
    return model.tokenizer
