"""Texts with a share of their tokens or words replaced: uniformly, by frequency, or by each other in another order.

Which units are replaced, and by what, depends on the seed, the text and the unit's place alone (Philox, a counter-based
generator: Salmon et al. 2011), never on batches, models or other texts. The units replaced at one share are among those
replaced at any larger one.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from kaibo.errors import FormatError, UsageError
from kaibo.scoring.texts.texts import Document
from kaibo.vocabulary.segments import has_words, word_spans

Mode = Literal["uniform", "unigram", "shuffle"]
Unit = Literal["token", "word"]


@dataclass(frozen=True)
class Corruption:
    """What is done to a text: a `share` of its units is replaced.

    `mode` says by what: any unit of the vocabulary alike (`uniform`), by how often the texts have it (`unigram`), or
    by each other in another order (`shuffle`). With `differ` a unit never stays what it was.
    """

    share: float
    mode: Mode = "uniform"
    unit: Unit = "token"
    seed: int = 0
    differ: bool = False

    def __post_init__(self) -> None:
        if not 0 <= self.share <= 1:
            raise UsageError(f"a share of {self.share} is no fraction", next="give --share from 0 to 1")
        for name, value, known in (("mode", self.mode, get_args(Mode)), ("unit", self.unit, get_args(Unit))):
            if value not in known:
                raise UsageError(f'--{name} "{value}" is none of {", ".join(known)}')
        if self.seed < 0:
            raise UsageError(f"a seed of {self.seed} is below 0")
        if self.differ and self.mode == "shuffle":
            raise UsageError("a shuffle may leave units where they were", next="leave out --differ")

    @property
    def origin(self) -> str:
        """The settings as text: with the hash of the original they make the hash of what came out."""
        return f"corrupted {self.unit} {self.mode} share={self.share!r} seed={self.seed} differ={self.differ}"


@dataclass(frozen=True, eq=False)
class Source:
    """What replacements are drawn from: codes in rising order, and a count for each that is its weight."""

    codes: NDArray[np.int64] = field(repr=False)
    counts: NDArray[np.int64] = field(repr=False)

    def of(self, codes: NDArray[np.int64]) -> NDArray[np.int64]:
        """The counts of some codes; 0 for those that are never drawn."""
        at = np.minimum(np.searchsorted(self.codes, codes), len(self.codes) - 1)
        return np.where(self.codes[at] == codes, self.counts[at], 0)

    def drawn(self, random: NDArray[np.float64], instead_of: NDArray[np.int64] | None = None) -> NDArray[np.int64]:
        """A code for each number in [0, 1); with `instead_of` never the code that stood there."""
        ends = np.cumsum(self.counts)
        total = int(ends[-1])
        if instead_of is None:
            return self.codes[np.searchsorted(ends, np.floor(random * total), "right")]
        spared = self.of(instead_of)
        if (spared == total).any():
            raise FormatError("the texts hold one unit only, which nothing else can replace", next="leave out --differ")
        before = np.where(spared > 0, (ends - self.counts)[np.searchsorted(self.codes, instead_of) % len(ends)], total)
        place = np.floor(random * (total - spared))
        place += np.where(place >= before, spared, 0)
        return self.codes[np.searchsorted(ends, place, "right")]


def source(how: Corruption, ordinary: NDArray[np.int64], texts: Iterable[NDArray[np.int64]]) -> Source:
    """All `ordinary` codes alike, or those of the texts by how often they come. Raises FormatError for no units."""
    if how.mode == "uniform":
        codes, counts = ordinary, np.ones(len(ordinary), np.int64)
    else:
        several = [np.zeros(0, np.int64), *texts]
        codes, counts = np.unique(np.concatenate(several), return_counts=True)
    if not len(codes):
        raise FormatError("the texts hold nothing that could be replaced", next="give a longer text")
    return Source(codes.astype(np.int64), counts.astype(np.int64))


def corrupted(
    codes: NDArray[np.int64], how: Corruption, drawn_from: Source, text_hash: str
) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """The codes of a text with a share of them replaced, and which were: the nearest whole number of them."""
    count = int(np.floor(how.share * len(codes) + 0.5))
    chosen = np.zeros(len(codes), bool)
    chosen[np.argsort(_random("which", how.seed, text_hash, len(codes)), kind="stable")[:count]] = True
    by_what = _random("by what", how.seed, text_hash, len(codes))[chosen]
    found = codes.copy()
    if how.mode == "shuffle":
        found[chosen] = codes[chosen][np.argsort(by_what, kind="stable")]
    elif count:
        found[chosen] = drawn_from.drawn(by_what, codes[chosen] if how.differ else None)
    return found, chosen


def _random(purpose: str, seed: int, text_hash: str, count: int) -> NDArray[np.float64]:
    """One number in [0, 1) for every unit of a text."""
    key = hashlib.sha256(f"{purpose}\0{seed}\0{text_hash}".encode()).digest()[:16]
    return np.random.Generator(np.random.Philox(key=int.from_bytes(key, "little"))).random(count)


@dataclass(frozen=True, eq=False)
class Words:
    """The words of texts (see `word_spans`) as codes: their places in the sorted list of all."""

    listed: tuple[str, ...] = field(repr=False)
    codes: tuple[NDArray[np.int64], ...] = field(repr=False)


def words_of(documents: Sequence[Document]) -> Words:
    """Every text's words, and the list that they are numbered by.

    Raises FormatError for a text that cannot be cut into words.
    """
    for document in documents:
        if not has_words(document.text):
            message = "is written without spaces, and its words cannot be told apart"
            raise FormatError(message, file=document.name, next="--unit token")
    found = [[document.text[begin:end] for begin, end in word_spans(document.text)] for document in documents]
    listed = tuple(sorted({word for several in found for word in several}))
    at = {word: place for place, word in enumerate(listed)}
    return Words(listed, tuple(np.array([at[word] for word in several], np.int64) for several in found))


def rewritten(
    document: Document, codes: NDArray[np.int64], listed: Sequence[str]
) -> tuple[Document, NDArray[np.int64]]:
    """The text with these words in the place of its own, and where each stands in it: (words, 2) in characters."""
    pieces: list[str] = []
    spans, at, end = [], 0, 0
    for (begin, stop), code in zip(word_spans(document.text), codes.tolist(), strict=True):
        space, word = document.text[end:begin], listed[code]
        spans.append((at + len(space), at + len(space) + len(word)))
        pieces += [space, word]
        at, end = spans[-1][1], stop
    pieces.append(document.text[end:])
    return replace(document, text="".join(pieces), skipped=0), np.array(spans, np.int64).reshape(-1, 2)
