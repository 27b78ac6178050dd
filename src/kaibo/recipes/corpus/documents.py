"""What every source of text makes, and numbers that are drawn the same way everywhere."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

T = TypeVar("T")

LANGUAGES = ("en", "ja")


@dataclass(frozen=True)
class Document:
    """One text: where it comes from (a name that stays the same), its language, the text itself."""

    source: str
    language: str
    text: str

    @property
    def size(self) -> int:
        """Its length in UTF-8 bytes."""
        return len(self.text.encode())


class Draws:
    """Random choices from a name, the same on every machine and in every Python.

    Only `random()` is used: Python promises its sequence for a seed, and nothing of the kind for `choice`.
    """

    def __init__(self, *name: object) -> None:
        self._random = random.Random("/".join(map(str, name)))

    def below(self, limit: int) -> int:
        """A whole number from 0 to `limit` − 1."""
        return int(self._random.random() * limit)

    def one(self, choices: Sequence[T]) -> T:
        """One of several."""
        return choices[self.below(len(choices))]

    def shuffled(self, items: Sequence[T]) -> list[T]:
        """All of them in a random order (Fisher–Yates)."""
        out = list(items)
        for last in range(len(out) - 1, 0, -1):
            other = self.below(last + 1)
            out[last], out[other] = out[other], out[last]
        return out
