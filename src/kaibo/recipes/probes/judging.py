"""Answers in, counts out: was it the language asked for, did it end, does it go round in circles, are tags in it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from kaibo.recipes.probes.languages import answers_in
from kaibo.uncertainty.intervals import wilson

TAGS = re.compile(
    r"<\|[\w-]{1,40}\|>|\[/?INST\]|<</?SYS>>|</?(?:start|end)_of_turn>|</?s>|<(?:bos|eos|pad|unk)>"
    r"|^#{2,3} ?(?:Instruction|Input|Response|Human|Assistant|指示|入力|応答)\b|\[/?(?:PYTHON|TOOL_CALLS)\]",
    re.MULTILINE | re.IGNORECASE,
)
"""Tags of the templates in use: ChatML, Llama 2 and 3, Mistral, Gemma, Alpaca; special tokens are told as well."""

ORDER = 4
"""Tokens of the groups whose repeats are counted."""

LONG = 16
"""Groups that an answer must have before it can go round in circles."""

LIMITS = {"language": 0.5, "stopped": 0.5, "repeated": 0.5, "leaked": 0.5, "empty": 0.5}
"""A model answers where at least half of its answers are in the language, at least half end by themselves, and at
most half repeat themselves, leak tags or are empty."""


@dataclass(frozen=True)
class Reply:
    """One answer: the prompt, the language it was asked in, tokens, text with and without special tokens, its end."""

    prompt: str
    asked: str
    tokens: tuple[int, ...]
    text: str
    raw: str
    stopped: bool


@dataclass(frozen=True)
class ProbeRow:
    """What a model does with `n` prompts in one language, as shares with 95 % intervals (Wilson 1927).

    `language`: answers in the language `asked`; `stopped`: ended before `max_tokens`; `repeated`: more than half of
    the groups of four tokens came before; `leaked`: tags of a template in the text; `empty`: nothing but white space.
    `answers` is False where a share is on the wrong side of one half; `faults` names those.
    """

    model: str
    asked: str
    n: int
    language: float
    language_low: float
    language_high: float
    stopped: float
    stopped_low: float
    stopped_high: float
    repeated: float
    repeated_low: float
    repeated_high: float
    leaked: float
    leaked_low: float
    leaked_high: float
    empty: float
    empty_low: float
    empty_high: float
    answers: bool
    faults: tuple[str, ...] = ()
    why: dict[str, str] = field(default_factory=dict)


def judged(model: str, replies: Sequence[Reply]) -> tuple[ProbeRow, ...]:
    """A row for each language that was asked in, in alphabetical order."""
    languages = sorted({reply.asked for reply in replies})
    return tuple(_row(model, asked, [reply for reply in replies if reply.asked == asked]) for asked in languages)


def _row(model: str, asked: str, replies: Sequence[Reply]) -> ProbeRow:
    n = len(replies)
    counts = {
        "language": sum(not empty(reply) and answers_in(asked, reply.text) for reply in replies),
        "stopped": sum(reply.stopped for reply in replies),
        "repeated": sum(repeats(reply.tokens) for reply in replies),
        "leaked": sum(leaks(reply) for reply in replies),
        "empty": sum(empty(reply) for reply in replies),
    }
    shares: dict[str, Any] = {name: count / n for name, count in counts.items()}
    good = ("language", "stopped")
    faults = tuple(
        name for name, share in shares.items() if (share < LIMITS[name] if name in good else share > LIMITS[name])
    )
    spread = {name: wilson(count / n, n) for name, count in counts.items()}
    bounds: dict[str, Any] = {
        f"{name}_{end}": spread[name][place] for name in counts for place, end in enumerate(("low", "high"))
    }
    return ProbeRow(model=model, asked=asked, n=n, **shares, **bounds, answers=not faults, faults=faults)


def empty(reply: Reply) -> bool:
    """Whether nothing was said."""
    return not reply.text.strip()


def repeats(tokens: Sequence[int]) -> bool:
    """Whether more than half of the groups of four tokens came before in the same answer.

    >>> repeats([1, 2] * 40), repeats(range(80)), repeats([1] * 5)
    (True, False, False)
    """
    groups = [tuple(tokens[place : place + ORDER]) for place in range(len(tokens) - ORDER + 1)]
    return len(groups) >= LONG and len(set(groups)) < len(groups) / 2


def leaks(reply: Reply) -> bool:
    """Whether tags of a template, or special tokens other than the one that ended it, stand in the answer."""
    return bool(TAGS.search(reply.raw))
