"""Words of a text: what stands between white space, as perplexity per word has always counted them."""

from __future__ import annotations


def words(text: str, begin: int = 0) -> int:
    """How many words stand from a character on; a text in a language without spaces is one word a line or so.

    >>> words("a fine  day"), words("a fine  day", 2)
    (3, 2)
    """
    return len(text[begin:].split())
