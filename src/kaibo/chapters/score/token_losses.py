"""Where in a text the loss lies: token by token, and by how many tokens stood before each."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from kaibo.chapters.score.rows import SCORE_CONTEXT, SCORE_TOKENS, ContextRow, TokenCell
from kaibo.uncertainty.intervals import mean_interval
from kaibo.version import __version__
from kaibo.vocabulary import Finding, TokenLog
from kaibo.words import note

MOST_TOKENS = 240
"""So many tokens of a text are shown one by one."""

NOTES = (
    note("strip_first", count=MOST_TOKENS),
    note("context_groups"),
)


@dataclass(frozen=True, eq=False)
class ShownText:
    """A text's log with the text itself, of which its spans in characters are parts."""

    model: str
    model_id: str
    log: TokenLog = field(repr=False)
    text: str = field(repr=False)


def token_strip(texts: Sequence[ShownText]) -> Finding[TokenCell]:
    """The first tokens of each model's first text, one by one."""
    first = {one.model: one for one in reversed(texts)}
    rows = tuple(cell for model in dict.fromkeys(one.model for one in texts) for cell in _cells(first[model]))
    told = {one.model: one.model_id for one in texts}
    return Finding(SCORE_TOKENS, rows, NOTES[:1], {"models": told, "kaibo": __version__})


def _cells(one: ShownText) -> list[TokenCell]:
    log = one.log
    known = [None if math.isnan(value) else value for value in log.nats[:MOST_TOKENS].tolist()]
    spans = log.characters[:MOST_TOKENS].tolist()
    pieces = [
        "" if span == before else one.text[slice(*span)]
        for span, before in zip(spans, [None, *spans[:-1]], strict=True)
    ]
    places = log.position[:MOST_TOKENS].tolist()
    return [
        TokenCell(one.model, log.document, place, piece, nats)
        for place, piece, nats in zip(places, pieces, known, strict=True)
    ]


def by_context(texts: Sequence[ShownText]) -> Finding[ContextRow]:
    """Mean nats by tokens before: 0, 1, 2–3, 4–7 … of all texts together."""
    rows: list[ContextRow] = []
    for model in dict.fromkeys(one.model for one in texts):
        logs = [one.log for one in texts if one.model == model]
        nats = np.concatenate([log.nats[log.scored].astype(np.float64) for log in logs])
        before = np.concatenate([log.context_length[log.scored] for log in logs])
        rows += _rows(model, nats, before)
    told = {one.model: one.model_id for one in texts}
    return Finding(SCORE_CONTEXT, tuple(rows), NOTES[1:], {"models": told, "kaibo": __version__})


def _rows(model: str, nats: NDArray[np.float64], before: NDArray[np.int32]) -> list[ContextRow]:
    group = np.frexp(before.astype(np.float64))[1]  # 0, 1, 2–3, 4–7 …
    return [_row(model, int(one), nats[group == one]) for one in np.unique(group)]


def _row(model: str, group: int, nats: NDArray[np.float64]) -> ContextRow:
    least, most = (0, 0) if group == 0 else (2 ** (group - 1), 2**group - 1)
    found = mean_interval(nats).within(0.0)
    if len(nats) < 3:
        few = dict.fromkeys(("nats_low", "nats_high"), "fewer than 3 tokens")
        return ContextRow(model, least, most, len(nats), found.mean, None, None, few)
    return ContextRow(model, least, most, len(nats), found.mean, found.low, found.high)
