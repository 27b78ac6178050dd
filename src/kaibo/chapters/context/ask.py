"""`kaibo context`: how far a model reads, as loss by position and passkeys found."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from kaibo.chapters.context.by_position import loss_curve, passkey_row
from kaibo.chapters.context.rows import CONTEXT
from kaibo.collect import Progress, quiet
from kaibo.desk.addresses import Address
from kaibo.desk.running import Running, opened, tokenizer_of
from kaibo.documents import reading
from kaibo.errors import UsageError
from kaibo.version import __version__
from kaibo.vocabulary import Finding
from kaibo.vocabulary.running import ContextRow

if TYPE_CHECKING:
    from kaibo.llama.engines.causal import Causal

TEXT_LIMIT = 1 << 30


@dataclass(frozen=True)
class ContextOptions:
    """How far to look: `up_to` times the trained length, over at most `windows` windows of the text and `passkeys`
    prompts a length; `ropes` are the ways to scale positions, each a curve (`none`: as trained).
    """  # fmt: skip

    up_to: float = 4.0
    windows: int = 8
    passkeys: int = 5
    ropes: tuple[str, ...] = ("none",)
    seed: int = 0
    progress: Progress = field(default=quiet, repr=False)

    def __post_init__(self) -> None:
        if not 0 < self.up_to <= 1024 or self.windows < 2 or self.passkeys < 0 or not self.ropes:
            raise UsageError("--up-to wants a number above 0, --windows 2 or more, --passkeys 0 or more")


def context(
    model: Address,
    text: str | os.PathLike[str] | None = None,
    *,
    options: ContextOptions | None = None,
    running: Running | None = None,
) -> Finding[ContextRow]:
    """Loss by position and the share of passkeys found, up to `up_to` times the trained length, for each scaling.

    `text` is a UTF-8 file; without one, the Python documentation that ships with CPython is read. Raises UsageError
    where the text is too short for two windows, and whatever opening the model raises.
    """
    chosen, how = options or ContextOptions(), running or Running()
    words = own_text() if text is None else read_text(Path(text))
    rows: list[ContextRow] = []
    notes: list[str] = []
    for rope in chosen.ropes:
        causal = opened(model, replace(how, rope=None if rope == "none" else rope))
        rows += _curves(causal, rope, words, chosen)
        notes += [note for note in (*causal.notes, *_limits(causal, chosen)) if note not in notes]
    notes.append("Intervals are 95 %: Student's over windows for losses, Wilson's over prompts for passkeys.")
    return Finding(CONTEXT, tuple(rows), tuple(notes), {"kaibo": __version__, "models": {os.fspath(model): None}})


def _limits(causal: Causal, chosen: ContextOptions) -> Iterator[str]:
    if _farthest(causal, chosen) < int(_trained(causal) * chosen.up_to):
        yield f"{causal.address}: its positions end at {_trained(causal):,}, so nothing is measured beyond"


def _trained(causal: Causal) -> int:
    if causal.trained is None:
        raise UsageError("does not say what length it was trained for", file=causal.address)
    return causal.trained


def _farthest(causal: Causal, chosen: ContextOptions) -> int:
    """Learned positions end where they end; angles go on."""
    rotary = causal.engine == "reference" or "rope_parameters" in causal.config or "rope_theta" in causal.config
    return int(_trained(causal) * (chosen.up_to if rotary else min(chosen.up_to, 1.0)))


def _curves(causal: Causal, rope: str, text: str, chosen: ContextOptions) -> list[ContextRow]:
    from kaibo.llama.reading import finds, passkeys, window_nats, windows_of

    tokenizer, trained, length = tokenizer_of(causal), _trained(causal), _farthest(causal, chosen)
    windows = windows_of(tokenizer.encode(text), length, chosen.windows)
    lengths = sorted({max(1, round(length * share)) for share in (0.125, 0.25, 0.5, 0.75, 1.0)})
    chosen.progress.begin(f"{causal.name} {rope}", windows.size + chosen.passkeys * sum(lengths))
    nats = window_nats(causal, windows, chosen.progress.advance)
    rows = loss_curve(causal.address, rope, nats, trained)
    for one in lengths if chosen.passkeys else ():
        found = []
        for prompt, answer in passkeys(tokenizer, one, chosen.passkeys, chosen.seed):
            found.append(finds(causal, prompt, answer))
            chosen.progress.advance(one)
        if found:  # none where the words of the prompt alone are longer
            rows.append(passkey_row(causal.address, rope, one, found, trained))
    return rows


def own_text() -> str:
    """Text that every CPython brings: the topics of its help, about 700 kB of English."""
    from pydoc_data import topics

    return "\n\n".join(topics.topics.values())


def read_text(path: Path) -> str:
    """A UTF-8 text. Raises MissingError, FormatError for other encodings with the offset, UsageError for no text."""
    text = reading.read_text(path, TEXT_LIMIT)
    if not text.strip():
        raise UsageError("holds no text", file=path)
    return text
