"""How far a written answer agrees with those that count as right: exact match, numbers, F1, ROUGE.

Japanese is compared by character for F1 (as JSQuAD's own evaluation does) and, for ROUGE, by runs of one script:
kanji, hiragana, katakana, Latin letters, digits; every other mark stands alone. It is no morphological analysis; it
needs no dictionary and gives the same units everywhere. Other languages are compared by words.
"""

from __future__ import annotations

import re
import string
import unicodedata
from collections import Counter
from collections.abc import Callable, Mapping, Sequence

from kaibo.vocabulary.segments import RUNS

NUMBER = re.compile(r"-?[0-9][0-9,]*(?:\.[0-9]+)?")
ARTICLES = re.compile(r"\b(a|an|the)\b")
PUNCTUATION = str.maketrans("", "", string.punctuation)


def exact_match(text: str, wanted: Sequence[str], language: str) -> float:
    """1 where the text is one of the answers, white space around it aside."""
    return float(text.strip() in {one.strip() for one in wanted})


def exact_number(text: str, wanted: Sequence[str], language: str) -> float:
    """1 where the last number of the text is the one that is wanted.

    >>> exact_number("3 + 4 で、答えは７です。", ["7"], "ja")
    1.0
    """
    found = last_number(text)
    return float(found is not None and found in {last_number(one) for one in wanted})


def last_number(text: str) -> float | None:
    """The last number in a text, thousands' commas left out."""
    found = NUMBER.findall(unicodedata.normalize("NFKC", text))
    return float(found[-1].replace(",", "")) if found else None


def f1(text: str, wanted: Sequence[str], language: str) -> float:
    """The F1 of the best answer, over characters in Japanese, else over words without case, marks and articles.

    >>> f1("小笠原", ["小笠原諸島"], "ja"), f1("The cat!", ["a cat"], "en")
    (0.75, 1.0)
    """
    units = _characters if language == "ja" else _words
    return max((_overlap(Counter(units(text)), Counter(units(one))) for one in wanted), default=0.0)


def rouge1(text: str, wanted: Sequence[str], language: str) -> float:
    """ROUGE-1 as an F-measure (Lin 2004)."""
    return _rouge(text, wanted, language, 1)


def rouge2(text: str, wanted: Sequence[str], language: str) -> float:
    """ROUGE-2, over pairs of neighbours."""
    return _rouge(text, wanted, language, 2)


def rouge_l(text: str, wanted: Sequence[str], language: str) -> float:
    """ROUGE-L, over the longest common subsequence.

    >>> rouge_l("猫が好きです", ["猫が大好きです"], "ja")
    0.75
    """
    found = [_harmonic(_longest(a, b), len(a), len(b)) for a, b in _segmented(text, wanted, language)]
    return max(found, default=0.0)


AGREEMENT: Mapping[str, Callable[[str, Sequence[str], str], float]] = {
    "exact_match": exact_match,
    "exact_number": exact_number,
    "f1": f1,
    "rouge1": rouge1,
    "rouge2": rouge2,
    "rougeL": rouge_l,
}
"""Measures of what was written, by name."""


def segments(text: str, language: str) -> list[str]:
    """The units of ROUGE.

    >>> segments("東京タワーは333mです。", "ja")
    ['東京', 'タワー', 'は', '333', 'm', 'です', '。']
    """
    plain = unicodedata.normalize("NFKC", text)
    return RUNS.findall(plain) if language == "ja" else re.findall(r"[a-z0-9]+", plain.lower())


def _characters(text: str) -> list[str]:
    return [one for one in unicodedata.normalize("NFKC", text) if not one.isspace()]


def _words(text: str) -> list[str]:
    return ARTICLES.sub(" ", text.lower().translate(PUNCTUATION)).split()


def _overlap(one: Counter[str], other: Counter[str]) -> float:
    return _harmonic((one & other).total(), one.total(), other.total())


def _harmonic(common: int, one: int, other: int) -> float:
    return 2 * common / (one + other) if common else 0.0


def _segmented(text: str, wanted: Sequence[str], language: str) -> list[tuple[list[str], list[str]]]:
    own = segments(text, language)
    return [(own, segments(one, language)) for one in wanted]


def _rouge(text: str, wanted: Sequence[str], language: str, size: int) -> float:
    def grams(units: Sequence[str]) -> Counter[tuple[str, ...]]:
        return Counter(tuple(units[at : at + size]) for at in range(len(units) - size + 1))

    pairs = [(grams(a), grams(b)) for a, b in _segmented(text, wanted, language)]
    return max((_harmonic((a & b).total(), a.total(), b.total()) for a, b in pairs), default=0.0)


def _longest(one: Sequence[str], other: Sequence[str]) -> int:
    before = [0] * (len(other) + 1)
    for unit in one:
        row = [0]
        for at, theirs in enumerate(other):
            row.append(before[at] + 1 if unit == theirs else max(before[at + 1], row[-1]))
        before = row
    return before[-1]
