"""Rows of text as one long line of tokens, and the batches that are cut from it in order.

Texts follow each other, each between its <s> and </s>; a batch of b rows and length t takes the next b·t tokens. The
order is that of the files, so models that read the same data meet the same tokens at the same step.
"""

from __future__ import annotations

from typing import Any

import torch

from kaibo.errors import FormatError
from kaibo.recipes.rows.data import Rows
from kaibo.recipes.settings.schema import Recipe
from kaibo.recipes.vocabularies.tokenizers import BOS, EOS

BLOCK = 512
"""Texts that are cut into tokens at once."""


def token_stream(rows: Rows, tokenizer: Any, wanted: int | None, *, markup: bool = False) -> torch.Tensor:
    """The tokens of the texts in order, 64-bit integers; no more than `wanted` where so many are enough.

    With `markup` special tokens that are written in a text (`<|user|>`) are those tokens; else they are letters.
    """
    tokenizer.encode_special_tokens = not markup
    ends = [tokenizer.token_to_id(name) for name in ("<s>", "</s>")]
    begin, end = (known if known is not None else default for known, default in zip(ends, (BOS, EOS), strict=True))
    ids: list[int] = []
    for place in range(0, len(rows.rows), BLOCK):
        texts = [row["text"] for row in rows.rows[place : place + BLOCK]]
        for encoded in tokenizer.encode_batch(texts, add_special_tokens=False):
            ids += [begin, *encoded.ids, end]
        if wanted is not None and len(ids) >= wanted:
            break
    return torch.tensor(ids[:wanted])


def steps_of(recipe: Recipe, tokens: int) -> int:
    """Optimiser steps of a run: as the recipe says, else as many as its epochs of so many tokens take."""
    training = recipe.training
    return training.steps or max(1, int(training.epochs * (tokens - 1) // tokens_per_step(recipe)))


def tokens_per_step(recipe: Recipe) -> int:
    """Tokens that one optimiser step learns from."""
    return recipe.training.batch * recipe.training.accumulation * recipe.training.max_length


def tokens_wanted(recipe: Recipe) -> int | None:
    """How many tokens a run reads, where its recipe says so in steps."""
    return None if recipe.training.steps is None else recipe.training.steps * tokens_per_step(recipe) + 1


def batch(stream: torch.Tensor, number: int, rows: int, length: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Batch `number` (from 0): ids and the tokens after them, each (rows, length); the end meets the beginning."""
    begin = number * rows * length
    places = torch.arange(begin, begin + rows * length + 1) % len(stream)
    taken = stream[places]
    return taken[:-1].view(rows, length), taken[1:].view(rows, length)


def check_length(stream: torch.Tensor, recipe: Recipe) -> None:
    """Raises FormatError for data too short for a single row."""
    if len(stream) <= recipe.training.max_length:
        message = f"holds {len(stream)} tokens, fewer than a row of {recipe.training.max_length}"
        raise FormatError(
            message, file=", ".join(recipe.data.files), next="give more text or lower training.max_length"
        )
