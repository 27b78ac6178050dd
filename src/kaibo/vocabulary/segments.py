"""Words of a text, in languages with spaces and in Japanese: where each begins and ends.

Between white space stands a word; where it holds kanji or kana, its runs of one script are words of their own: kanji,
hiragana, katakana, Latin letters, digits; every other mark stands alone. That is no morphological analysis; it needs
no dictionary and gives the same units everywhere.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

RUNS = re.compile(r"[一-鿿㐀-䶿々〆ヶ]+|[ぁ-ゖゝゞ]+|[ァ-ヺー-ヿ]+|[A-Za-z]+|[0-9]+|\S")
JAPANESE = re.compile(r"[一-鿿㐀-䶿々〆ぁ-ゖゝゞァ-ヺー-ヿ]")
SPACED = re.compile(r"\S+")

UNBROKEN = 40
"""Characters without a space that are more than a word in any language that writes spaces."""


def word_spans(text: str) -> Iterator[tuple[int, int]]:
    """Where each word begins and ends, in characters.

    >>> text = "a naïve day、東京タワーは333m。"
    >>> [text[begin:end] for begin, end in word_spans(text)]
    ['a', 'naïve', 'day', '、', '東京', 'タワー', 'は', '333', 'm', '。']
    """
    for piece in SPACED.finditer(text):
        if JAPANESE.search(piece[0]) is None:
            yield piece.span()
        else:
            yield from (run.span() for run in RUNS.finditer(text, piece.start(), piece.end()))


def has_words(text: str) -> bool:
    """Whether a text can be cut into words like this: false where most of it runs on without a space, as in Thai.

    >>> has_words("a fine day"), has_words("ภาษาไทยเขียนติดกัน" * 4)
    (True, False)
    """
    lengths = [end - begin for begin, end in word_spans(text)]
    return 2 * sum(length for length in lengths if length > UNBROKEN) <= sum(lengths)
