"""Notes and remarks in the reader's language: they arrive as English sentences with numbers in them."""

from __future__ import annotations

import re
from functools import cache

from kaibo.figures.words.catalogue import catalogue, word

LONGEST = 4_000
"""Characters of a note that is looked up; what is longer is shown as it came."""

DEEPEST = 8
"""How many `: ` of one note are taken for the names of what it is about."""


def note(text: str, language: str = "en", depth: int = 0) -> str:
    """The sentence in `language`, or as it came where the word tables do not know it.

    >>> note("The head is the embedding used again (tied), and is counted once.", "ja")
    'head は embedding を再利用しているので（共有）、1 度だけ数えています。'
    """
    if language == "en" or len(text) > LONGEST:
        return text
    for key, pieces in _sentences():
        found = _filled(pieces, text)
        if found is not None:
            return word(key, language, **found)
    subject, colon, said = text.partition(": ")  # what is said of a model or a tensor by name
    if colon and depth < DEEPEST:
        return f"{note(subject, language, DEEPEST)}: {note(said, language, depth + 1)}"
    parts = text.split("; ")
    return "; ".join(note(part, language, DEEPEST) for part in parts) if len(parts) > 1 else text


@cache
def _sentences() -> tuple[tuple[str, tuple[str, ...]], ...]:
    """Each English sentence of the tables cut at its blanks: text, blank's name, text, blank's name, …, text."""
    return tuple(
        (key, tuple(re.split(r"\{(\w+)\}", text))) for key, text in catalogue("en").items() if key.startswith("notes.")
    )


def _filled(pieces: tuple[str, ...], text: str) -> dict[str, str] | None:
    """What stands in the blanks of a sentence, each as short as can be and never empty; None where it does not fit.

    Each text is looked for once, from left to right, so the work grows with the length of the note.
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
