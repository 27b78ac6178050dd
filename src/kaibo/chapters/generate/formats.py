"""What a wrong prompt format costs: nats of the same answers under each format, in pairs by chat."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from kaibo.chapters.generate.rows import FORMATS, FormatRow
from kaibo.uncertainty.intervals import student
from kaibo.version import __version__
from kaibo.vocabulary import Finding
from kaibo.words import note

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class FormattedAnswers:
    """Answers of chats under one format: their tokens and nats, one entry a chat, the same chats in every format."""

    model: str
    format: str
    right: bool
    tokens: NDArray[np.int64]
    nats: Floats


def formats(measured: Iterable[FormattedAnswers]) -> Finding[FormatRow]:
    """A row for each model and format; the right format of a model is the one its costs are counted from."""
    found = list(measured)
    own = {one.model: one for one in found if one.right}
    rows = tuple(_row(one, own.get(one.model)) for one in found)
    return Finding(FORMATS, rows, (SAME,) if rows else (), {"kaibo": __version__})


SAME = note("formats_same")


def _row(one: FormattedAnswers, right: FormattedAnswers | None) -> FormatRow:
    tokens = int(one.tokens.sum())
    ppl = math.exp(min(math.fsum(one.nats) / tokens, 700.0))
    said = (one.model, one.format, one.right, len(one.tokens), tokens, ppl)
    if right is None or one.right:
        return FormatRow(*said)
    more = one.nats - right.nats
    cost = math.fsum(more) / tokens
    error = _error(more - cost * one.tokens, tokens)
    reach = math.nan if error is None else student(len(more) - 1) * error
    low, high = (None, None) if error is None else (cost - reach, cost + reach)
    return FormatRow(*said, cost, error, low, high, math.exp(min(cost, 700.0)), float((more > 0).mean()))


def _error(residuals: Floats, tokens: int) -> float | None:
    """The standard error of a ratio of sums over chats (linearised; Cochran 1977, section 6.4); None for one chat."""
    count = len(residuals)
    if count < 2:
        return None
    return math.sqrt(count / (count - 1) * math.fsum(residuals**2)) / tokens
