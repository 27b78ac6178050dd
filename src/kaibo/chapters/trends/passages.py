"""Single tokens where they stand: sentences of the text, each token with its class under every run."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from kaibo.chapters.trends.classes import CLASSES, UNDECIDED, TokenTrends
from kaibo.chapters.trends.followed_rows import PassageRow
from kaibo.chapters.trends.scored import ScoredSeries, Tokens

END = re.compile(r"[.!?。！？]+[\"'”’」』)]*\s*|\n+")
LONGEST = 80
"""Tokens of the longest passage that is shown."""


def passages(series: Sequence[ScoredSeries], trends: Mapping[str, TokenTrends], count: int) -> Iterator[PassageRow]:
    """The most telling sentences under every run: under the last, many classes, then many tokens that are decided."""
    last = next((one for one in reversed(series) if one.model in trends), None)
    if last is None:
        return
    for number, places in enumerate(telling(last.tokens, trends[last.model].corrected, count), 1):
        for one in series:
            if one.model in trends:
                yield from _rows(one, trends[one.model], number, places)


def telling(tokens: Tokens, codes: NDArray[np.int8], count: int) -> list[NDArray[np.int64]]:
    """The places of the tokens of the most telling sentences, in reading order."""
    sentence = sentences(tokens)
    if not len(sentence):
        return []
    begins = np.flatnonzero(np.r_[True, sentence[1:] != sentence[:-1]])
    sizes = np.diff([*begins, len(sentence)])
    kinds = np.stack([np.add.reduceat(codes == code, begins, dtype=np.int64) for code in range(UNDECIDED)])
    decided = kinds.sum(axis=0)
    fits = (sizes <= LONGEST) & (sizes >= 2) & (decided > 0)
    order = np.lexsort((begins, -decided / np.maximum(sizes, 8), -(kinds > 0).sum(axis=0), ~fits))
    chosen = sorted(int(place) for place in order[:count] if fits[place])
    return [np.arange(begins[place], begins[place] + sizes[place]) for place in chosen]


def sentences(tokens: Tokens) -> NDArray[np.int64]:
    """The number of the sentence that each token ends in, counted through all texts: a token may begin with a space."""
    out = np.zeros(len(tokens), np.int64)
    before = 0
    for place, text in enumerate(tokens.texts):
        ends = np.array([found.end() for found in END.finditer(text)], np.int64)
        here = tokens.text == place
        last = np.maximum(tokens.characters[here, 0], tokens.characters[here, 1] - 1)
        out[here] = before + np.searchsorted(ends, last, side="right")
        before += len(ends) + 1
    return out


def _rows(series: ScoredSeries, found: TokenTrends, number: int, places: NDArray[np.int64]) -> Iterator[PassageRow]:
    tokens, lines = series.tokens, found.regressions
    shown = 0
    for place in places.tolist():
        begin, end = (int(edge) for edge in tokens.characters[place])
        text = tokens.texts[int(tokens.text[place])][max(begin, shown) : end]  # a part of a character shows nothing
        shown = max(shown, end)
        nats = series.nats[:, place].astype(np.float64)
        yield PassageRow(
            series.model, found.start, number, place, text,
            CLASSES[found.corrected[place]], CLASSES[found.uncorrected[place]],
            float(lines.slope[place]), float(lines.p[place]), float(found.q[place]),
            float(np.exp(nats[-1])), float(np.exp(nats[-1] - nats[found.begin])),
        )  # fmt: skip
