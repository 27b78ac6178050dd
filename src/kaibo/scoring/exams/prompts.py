"""Prompts after which a model writes, as ids, and what it wrote as text."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from kaibo.scoring.exams.prompting import Question
from kaibo.scoring.exams.requests import Refused
from kaibo.scoring.texts.tokens import Tokenizer


@dataclass(frozen=True, eq=False)
class Prompted:
    """A prompt as ids; `item` says which question it is."""

    item: int
    ids: NDArray[np.int64] = field(repr=False)


@dataclass(frozen=True, eq=False)
class Answer:
    """What was written: its ids, the last of them the end that came (where one did), and −ln p of each."""

    prompted: Prompted
    ids: NDArray[np.int64]
    nats: NDArray[np.float32] = field(repr=False)


def prompts_of(
    tokenizer: Tokenizer, questions: Sequence[Question], context: int | None, max_tokens: int
) -> tuple[list[Prompted], list[Refused]]:
    """The prompts of questions, and those that leave no room for an answer of `max_tokens`."""
    backend = tokenizer.backend
    found: list[Prompted] = []
    refused: list[Refused] = []
    encoded = backend.encode_batch_fast([one.contexts[0] for one in questions])
    for question, one in zip(questions, encoded, strict=True):
        length = len(one.ids)
        if not length or (context is not None and length + max_tokens > context):
            why = f"{length} tokens of prompt and {max_tokens} to write, the model's context is {context}"
            refused.append(Refused(question.item, question.id, why if length else "the prompt has no token"))
        else:
            found.append(Prompted(question.item, np.array(one.ids, np.int64)))
    return found, refused


def text_of(tokenizer: Tokenizer, ids: Sequence[int], stop: Sequence[str], ends: frozenset[int]) -> str:
    """The text of an answer's ids, cut at the first stop text."""
    kept = list(ids[:-1]) if ids and ids[-1] in ends else list(ids)
    text = tokenizer.decode(kept)
    for one in stop:
        text = text.split(one)[0]
    return text
