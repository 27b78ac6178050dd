"""How much memory scoring will take, said before it begins: weights, activations, one chunk of logits, the logs."""

from __future__ import annotations

import contextlib
import ctypes
import sys
from dataclasses import dataclass

from kaibo.scoring.planning import Plan, ScoreSettings
from kaibo.vocabulary import Model
from kaibo.words import Note, about, note

LOGITS_AT_ONCE = 1 << 22
"""Logits that are there at once where they cannot be made in tiles, whatever the length: 16 MiB in float32."""

BYTES = {"float32": 4, "bfloat16": 2, "float16": 2}
TILE = 4 << 20
"""Bytes of the logits that are there at once where the head is one matrix (`kaibo.llama.loss`)."""

LOG_BYTES = 64 * 5
"""Of a scored token: its row as part of a window, in the whole log, on its way to the store, its place in the text."""

STATES, INNER, CHUNKS = 12, 4, 3
"""Copies of a layer's hidden states, of the wider states inside its feed-forward part, and of the logits of a chunk
that live together, the work space of the matrix products counted in; measured on models of 15 to 43 million weights."""

PROCESS = 340 << 20
"""What Python, numpy, pyarrow, the tokenizers library and torch take by themselves, measured on Linux."""

TRANSFORMERS = 140 << 20
"""What transformers takes on top, for a model that is no LLaMA or a tokenizer that only it can make."""


@dataclass(frozen=True)
class Memory:
    """Bytes that scoring is expected to need at most: `process` is what the libraries take by themselves."""

    weights: int
    activations: int
    logits: int
    logs: int
    process: int = PROCESS

    @property
    def total(self) -> int:
        """All of them."""
        return self.weights + self.activations + self.logits + self.logs + self.process

    def note(self, address: str) -> Note:
        """The sentence that is told before anything is scored."""
        names = ("total", "weights", "activations", "logits", "logs")
        return about(address, note("memory", **{name: _mebibytes(getattr(self, name)) for name in names}))


def give_back() -> None:
    """Hands freed memory back to the system, which glibc keeps for later: 100 MiB after 200,000 tokens were found."""
    if sys.platform == "linux":
        with contextlib.suppress(OSError, AttributeError):  # another C library has no such call
            ctypes.CDLL(None).malloc_trim(0)


def memory_of(model: Model, plan: Plan, how: ScoreSettings) -> Memory:
    """What a model and a plan will need; with `prefetch` a second set of weights, as they are stored.

    While transformers loads a model its largest tensor is there twice; that is over before there are activations.
    """
    width = BYTES.get(how.dtype, 4)
    values = sum(tensor.size for tensor in model.weights)
    stored = sum(tensor.size * tensor.dtype.itemsize for tensor in model.weights)
    largest = max((tensor.size * tensor.dtype.itemsize for tensor in model.weights), default=0)
    read = max((len(batch) * batch[0].window.length for batch in plan.batches), default=0)
    hidden = _whole(model, "hidden_size", "n_embd")
    inner = _whole(model, "intermediate_size", "n_inner") or 4 * hidden
    foreign = model.config.get("model_type") != "llama"
    rows = max(16, LOGITS_AT_ONCE // max(plan.vocabulary, 1))
    logits = CHUNKS * (rows * plan.vocabulary * 4 if foreign else TILE)
    flowing = read * (STATES * hidden + INNER * inner) * width
    return Memory(
        weights=values * width + (stored if how.prefetch else 0),
        activations=max(flowing, largest - logits) if foreign else flowing,
        logits=logits,
        logs=plan.tokens * LOG_BYTES,
        process=PROCESS + (TRANSFORMERS if foreign or plan.borrowed else 0),
    )


def _whole(model: Model, *names: str) -> int:
    """The first of these numbers that the config has, else 0."""
    found = (model.config.get(name) for name in names)
    return next((value for value in found if isinstance(value, int) and not isinstance(value, bool)), 0)


def _mebibytes(size: int) -> str:
    return f"{size / 2**30:.1f} GiB" if size >= 2**30 else f"{max(1, round(size / 2**20))} MiB"
