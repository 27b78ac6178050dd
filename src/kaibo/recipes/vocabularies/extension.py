"""A model with a larger vocabulary: a new token begins as the mean of the tokens that spelled it before.

So the model understands a new token about as well as its pieces; with random rows it would have to forget first.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import torch

from kaibo.errors import UsageError
from kaibo.llama import Llama


def extended(model: Llama, old: Any, new: Any) -> Llama:
    """The model with a row for every token of `new`, whose first tokens are those of `old`.

    Raises UsageError where the tokenizers disagree on a token they share.
    """
    pieces = pieces_of(old, new, model.config.vocabulary)
    config = replace(model.config, vocabulary=max(new.get_vocab_size(), model.config.vocabulary))
    grown = Llama(config)
    weights = dict(model.named_parameters())
    with torch.no_grad():
        for name, weight in grown.named_parameters():
            if weight.shape == weights[name].shape:
                weight.copy_(weights[name])
            else:
                weight.copy_(_rows(weights[name], pieces))
    return grown


def pieces_of(old: Any, new: Any, rows: int) -> list[list[int]]:
    """For every new token, in the order of its id from `rows` on, the ids of the old tokens that spell it."""
    known = old.get_vocab()
    added = sorted((number, token) for token, number in new.get_vocab().items() if token not in known)
    if any(new.token_to_id(token) != number for token, number in known.items()):
        raise UsageError("the new tokenizer gives known tokens other ids", next="extend the base's own tokenizer")
    if [number for number, _ in added] != list(range(rows, rows + len(added))):
        raise UsageError(
            "the new tokens do not follow the rows of the embedding", next="extend the base's own tokenizer"
        )
    return [[token.id for token in old.model.tokenize(spelled)] for _, spelled in added]


def _rows(weight: torch.Tensor, pieces: list[list[int]]) -> torch.Tensor:
    means = [weight[torch.tensor(ids)].float().mean(0) for ids in pieces]
    return torch.cat([weight, torch.stack(means).to(weight.dtype)])
