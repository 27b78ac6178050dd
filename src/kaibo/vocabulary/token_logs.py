"""What a checkpoint thought of every token of a text: one log, a row a token."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from kaibo.vocabulary.functions import Function


@dataclass(frozen=True)
class LogKey:
    """What a log is kept under: the model and what it does, its tokenizer, the text, and how the text was cut.

    All are hashes, so that no model is ever given another's scores. `function_id` alone tells models apart (see
    `Function`); `model_id` and `tokenizer_hash` are kept beside it so that logs can be asked for by them.
    """

    model_id: str
    function_id: str
    tokenizer_hash: str
    text_hash: str
    settings_hash: str

    @property
    def hash(self) -> str:
        """32 hex digits of SHA-256 over all of them.

        >>> len(LogKey("a", "b", "c", "d", "e").hash)
        32
        """
        return hashlib.sha256("\0".join(vars(self).values()).encode()).hexdigest()[:32]

    @classmethod
    def of(cls, function: Function, text_hash: str, settings_hash: str) -> LogKey:
        """The key of a text under a model, read as the settings say."""
        return cls(function.model_id, function.function_id, function.tokenizer_hash, text_hash, settings_hash)


@dataclass(frozen=True, eq=False)
class TokenLog:
    """The tokens of one document under one model, in order of `item`, `branch` and `position`.

    Arrays of one entry a token: `item` and `branch` say which question and which option a token belongs to (−1 in a
    plain text), `window` in which window it was scored, `position` its place in the text; `characters` and `bytes`
    (tokens, 2) are its span in the original text. `nats` is −ln p given the `context_length` tokens before it in
    its window; NaN for a token that was not scored.
    """

    key: LogKey
    document: str
    item: NDArray[np.int32] = field(repr=False)
    branch: NDArray[np.int32] = field(repr=False)
    window: NDArray[np.int32] = field(repr=False)
    position: NDArray[np.int64] = field(repr=False)
    token_id: NDArray[np.int32] = field(repr=False)
    characters: NDArray[np.int64] = field(repr=False)
    bytes: NDArray[np.int64] = field(repr=False)
    nats: NDArray[np.float32] = field(repr=False)
    context_length: NDArray[np.int32] = field(repr=False)

    def __len__(self) -> int:
        return len(self.nats)

    @property
    def scored(self) -> NDArray[np.bool_]:
        """Which tokens were scored."""
        return ~np.isnan(self.nats)

    def taken(self, rows: NDArray[np.int64] | NDArray[np.bool_]) -> TokenLog:
        """Some of the tokens."""
        return TokenLog(self.key, self.document, **{name: getattr(self, name)[rows] for name in ARRAYS})


ARRAYS = ("item", "branch", "window", "position", "token_id", "characters", "bytes", "nats", "context_length")
"""The fields of a log that have an entry for every token."""


def joined_logs(logs: list[TokenLog]) -> TokenLog:
    """Parts of one log as one, in the order of their tokens."""
    whole = {name: np.concatenate([getattr(log, name) for log in logs]) for name in ARRAYS}
    order = np.lexsort((whole["position"], whole["branch"], whole["item"]))
    return TokenLog(logs[0].key, logs[0].document, **{name: array[order] for name, array in whole.items()})


def no_tokens(key: LogKey, document: str) -> TokenLog:
    """The log of a text without tokens.

    >>> len(no_tokens(LogKey("a", "b", "c", "d", "e"), "empty.txt"))
    0
    """
    none, spans = np.zeros(0, np.int32), np.zeros((0, 2), np.int64)
    nats = np.zeros(0, np.float32)
    return TokenLog(key, document, none, none, none, spans[:, 0], none, spans, spans, nats, none)
