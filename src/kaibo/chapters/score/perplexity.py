"""Perplexity done right: nats are added over the tokens that were scored and divided once.

    nats ─▶ ÷ tokens, words, characters, bytes ─▶ exp, or ÷ ln 2 for bits

The interval is that of a ratio of sums over clusters (Cochran 1977, Sampling Techniques, section 6): the documents
where there are many, else consecutive blocks of tokens, since neighbours are not independent. Beside each value
stand the two nulls that know nothing of order: uniform over the vocabulary, and the text's own unigram frequencies.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from kaibo.chapters.score.rows import SCORE, ScoreRow
from kaibo.uncertainty.intervals import ratio_interval
from kaibo.version import __version__
from kaibo.vocabulary import Finding, TokenLog
from kaibo.words import note

DOCUMENTS, BLOCKS = 20, 64
"""From how many documents on they are the clusters of an interval; else how many blocks of tokens there are at most."""

LEAST = 16
"""Scored tokens below which no interval is given."""

NOTES = (
    note("ppl"),
    note("ppl_interval"),
    note("ppl_nulls"),
)

OTHER_TOKENS = "models with other tokenizers are compared by bits per byte, not by token"


@dataclass(frozen=True, eq=False)
class ScoredText:
    """A text's log and what it is divided by: `words` from the first scored token on, rows of the vocabulary."""

    model: str
    model_id: str
    step: int | None
    log: TokenLog = field(repr=False)
    words: int
    vocabulary: int


def perplexity(
    scored: Sequence[ScoredText], *, each: bool = False, memory: Mapping[str, int] | None = None
) -> Finding[ScoreRow]:
    """A row for each model over all its texts; with `each` a row for each text as well.

    `memory` is what was stated of each model before it was scored.

    Where the models' tokenizers differ, no perplexity per token is given: the row says so.
    """
    models: dict[str, list[ScoredText]] = {}
    for one in scored:
        models.setdefault(one.model, []).append(one)
    rows: list[ScoreRow] = []
    for several in models.values():
        rows += [_row([one], one.log.document) for one in several] if each and len(several) > 1 else []
        rows.append(_row(several, several[0].log.document if len(several) == 1 else f"{len(several)} texts"))
    if len({one.log.key.tokenizer_hash for one in scored}) > 1:
        hidden = {"ppl": OTHER_TOKENS}
        rows = [replace(row, ppl=None, ppl_low=None, ppl_high=None, why={**row.why, **hidden}) for row in rows]
    rows = [replace(row, memory=(memory or {}).get(row.model)) for row in rows]
    told = {one.model: one.model_id for one in scored}
    return Finding(SCORE, tuple(rows), NOTES, {"models": told, "kaibo": __version__})


@dataclass(frozen=True, eq=False)
class _Sums:
    """Sums over one text's scored tokens."""

    nats: float
    tokens: int
    characters: int
    bytes: int


def _row(texts: Sequence[ScoredText], name: str) -> ScoreRow:
    sums = [_sums(one.log) for one in texts]
    nats = math.fsum(one.nats for one in sums)
    tokens, characters, size = (sum(getattr(one, what) for one in sums) for what in ("tokens", "characters", "bytes"))
    words = sum(one.words for one in texts)
    grouped = clusters([one.log for one in texts])
    ppl, bits = (ratio_interval(*grouped, column) for column in (0, 1))
    few = {} if ppl else dict.fromkeys(("ppl_low", "ppl_high"), f"fewer than {LEAST} scored tokens")
    return ScoreRow(
        model=texts[0].model,
        step=texts[0].step,
        text=name,
        tokens=tokens,
        unscored=sum(len(one.log) for one in texts) - tokens,
        nats=nats,
        ppl=_exp(nats, tokens),
        ppl_low=safe_exp(ppl[0]) if ppl else None,
        ppl_high=safe_exp(ppl[1]) if ppl else None,
        bits_per_byte=nats / size / math.log(2) if size else math.nan,
        bits_per_byte_low=bits[0] / math.log(2) if bits else None,
        bits_per_byte_high=bits[1] / math.log(2) if bits else None,
        word_ppl=_exp(nats, words),
        character_ppl=_exp(nats, characters),
        unigram_ppl=_unigram([one.log for one in texts]),
        uniform_ppl=texts[0].vocabulary,
        words=words,
        characters=characters,
        bytes=size,
        why=few,
    )


def _sums(log: TokenLog) -> _Sums:
    """Characters and bytes are those from the first scored token to the end, also such as no token covers."""
    scored = log.scored
    if not scored.any():
        return _Sums(0.0, 0, 0, 0)
    first = int(np.argmax(scored))
    spans = [int(span[-1, 1] - span[first, 0]) for span in (log.characters, log.bytes)]
    return _Sums(math.fsum(log.nats[scored].tolist()), int(scored.sum()), *spans)


def clusters(logs: Sequence[TokenLog]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Nats, and (tokens, bytes), of each cluster: a document where there are many, else a block of tokens."""
    logs = [log for log in logs if log.scored.any()]
    if len(logs) >= DOCUMENTS:
        sums = [_sums(log) for log in logs]
        return np.array([one.nats for one in sums]), np.array([[one.tokens, one.bytes] for one in sums], np.float64)
    nats = np.concatenate([np.zeros(0), *(log.nats[log.scored].astype(np.float64) for log in logs)])
    bytes_ = np.concatenate([np.zeros(0), *((log.bytes[:, 1] - log.bytes[:, 0])[log.scored] for log in logs)])
    if len(nats) < LEAST:
        return np.zeros(0), np.zeros((0, 2))
    count = min(BLOCKS, math.isqrt(len(nats)))
    edges = np.linspace(0, len(nats), count + 1).astype(int)[:-1]
    sizes = np.stack([np.add.reduceat(np.ones(len(nats)), edges), np.add.reduceat(bytes_, edges)], axis=1)
    return np.add.reduceat(nats, edges), sizes


def _unigram(logs: Sequence[TokenLog]) -> float:
    """exp of the entropy of the scored tokens' own frequencies."""
    ids = np.concatenate([np.zeros(0, np.int32), *(log.token_id[log.scored] for log in logs)])
    if not len(ids):
        return math.nan
    shares = np.unique(ids, return_counts=True)[1] / len(ids)
    return math.exp(-float((shares * np.log(shares)).sum()))


def _exp(nats: float, count: int) -> float:
    return safe_exp(nats / count) if count else math.nan


def safe_exp(value: float) -> float:
    """exp, infinite where it is larger than a float can be."""
    return math.exp(value) if value < 709 else math.inf
