"""Prompts and answers as ids in, the nats of each answer out."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from kaibo.llama import Causal
from kaibo.scoring.exams.answering import answers
from kaibo.scoring.exams.requests import Request

BATCH = 2048
"""Tokens that are read together."""


def answer_nats(model: Causal, asked: Sequence[tuple[Sequence[int], Sequence[int]]]) -> list[NDArray[np.float64]]:
    """−ln p of every token of each answer, given its prompt; `asked` are (prompt, answer) as ids.

    Raises UsageError for ids outside the vocabulary, FormatError where the model's logits are not numbers. A prompt
    has at least one token, an answer too.
    """
    requests = [_request(place, *one) for place, one in enumerate(asked)]
    found: dict[int, NDArray[np.float64]] = {}
    for pack in answers(model, requests, BATCH):
        for one in pack:
            found[one.request.item] = one.nats.astype(np.float64)
    return [found[place] for place in range(len(asked))]


def _request(place: int, prompt: Sequence[int], answer: Sequence[int]) -> Request:
    nowhere = np.zeros((len(answer), 2), np.int64)  # of tokens that are added up, nobody asks where they stand
    return Request(place, 0, np.array([*prompt, *answer], np.int64), len(answer), nowhere, nowhere)
