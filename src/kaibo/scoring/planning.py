"""Before anything is scored: texts as tokens, cut into windows, put into batches, under one hash of the settings."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, field

from kaibo.errors import FormatError, UsageError
from kaibo.scoring.batches import Job, batches
from kaibo.scoring.texts.texts import Document
from kaibo.scoring.texts.tokens import Encoded, Lead, Tokenizer
from kaibo.scoring.texts.windows import Window, Windowing, windows
from kaibo.vocabulary import Function, LogKey

SCORING_VERSION = 2
"""Raised when the same text would be scored otherwise under the same settings."""

WINDOW = 512
"""Tokens a window where the model's own context is longer and nothing else is asked."""


@dataclass(frozen=True)
class ScoreSettings:
    """How texts are scored.

    `window` tokens are read at once (default: the model's context, at most 512) and `stride` new ones scored in each
    (default: half the window); at least `context_min` tokens stand before each, those near a text's beginning aside.
    `bos` says whether a beginning-of-sequence token comes first, `dtype` in what the model computes, `rope` how its
    positions are scaled. `batch` tokens are read at a time (default: 1,024 on a CPU, which is no faster with more, else
    4,096); it changes no result beyond float32's last digits.
    With `prefetch` the next checkpoint is read from disk while one is scored: two are then in memory.
    """

    window: int | None = None
    stride: int | None = None
    context_min: int = 1
    bos: Lead = "auto"
    dtype: str = "float32"
    rope: str | None = None
    device: str = "cpu"
    batch: int | None = None
    prefetch: bool = False

    @property
    def at_once(self) -> int:
        """Tokens that are read at a time."""
        return self.batch or (1024 if self.device == "cpu" else 4096)


@dataclass(frozen=True)
class Plan:
    """What is to be scored with one tokenizer: texts, their tokens, their windows, and the batches of all windows.

    `lead` are the ids before a text. The batches are the same whatever the store already knows. `borrowed` says that
    transformers made the tokenizer.
    """

    documents: tuple[Document, ...]
    encoded: tuple[Encoded, ...] = field(repr=False)
    windows: tuple[tuple[Window, ...], ...] = field(repr=False)
    batches: tuple[tuple[Job, ...], ...] = field(repr=False)
    lead: tuple[int, ...]
    windowing: Windowing
    vocabulary: int
    tokenizer_hash: str
    settings_hash: str
    notes: tuple[str, ...] = ()
    borrowed: bool = False

    @property
    def tokens(self) -> int:
        """Tokens of all texts."""
        return sum(len(one) for one in self.encoded)

    @property
    def read(self) -> int:
        """Tokens that the model reads, those that windows share counted in each."""
        return sum(job.window.length for batch in self.batches for job in batch)

    def keys(self, function: Function) -> list[LogKey]:
        """What each text's log is kept under."""
        return [LogKey.of(function, one.hash, self.settings_hash) for one in self.documents]

    def first_ids(self, count: int = 16) -> tuple[int, ...]:
        """The ids that the model reads first, exactly."""
        first = next((one for one in self.encoded if len(one)), None)
        return self.lead + (() if first is None else tuple(first.ids[:count].tolist()))


def plan(tokenizer: Tokenizer, documents: Sequence[Document], settings: ScoreSettings, context: int | None) -> Plan:
    """The texts as one model with this tokenizer and context will read them; a text that comes twice comes once.

    Raises UsageError for windows that do not fit, FormatError where no text has a token to score.
    """
    once = tuple({document.hash: document for document in documents}.values())
    lead = tokenizer.lead(settings.bos)
    windowing = _windowing(settings, context)
    encoded = tuple(tokenizer.located(document) for document in once)
    cut = tuple(tuple(windows(len(one), windowing, bool(lead))) for one in encoded)
    jobs = [Job(at, place, window) for at, several in enumerate(cut) for place, window in enumerate(several)]
    if not any(len(one) + len(lead) > 1 for one in encoded):
        name = once[0].name if len(once) == 1 else f"{len(once)} texts"
        raise FormatError("holds no token that can be scored", file=name, next="give a longer text")
    return Plan(
        documents=once,
        encoded=encoded,
        windows=cut,
        batches=tuple(batches(jobs, settings.at_once, alike="dynamic" in (settings.rope or ""))),
        lead=lead,
        windowing=windowing,
        vocabulary=tokenizer.size,
        tokenizer_hash=tokenizer.hash,
        settings_hash=_hash(settings, windowing, lead),
        notes=(
            *tokenizer.notes(settings.bos, [one.text for one in once]),
            *_notes(documents, once, encoded, windowing, settings, context),
        ),
        borrowed=tokenizer.borrowed,
    )


def _windowing(settings: ScoreSettings, context: int | None) -> Windowing:
    """The windows that the settings and the model's context come to; a longer one than the context is refused."""
    if settings.window is not None and context is not None and settings.window > context and settings.rope is None:
        message = f"--window {settings.window} is longer than the model's context of {context} tokens"
        raise UsageError(message, next="give a shorter window, or --rope to scale the positions")
    window = settings.window or min(WINDOW, context or WINDOW)
    return Windowing(window, settings.stride or max(1, window // 2), settings.context_min)


def _hash(settings: ScoreSettings, windowing: Windowing, lead: tuple[int, ...]) -> str:
    """How the texts are cut and read: with the function that reads them, all that decides the numbers.

    Below float32 products are rounded so coarsely that what is read together shows in the result.
    """
    said = {
        "version": SCORING_VERSION,
        "window": windowing.context,
        "stride": windowing.stride,
        "lead": lead,
        "together": settings.at_once if settings.dtype != "float32" else None,
    }
    return hashlib.sha256(json.dumps(said, sort_keys=True).encode()).hexdigest()[:16]


def _notes(
    documents: Sequence[Document],
    once: Sequence[Document],
    encoded: Sequence[Encoded],
    windowing: Windowing,
    settings: ScoreSettings,
    context: int | None,
) -> list[str]:
    longest = max(len(one) for one in encoded)
    found = []
    if longest + 1 > windowing.context:
        found.append(
            f"texts longer than {windowing.context} tokens are read in windows of {windowing.context}, "
            f"{windowing.stride} new tokens each, with at least {windowing.context - windowing.stride} before them"
        )
    if len(once) < len(documents):
        found.append(f"{len(documents) - len(once)} texts are there twice and scored once")
    empty = [document.name for document, one in zip(once, encoded, strict=True) if not len(one)]
    if empty:
        found.append(f"{len(empty)} texts are empty ({empty[0]})")
    if any(document.skipped for document in once):
        found.append("a byte-order mark is left out; byte spans count from the file's first byte")
    return found
