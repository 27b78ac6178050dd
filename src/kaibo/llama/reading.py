"""Texts under a model: nats by position, and whether it finds a number that was hidden in a long prompt."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from kaibo.errors import UsageError
from kaibo.llama.engines.causal import Causal
from kaibo.llama.loss import chunk_rows
from kaibo.llama.tokens import Tokenizer

Nats = NDArray[np.float32]

FILLER = "The grass is green. The sky is blue. The sun is yellow. Here we go. There and back again. "
BEGIN = "There is important info hidden inside a lot of irrelevant text. Find it and memorize it. "
HIDDEN = "The pass key is {key}. Remember it. {key} is the pass key. "
ASKED = "What is the pass key? The pass key is"
"""The prompt of Mohtashami and Jaggi 2023 (arXiv 2305.16300), appendix: a key among sentences that say nothing."""


@torch.inference_mode()
def window_nats(model: Causal, windows: NDArray[np.int64], done: Callable[[int], None] | None = None) -> Nats:
    """Nats of every token but the first of each window: (n, length) ids → (n, length − 1).

    Each window is read by itself, its logits a few rows at a time; `done` is told how many tokens were read.
    Positions may lie beyond the model's context. Raises UsageError for ids outside the vocabulary.
    """
    found = np.empty((len(windows), windows.shape[1] - 1), np.float32)
    rows = chunk_rows(model.vocabulary)
    for place, window in enumerate(windows):
        ids = torch.from_numpy(window)[None].to(model.device)
        model.check_ids(ids)
        states, targets = model.runs.states(ids)[:, :-1], ids[0, 1:]
        for begin in range(0, len(targets), rows):
            logits = model.runs.logits(states[:, begin : begin + rows])[0].float()
            wanted = logits.gather(1, targets[begin : begin + rows, None])[:, 0]
            found[place, begin : begin + rows] = (logits.logsumexp(1) - wanted).cpu().numpy()
        if done is not None:
            done(windows.shape[1])
    return found


def windows_of(ids: Sequence[int], length: int, most: int) -> NDArray[np.int64]:
    """The first `most` windows of `length` ids, side by side. Raises UsageError where there are not two."""
    count = min(most, len(ids) // length)
    if count < 2:
        message = f"the text has {len(ids):,} tokens, two windows of {length:,} are the least"
        raise UsageError(message, next="give a longer text, or a smaller --up-to")
    return np.asarray(ids[: count * length], np.int64).reshape(count, length)


def passkeys(tokenizer: Tokenizer, length: int, count: int, seed: int) -> Iterator[tuple[list[int], list[int]]]:
    """`count` prompts of about `length` tokens and the ids of their keys, each key at another depth."""
    drawn = random.Random(seed)
    for place in range(count):
        key = str(drawn.randrange(10_000, 100_000))
        hidden = tokenizer.encode(HIDDEN.format(key=key), begin=False)
        begin, asked = tokenizer.encode(BEGIN), tokenizer.encode(ASKED, begin=False)
        answer = tokenizer.encode(f"{ASKED} {key}", begin=False)[len(asked) :]
        room = length - len(begin) - len(hidden) - len(asked) - len(answer)
        filler = tokenizer.encode(FILLER, begin=False)
        if room < 0 or not answer:
            continue
        around = (filler * (room // len(filler) + 1))[:room]
        depth = round(room * (place + 0.5) / count)
        yield [*begin, *around[:depth], *hidden, *around[depth:], *asked], answer


@torch.inference_mode()
def finds(model: Causal, prompt: Sequence[int], answer: Sequence[int]) -> bool:
    """Whether greedy decoding would write the answer: each of its tokens is the likeliest after those before it."""
    ids = torch.tensor([[*prompt, *answer]], device=model.device)
    model.check_ids(ids)
    states = model.runs.states(ids)[:, len(prompt) - 1 : -1]
    likeliest = model.runs.logits(states)[0].argmax(1)
    return bool(torch.equal(likeliest, ids[0, len(prompt) :]))
