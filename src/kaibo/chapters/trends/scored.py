"""A run as rows of nats: what each of its checkpoints thought of every token of the same texts."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from kaibo.errors import FormatError, MissingError, UsageError
from kaibo.vocabulary import TokenLog

Floats = NDArray[np.float64]
AGAINST = ("start", "size", "step", "tokens", "flops", "ppl")
"""What shares can be held against; the last four also order the checkpoints of a run."""


@dataclass(frozen=True, eq=False)
class Tokens:
    """The scored tokens of some texts, in reading order: which text each is in, its id and its span of characters."""

    texts: tuple[str, ...] = field(repr=False)
    text: NDArray[np.int32] = field(repr=False)
    token_id: NDArray[np.int32] = field(repr=False)
    characters: NDArray[np.int64] = field(repr=False)
    name: str = "text"

    def __len__(self) -> int:
        return len(self.text)

    def same(self, other: Tokens) -> bool:
        """Whether both cut the same texts into the same tokens."""
        return (
            np.array_equal(self.text, other.text)
            and np.array_equal(self.token_id, other.token_id)
            and np.array_equal(self.characters, other.characters)
        )


@dataclass(frozen=True, eq=False)
class ScoredSeries:
    """One run: `nats` (checkpoints, tokens) of the same tokens at rising `steps` above 0.

    `parameters` counts weights, `trained` the tokens that the run had read at each checkpoint; None where unknown.
    """

    model: str
    steps: tuple[int, ...]
    nats: NDArray[np.float32] = field(repr=False)
    tokens: Tokens = field(repr=False)
    parameters: int | None = None
    trained: tuple[float, ...] | None = None

    def __post_init__(self) -> None:
        rising = all(before < after for before, after in zip((0, *self.steps), self.steps, strict=False))
        if not rising or self.nats.shape != (len(self.steps), len(self.tokens)):
            raise UsageError(f"{self.model}: its checkpoints are no series of one text", next="steps rise from above 0")

    @property
    def surprise(self) -> Floats:
        """Mean nats of all tokens at each checkpoint."""
        return np.array([row.mean(dtype=np.float64) if row.size else np.nan for row in self.nats])

    @property
    def ppl(self) -> Floats:
        """Perplexity of the texts at each checkpoint."""
        return np.exp(self.surprise)

    @property
    def flops(self) -> Floats | None:
        """6 · parameters · tokens read, at each checkpoint."""
        if self.parameters is None or self.trained is None:
            return None
        return 6.0 * self.parameters * np.asarray(self.trained, np.float64)

    def along(self, against: str) -> Floats | None:
        """The checkpoints by `step`, `tokens`, `flops` or `ppl`; None where it is not known."""
        known = {
            "step": np.asarray(self.steps, np.float64),
            "tokens": None if self.trained is None else np.asarray(self.trained, np.float64),
            "flops": self.flops,
            "ppl": self.ppl,
        }
        return known[against]

    def begins(self, start: float) -> int:
        """The first checkpoint that has seen at least this fraction of the run's steps."""
        return int(np.searchsorted(np.asarray(self.steps, np.float64), start * self.steps[-1] * (1 - 1e-12)))


def tokens_of(logs: Sequence[TokenLog], texts: Sequence[str], scored: NDArray[np.bool_] | None = None) -> Tokens:
    """The tokens of the logs of several texts, those that were scored."""
    whole = {name: np.concatenate([getattr(log, name) for log in logs]) for name in ("token_id", "characters")}
    at = np.concatenate([np.full(len(log), place, np.int32) for place, log in enumerate(logs)])
    kept = np.concatenate([log.scored for log in logs]) if scored is None else scored
    name = logs[0].document if len(logs) == 1 else f"{len(logs)} texts"
    return Tokens(tuple(texts), at[kept], whole["token_id"][kept], whole["characters"][kept], name)


def joined(
    model: str, checkpoints: Iterable[tuple[int, Sequence[TokenLog]]], texts: Sequence[str]
) -> tuple[tuple[int, ...], NDArray[np.float32], Tokens]:
    """Steps, nats and tokens of a run from the logs of its checkpoints, which are read once, in the order of steps.

    Raises FormatError where two checkpoints cut the texts differently. MissingError where there are none.
    """
    steps: list[int] = []
    rows: list[NDArray[np.float32]] = []
    first: Tokens | None = None
    for step, logs in checkpoints:
        scored = np.concatenate([log.scored for log in logs])
        tokens = tokens_of(logs, texts, scored)
        if first is None:
            first = tokens
        if not tokens.same(first):
            message = f"step {step} cuts the text into other tokens than step {steps[0]}"
            raise FormatError(message, file=model, next="all checkpoints of a series need one tokenizer and context")
        steps.append(step)
        rows.append(np.concatenate([log.nats for log in logs])[scored].astype(np.float32))
    if first is None:
        raise MissingError("none of its checkpoints could be scored", file=model)
    return tuple(steps), np.stack(rows), first
