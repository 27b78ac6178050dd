"""Which language a short text is in: by its script, and for Latin letters by the three-letter groups of English.

No model and no word list: it must say whether a Japanese or an English answer was given, not tell two hundred
languages apart.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

COMMON = (
    "the and ing ion tio ent ati for her ter hat tha ere ate his con res ver all ons nce men ith ted ers pro thi wit "
    "are ess not ive was ect rea com eve per int est sta cti ica ist ear ain one our iti rat ell ant str ort ure out "
    "oun you ort ght whi hic ich day hen ple ome can day day wee eek has ven had its ake use any but who how ove ild "
    "som sim mak oth ing wat ate ter fre eze zer deg gre ees mou unt nta rin pri war flo wer sun cat mam als mal ans"
)
"""Groups of three letters that English text is full of (frequent ones of any English text, and of everyday words)."""

_ENGLISH = frozenset(COMMON.split())
_KANA = re.compile(r"[\u3041-\u309f\u30a1-\u30ffｦ-ﾟ]")
_KANJI = re.compile(r"[\u3400-\u4dbf\u4e00-\u9fff々]")
_LATIN = re.compile(r"[A-Za-z]")
_WORD = re.compile(r"[A-Za-z']+")
SHORT = 12
"""Letters below which a text is judged by its script alone."""

MEANT = 0.2
"""The least share of letters in a longer answer; below it, or with broken characters, it is in no language."""

GROUPS = 0.12
"""The least share of common groups that a longer English text has; German and French text has about half of it."""


def languages() -> tuple[str, ...]:
    """The languages that can be told."""
    return tuple(JUDGES)


def language_of(prompt: str) -> str:
    """The language that a prompt is written in: Japanese where it holds kana, else English."""
    return "ja" if _KANA.search(prompt) else "en"


def answers_in(language: str, text: str) -> bool:
    """Whether a text is in the language; one without letters, or a single one such as `A`, contradicts none.

    >>> answers_in("ja", "富士山です。"), answers_in("ja", "It is Mount Fuji."), answers_in("ja", "A")
    (True, False, True)
    >>> answers_in("en", "It is Mount Fuji, the highest of the mountains in that country."), answers_in("en", "富士山")
    (True, False)
    """
    letters = len(_LATIN.findall(text)) + len(_KANA.findall(text)) + len(_KANJI.findall(text))
    if "\ufffd" in text or (len(text.strip()) >= SHORT and letters < MEANT * len(text.strip())):
        return False
    return letters < 2 or JUDGES[language](text, letters)


def _japanese(text: str, letters: int) -> bool:
    """Half of the letters or more are Japanese, and longer ones hold kana (Chinese has none)."""
    kana, kanji = len(_KANA.findall(text)), len(_KANJI.findall(text))
    return kana + kanji >= letters / 2 and (kana > 0 or letters < SHORT)


def _english(text: str, letters: int) -> bool:
    """Nine letters in ten are Latin, and longer texts hold the groups of English."""
    latin = len(_LATIN.findall(text))
    return latin >= 0.9 * letters and (letters < SHORT or groups(text) >= GROUPS)


def groups(text: str) -> float:
    """The share of a text's three-letter groups, inside words, that are common in English."""
    words = [word.lower() for word in _WORD.findall(text)]
    found = [word[place : place + 3] for word in words for place in range(len(word) - 2)]
    return sum(group in _ENGLISH for group in found) / len(found) if found else 0.0


JUDGES: Mapping[str, Callable[[str, int], bool]] = {"ja": _japanese, "en": _english}
