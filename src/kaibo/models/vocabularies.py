"""A tokenizer's vocabulary, read as data: which row of the embedding each token has. No tokenizer is run."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from typing import Any

from kaibo.errors import KaiboError
from kaibo.models.opening import target_of
from kaibo.models.places.folder import LocalFile

LIMIT = 1 << 27
"""Bytes of a tokenizer's file that are read at most."""


def vocabulary_of(address: str) -> dict[str, int] | None:
    """Token → row, from `tokenizer.json`, else `vocab.json`, else `vocab.txt`, with the added tokens.

    None where there is no such file or none that can be understood.
    """
    for name, read in (("tokenizer.json", _tokenizer), ("vocab.json", _plain), ("vocab.txt", _lines)):
        raw = _bytes(address, name)
        try:
            found = read(raw) if raw is not None else None
        except (ValueError, RecursionError, AttributeError, TypeError, LookupError):
            continue
        if found:
            return found
    return None


def _bytes(address: str, name: str) -> bytes | None:
    try:
        target = target_of(address, weights=False)
        real = target.inside(name)
        if not os.path.lexists(real):
            return None
        file = LocalFile(os.path.join(target.root, name), name=target.path(name), real=real)
        return file.read(0, file.size) if file.size <= LIMIT else None
    except KaiboError:
        return None


def _tokenizer(raw: bytes) -> dict[str, int]:
    document: Any = json.loads(raw.decode("utf-8-sig"))
    vocabulary = document["model"]["vocab"]
    if isinstance(vocabulary, list):  # a unigram model lists [token, score]
        vocabulary = {entry[0]: row for row, entry in enumerate(vocabulary)}
    added = {entry["content"]: entry["id"] for entry in document.get("added_tokens") or ()}
    return _rows({**vocabulary, **added})


def _plain(raw: bytes) -> dict[str, int]:
    return _rows(json.loads(raw.decode("utf-8-sig")))


def _lines(raw: bytes) -> dict[str, int]:
    return {line: row for row, line in enumerate(raw.decode("utf-8").splitlines())}


def _rows(vocabulary: Mapping[str, Any]) -> dict[str, int]:
    """Only what is a token with a row; a stranger's file may hold anything."""
    return {token: row for token, row in vocabulary.items() if type(row) is int and row >= 0}
