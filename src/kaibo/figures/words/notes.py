"""Notes and remarks in the reader's language: they arrive as English sentences with numbers in them."""

from __future__ import annotations

import re
from functools import cache

from kaibo.figures.words.catalogue import catalogue, word


def note(text: str, language: str = "en") -> str:
    """The sentence in `language`, or as it came where the word tables do not know it.

    >>> note("The head is the embedding used again (tied), and is counted once.", "ja")
    'head は embedding を再利用しているので（共有）、1 度だけ数えています。'
    """
    if language == "en":
        return text
    for key, pattern in _patterns():
        found = pattern.fullmatch(text)
        if found:
            return word(key, language, **found.groupdict())
    subject, colon, said = text.partition(": ")  # what is said of a model or a tensor by name
    if colon:
        return f"{note(subject, language)}: {note(said, language)}"
    parts = text.split("; ")
    return "; ".join(note(part, language) for part in parts) if len(parts) > 1 else text


@cache
def _patterns() -> tuple[tuple[str, re.Pattern[str]], ...]:
    """Each English sentence of the tables as a pattern; a {blank} takes any text without a line's end."""
    return tuple(
        (key, re.compile(re.sub(r"\\{(\w+)\\}", r"(?P<\1>.+?)", re.escape(text))))
        for key, text in catalogue("en").items()
        if key.startswith("notes.")
    )
