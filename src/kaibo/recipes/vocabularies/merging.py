"""More merges for a tokenizer that has some: byte-pair encoding (Sennrich et al. 2016) taken up where it ended."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from itertools import pairwise
from typing import Any

Pair = tuple[str, str]


def further_merges(base: Any, texts: Iterable[str], count: int) -> Iterator[Pair]:
    """The pairs of tokens that are joined next, most frequent first, at most `count`; of equals the lowest ids.

    Pairs are counted inside words as the base cuts them, never across. On the texts that the base was trained on the
    merges are those that training would have gone on with.
    """
    words = _words(base, texts)
    ids = dict(base.get_vocab())
    pairs = _pairs(words)
    found = 0
    while found < count and pairs:
        pair = min(pairs, key=lambda pair: (-pairs[pair], ids[pair[0]], ids[pair[1]]))
        if pairs[pair] < 2:
            return
        joined = "".join(pair)
        if joined not in ids:
            ids[joined] = len(ids)
            found += 1
            yield pair
        words = _joined(words, pair, pairs)


def _words(base: Any, texts: Iterable[str]) -> dict[tuple[str, ...], int]:
    """How often each word occurs, as the tokens that the base makes of it."""
    spelled: Counter[str] = Counter()
    for text in texts:
        spelled.update(word for word, _ in base.pre_tokenizer.pre_tokenize_str(text))
    model = base.model
    words: Counter[tuple[str, ...]] = Counter()
    for word, number in sorted(spelled.items()):
        words[tuple(token.value for token in model.tokenize(word))] += number
    return dict(words)


def _pairs(words: dict[tuple[str, ...], int]) -> Counter[Pair]:
    pairs: Counter[Pair] = Counter()
    for word, number in words.items():
        for pair in pairwise(word):
            pairs[pair] += number
    return pairs


def _joined(words: dict[tuple[str, ...], int], pair: Pair, pairs: Counter[Pair]) -> dict[tuple[str, ...], int]:
    """The words with the pair as one token; `pairs` is kept in step, for the words that changed only."""
    out: dict[tuple[str, ...], int] = {}
    for word, number in words.items():
        joined = _join(word, pair) if pair[0] in word else word
        if joined != word:
            pairs.subtract(_pairs({word: number}))
            pairs.update(_pairs({joined: number}))
        out[joined] = out.get(joined, 0) + number
    del pairs[pair]
    return out


def _join(word: tuple[str, ...], pair: Pair) -> tuple[str, ...]:
    out: list[str] = []
    place = 0
    while place < len(word):
        if word[place : place + 2] == pair:
            out.append(pair[0] + pair[1])
            place += 2
        else:
            out.append(word[place])
            place += 1
    return tuple(out)
