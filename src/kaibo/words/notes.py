"""A note: a key with values that reads as a sentence in English, and says the same in another language when asked."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache
from typing import Any

from kaibo.words.catalogue import everything, known, word


class Note(str):
    """An English sentence that knows its key and its values, so that any language can be made of it.

    It is text wherever text is wanted: in JSON, in a comparison, in a row.

    >>> note("left_out_axis", axis="tokens", names="Falcon").said("ja")
    'トークン が分からないため除いたモデル：Falcon'
    """

    key: str
    values: Mapping[str, Any]

    def said(self, language: str) -> str:
        """The sentence in a language; values that are notes themselves are said in it too."""
        return word(self.key, language, **{name: said(value, language) for name, value in self.values.items()})


def note(key: str, **values: Any) -> Note:
    """The note under `notes.KEY` of a word table, its {blanks} filled. Raises KeyError where no table has it."""
    full = key if known(key) else f"notes.{key}"
    made = Note(word(full, "en", **values))
    made.key, made.values = full, values
    return made


def said(value: Any, language: str) -> Any:
    """A value as it is said in a language: a note in its words, a sentence that the tables know, else as it is.

    >>> said("Only the tokens of the answer are counted, the same ones under every format.", "ja")[:12]
    '数えるのは応答のトークン'
    """
    if isinstance(value, Note):
        return value.said(language)
    return value if language == "en" or not isinstance(value, str) else _found(value, language)


LONGEST = 4_000
"""Characters of a sentence that is looked up; what is longer is shown as it came."""

DEEPEST = 8
"""How many `: ` of one sentence are taken for the names of what it is about."""


def _found(text: str, language: str, depth: int = 0) -> str:
    if len(text) > LONGEST:
        return text
    for key, pieces in _sentences():
        found = _filled(pieces, text)
        if found is not None:
            return word(key, language, **found)
    subject, colon, rest = text.partition(": ")  # what is said of a model or a tensor by name
    if colon and depth < DEEPEST:
        return f"{_found(subject, language, DEEPEST)}: {_found(rest, language, depth + 1)}"
    parts = text.split("; ")
    return "; ".join(_found(part, language, DEEPEST) for part in parts) if len(parts) > 1 else text


@cache
def _sentences() -> tuple[tuple[str, tuple[str, ...]], ...]:
    """Each English sentence of the tables cut at its blanks: text, blank's name, text, blank's name, …, text."""
    return tuple(
        (key, tuple(re.split(r"\{(\w+)\}", texts["en"])))
        for key, texts in everything().items()
        if key.startswith("notes.")
    )


def _filled(pieces: tuple[str, ...], text: str) -> dict[str, str] | None:
    """What stands in the blanks of a sentence, each as short as can be and never empty; None where it does not fit.

    Each text is looked for once, from left to right, so the work grows with the length of the sentence.
    """
    first, last = pieces[0], pieces[-1]
    if len(pieces) == 1:
        return {} if text == first else None
    if "\n" in text or not text.startswith(first) or not text.endswith(last):
        return None
    found: dict[str, str] = {}
    place, end = len(first), len(text) - len(last)
    for name, following in zip(pieces[1:-2:2], pieces[2:-1:2], strict=True):
        after = text.find(following, place + 1, end)
        if after < 0:
            return None
        found[name] = text[place:after]
        place = after + len(following)
    if end <= place:
        return None
    return {**found, pieces[-2]: text[place:end]}
