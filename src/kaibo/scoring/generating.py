"""Answers that a model writes itself, greedily: what all prompts begin with is read once, then each goes on alone."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from kaibo.errors import FormatError
from kaibo.llama import Causal, Written
from kaibo.scoring.prompts import Answer, Prompted


def write_answers(
    model: Causal,
    prompts: Sequence[Prompted],
    max_tokens: int,
    stop: Sequence[str],
    known: frozenset[int] = frozenset(),
) -> Iterator[Answer]:
    """The answers to all prompts whose item is not `known`, in their order.

    Raises FormatError where the model's logits are not numbers, UsageError for ids that it has no row for.
    """
    asked = [one for one in prompts if one.item not in known]
    for one in asked:
        model.check_ids(torch.from_numpy(one.ids))
    shared = _shared([one.ids for one in prompts])
    cache: Any = None
    for one in asked:
        if cache is None or not _cropped(cache, shared):
            cache = model.runs.new_cache(1, shared + 1024)
            _states(model, one.ids[:shared], cache)
        yield _answer(model, one, shared, cache, max_tokens, stop)


def _shared(rows: Sequence[NDArray[np.int64]]) -> int:
    """How many ids all prompts begin with, at least one of each left to be read."""
    if not rows:
        return 0
    longest = min(len(one) for one in rows) - 1
    for one in rows[1:]:
        differ = np.flatnonzero(one[:longest] != rows[0][:longest])
        longest = int(differ[0]) if len(differ) else longest
    return longest


def _cropped(cache: Any, length: int) -> bool:
    """Whether a cache could forget what came after the prefix; some kinds cannot, and are filled anew."""
    try:
        cache.crop(length)
    except (ValueError, RuntimeError, NotImplementedError, AttributeError, TypeError):
        return False
    return bool(cache.length == length)


@torch.inference_mode()
def _states(model: Causal, ids: NDArray[np.int64], cache: Any) -> torch.Tensor | None:
    if not len(ids):
        return None
    found: torch.Tensor = model.runs.states(torch.from_numpy(ids)[None].to(model.device), cache=cache)[0, -1:]
    return found


@torch.inference_mode()
def _answer(model: Causal, asked: Prompted, shared: int, cache: Any, max_tokens: int, stop: Sequence[str]) -> Answer:
    written = Written(model.tokenizer, stop)
    states = _states(model, asked.ids[shared:], cache)
    ids: list[int] = []
    nats: list[float] = []
    while states is not None:
        logits = model.runs.logits(states)[0].float()
        top = logits.max(0)
        nats.append(float(logits.logsumexp(0) - top.values))
        ids.append(int(top.indices))
        if not np.isfinite(nats[-1]):
            raise FormatError("gives logits that are not numbers; it is not evaluated", file=model.address)
        if ids[-1] in model.ends or written.add(ids[-1]) or len(ids) == max_tokens:
            break
        states = _states(model, np.array(ids[-1:], np.int64), cache)
    return Answer(asked, np.array(ids, np.int64), np.array(nats, np.float32))
