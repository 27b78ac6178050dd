"""Contexts and endings as token ids, cut where EleutherAI's harness cuts them.

Both are encoded together and the ending begins where the encoded context ends: spaces at the end of the context go to
the ending first, and a token that covers the boundary counts by its place, so what merges with the context's last
token is scored with it. An empty context is the tokenizer's first token (or its last, where it has no first).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kaibo.scoring.exams.prompting import Question
from kaibo.scoring.texts.texts import Document
from kaibo.scoring.texts.tokens import Tokenizer, byte_spans


@dataclass(frozen=True, eq=False)
class Request:
    """The ids of a context and its ending, of which the last `scored` are scored.

    `item` and `branch` say which question and which option; `characters` and `bytes` (scored, 2) where the scored
    tokens stand in context and ending together.
    """

    item: int
    branch: int
    ids: NDArray[np.int64] = field(repr=False)
    scored: int
    characters: NDArray[np.int64] = field(repr=False)
    bytes: NDArray[np.int64] = field(repr=False)

    @property
    def first(self) -> int:
        """The place of the first scored token; at least 1."""
        return len(self.ids) - self.scored

    @property
    def read(self) -> int:
        """Tokens that the model reads: all but the last."""
        return len(self.ids) - 1


@dataclass(frozen=True, eq=False)
class Scored:
    """The scored tokens of one request: −ln p of each, and what the model itself would have written there."""

    request: Request
    nats: NDArray[np.float32] = field(repr=False)
    best: NDArray[np.int64] = field(repr=False)
    best_nats: NDArray[np.float32] = field(repr=False)


@dataclass(frozen=True)
class Refused:
    """A question that is not asked, and why."""

    item: int
    id: str
    why: str


def requests_of(
    tokenizer: Tokenizer, questions: Sequence[Question], context: int | None
) -> tuple[list[Request], list[Refused]]:
    """The requests of questions with options, and the questions that cannot be asked: nothing is cut in silence."""
    pairs = [pair for one in questions for pair in zip(one.contexts, one.endings, strict=True)]
    encoded = iter(encode_pairs(tokenizer, pairs))
    found: list[Request] = []
    refused: list[Refused] = []
    for question in questions:
        own = [Request(question.item, branch, *next(encoded)) for branch in range(len(question.endings))]
        why = next((reason for one in own if (reason := _why_not(one, context))), None)
        if why is None:
            found += own
        else:
            refused.append(Refused(question.item, question.id, why))
    return found, refused


def _why_not(request: Request, context: int | None) -> str | None:
    if request.scored < 1:
        return f"option {request.branch} has no token of its own after the prompt"
    if context is not None and request.read > context:
        return f"{request.read} tokens, the model's context is {context}"
    return None


Encoded = tuple[NDArray[np.int64], int, NDArray[np.int64], NDArray[np.int64]]
"""Ids, how many of them are scored, and their spans in characters and bytes."""


def encode_pairs(
    tokenizer: Tokenizer, pairs: Sequence[tuple[str, str]], has_bos: Callable[[str], bool] | None = None
) -> list[Encoded]:
    """Each (context, ending) as ids; each context is encoded once, however many endings it has.

    `has_bos` says of a text that it brings its first token itself, so that none is put before it.
    """
    if has_bos is not None and any(has_bos(context) for context, _ in pairs if context):
        return [one for pair in pairs for one in _encoded(tokenizer, [pair], not (pair[0] and has_bos(pair[0])))]
    return _encoded(tokenizer, pairs, True)


def _encoded(tokenizer: Tokenizer, pairs: Sequence[tuple[str, str]], begin: bool) -> list[Encoded]:
    moved = [_moved(context, ending) for context, ending in pairs]
    backend = tokenizer.backend
    contexts = list(dict.fromkeys(context for context, _ in moved if context))
    lengths = {
        text: len(one.ids)
        for text, one in zip(contexts, backend.encode_batch_fast(contexts, add_special_tokens=begin), strict=True)
    }
    wholes = backend.encode_batch([context + ending for context, ending in moved if context], add_special_tokens=begin)
    given = iter(wholes)
    first = tokenizer.bos if tokenizer.bos is not None else tokenizer.eos
    return [
        _cut(next(given), context + ending, lengths[context])
        if context
        else _unled(backend.encode(ending, add_special_tokens=False), ending, first)
        for context, ending in moved
    ]


def _moved(context: str, ending: str) -> tuple[str, str]:
    """Spaces at the end of the context begin the ending."""
    bare = context.rstrip()
    return bare, context[len(bare) :] + ending


def _cut(encoded: Any, text: str, begin: int) -> Encoded:
    ids = np.array(encoded.ids, np.int64)
    scored = max(len(ids) - begin, 0)
    return ids, scored, *_spans(encoded, text, len(ids) - scored)


def _unled(encoded: Any, text: str, first: int | None) -> Encoded:
    """An ending alone: the first token stands before it, unless it begins with that token itself."""
    ids = list(encoded.ids)
    led = ids if first is None or ids[:1] == [first] else [first, *ids]
    characters, data = _spans(encoded, text, len(ids) - (len(led) - 1) if ids else 0)
    return np.array(led, np.int64), max(len(led) - 1, 0), characters, data


def _spans(encoded: Any, text: str, begin: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Where the tokens from `begin` on stand, in characters and bytes of the whole text."""
    characters = np.array(encoded.offsets[begin:], np.int64).reshape(-1, 2)
    if not len(characters):
        return characters, characters
    start = int(characters[0, 0])
    tail = Document("", text[start:], len(text[:start].encode()))
    return characters, byte_spans(tail, encoded.tokens[begin:], characters - start)
