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
    'tokens が分からないため除いたモデル：Falcon'
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
    '数えたのは回答のトークン'
    """
    if isinstance(value, Note):
        return value.said(language)
    return value if language == "en" or not isinstance(value, str) else _found(value, language)


def _found(text: str, language: str) -> str:
    for key, pattern in _patterns():
        found = pattern.fullmatch(text)
        if found:
            return word(key, language, **found.groupdict())
    subject, colon, rest = text.partition(": ")  # what is said of a model or a tensor by name
    if colon:
        return f"{_found(subject, language)}: {_found(rest, language)}"
    parts = text.split("; ")
    return "; ".join(_found(part, language) for part in parts) if len(parts) > 1 else text


@cache
def _patterns() -> tuple[tuple[str, re.Pattern[str]], ...]:
    """Each English sentence of the tables as a pattern; a {blank} takes any text without a line's end."""
    return tuple(
        (key, re.compile(re.sub(r"\\{(\w+)\\}", r"(?P<\1>.+?)", re.escape(texts["en"]))))
        for key, texts in everything().items()
        if key.startswith("notes.")
    )
