"""Which tokens a run is learning, which it forgets, which it has finished: from each start on, with both readings.

    nats ─▶ ppl ÷ ppl(start) ─▶ line over log step ─▶ p ─▶ Benjamini–Hochberg ─▶ upward, downward, stagnated, undecided

Upward (forgetting) and downward (learning) are slopes that hold after correction over all tokens of the text. Stagnated
is neither, with the geometric mean of the ratio within 5 % of its first and last value and the ratio's variance below
its mean. What is none of these is undecided: the third class can also be read as stagnated and undecided together, and
rows carry both.

Beside ours stands the paper's own rule, `published` (Xia et al. 2023, Training Trajectories of Language Models Across
Scales, and its notebook): slopes by ordinary least squares, each p below 0.05, not corrected; stagnated is neither,
with the geometric mean of the perplexity within 5 % of its first and last value and the variance of the raw perplexity
(not of the ratio) below that mean, which rare tokens of high perplexity hardly ever satisfy.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from kaibo.chapters.trends.rows import TrendRow
from kaibo.chapters.trends.scored import ScoredSeries
from kaibo.uncertainty.autoregression import LEAST, Regressions, regress
from kaibo.uncertainty.discovery import false_discovery
from kaibo.uncertainty.intervals import student, wilson, worth
from kaibo.words import Note, note

Floats = NDArray[np.float64]
Codes = NDArray[np.int8]

CLASSES = ("upward", "downward", "stagnated", "undecided")
UPWARD, DOWNWARD, STAGNATED, UNDECIDED = range(4)

LEVEL = 0.05
"""Of the false discovery rate, and of the single test in the uncorrected result."""

NEAR = math.log(1.05)
"""How far the geometric mean may be from the first and the last value, as nats."""

BLOCK = 8192
"""Tokens whose values are in memory at once, as float64."""

BLOCKS = 64
"""Blocks of neighbouring tokens over which a share's interval is taken, at most."""


@dataclass(frozen=True, eq=False)
class TokenTrends:
    """One run from one start on: an entry a token. `corrected`, `uncorrected` and `published` (the paper's rule) are
    places in `CLASSES`.
    """

    model: str
    start: float
    begin: int
    regressions: Regressions = field(repr=False)
    q: Floats = field(repr=False)
    corrected: Codes = field(repr=False)
    uncorrected: Codes = field(repr=False)
    published: Codes = field(repr=False)


@dataclass(frozen=True, eq=False)
class Classified:
    """Classes of tokens in one window: ours after and before correction, and by the paper's own rule."""

    regressions: Regressions = field(repr=False)
    q: Floats = field(repr=False)
    corrected: Codes = field(repr=False)
    uncorrected: Codes = field(repr=False)
    published: Codes = field(repr=False)


def token_trends(series: ScoredSeries, start: float) -> TokenTrends | None:
    """The trend and class of every token from a start on; None where fewer than five checkpoints remain."""
    begin = series.begins(start)
    nats = series.nats[begin:]
    if len(nats) < LEAST or not nats.shape[1]:
        return None
    found = classified(nats, np.log(np.asarray(series.steps[begin:], np.float64)))
    return TokenTrends(
        series.model, start, begin, found.regressions, found.q, found.corrected, found.uncorrected, found.published
    )


def classified(nats: NDArray[np.floating], x: Floats) -> Classified:
    """The classes of every column of `nats` (checkpoints, tokens) over `x`, the logarithm of the step."""
    parts, still, ordinary = [], [], []
    published = np.empty(nats.shape[1], bool)
    for at in range(0, nats.shape[1], BLOCK):
        change = nats[:, at : at + BLOCK].astype(np.float64)
        first = change[0].copy()
        change -= first
        middle, last = change.mean(axis=0), change[-1].copy()
        with np.errstate(over="ignore"):
            part = regress(np.exp(np.minimum(change, 300.0, out=change), out=change), x)
            ordinary.append(regress(change, x, 0.0))
            raw = part.square / len(x) * np.exp(np.minimum(2 * first, 600.0))  # the variance of perplexity itself
            calm = part.square < part.mean * len(x)
            published[at : at + BLOCK] = _level(middle, last) & (raw < np.exp(np.minimum(middle + first, 600.0)))
        still.append((np.abs(middle) <= NEAR) & (np.abs(middle - last) <= NEAR) & calm)
        parts.append(part)
    whole, plain = _whole(parts), _whole(ordinary)
    q = false_discovery(whole.p)
    corrected, uncorrected = (_classes(whole.slope, p, np.concatenate(still)) for p in (q, whole.p))
    return Classified(whole, q, corrected, uncorrected, _classes(plain.slope, plain.p, published))


def _level(middle: Floats, last: Floats) -> NDArray[np.bool_]:
    """Whether the geometric mean is within 5 % of the first and of the last value, as the paper's notebook has it."""
    ends = (np.exp(np.clip(middle, -300, 300)), np.exp(np.clip(middle - last, -300, 300)))
    return np.asarray(np.logical_and.reduce([(end > 0.95) & (end < 1.05) for end in ends]), np.bool_)


def _whole(parts: list[Regressions]) -> Regressions:
    names = ("slope", "error", "p", "rho", "mean", "square")
    return Regressions(*(np.concatenate([getattr(part, name) for part in parts]) for name in names))


def _classes(slope: Floats, p: Floats, still: NDArray[np.bool_]) -> Codes:
    codes = np.where(still, STAGNATED, UNDECIDED).astype(np.int8)
    called = p < LEVEL
    codes[called & (slope > 0)] = UPWARD
    codes[called & (slope < 0)] = DOWNWARD
    return codes


def trend_row(series: ScoredSeries, start: float, found: TokenTrends | None) -> TrendRow:
    """What one run's classes from one start on add up to; without shares, and with the reason, where none were made."""
    begin = series.begins(start)
    left = len(series.steps) - begin
    corrected, uncorrected = (None, None) if found is None else (_shares(found.corrected), _shares(found.uncorrected))
    low, high = (None, None) if found is None else _interval(found.corrected)
    paper = None if found is None else _shares(found.published)
    paper_low, paper_high = (None, None) if found is None else _interval(found.published)
    return TrendRow(
        model=series.model,
        start=start,
        checkpoints=left,
        tokens=len(series.tokens),
        shares=_named(corrected),
        shares_uncorrected=_named(uncorrected),
        shares_low=_named(low),
        shares_high=_named(high),
        not_up_not_down=None if corrected is None else float(corrected[[STAGNATED, UNDECIDED]].sum()),
        not_up_not_down_uncorrected=None if uncorrected is None else float(uncorrected[[STAGNATED, UNDECIDED]].sum()),
        step=series.steps[begin],
        last_step=series.steps[-1],
        trained=_at(series.along("tokens"), begin),
        flops=_at(series.flops, begin),
        ppl=float(series.ppl[begin]),
        last_ppl=float(series.ppl[-1]),
        parameters=series.parameters,
        rho=None if found is None else float(np.median(found.regressions.rho)),
        shares_published=_named(paper),
        published_low=_named(paper_low),
        published_high=_named(paper_high),
        why={} if found is not None else {"shares": _why_none(left, len(series.tokens))},
    )


def _why_none(left: int, tokens: int) -> Note:
    return note("trends_few", count=left) if tokens else note("trends_unscored")


def _at(values: Floats | None, place: int) -> float | None:
    return None if values is None else float(values[place])


def _shares(codes: Codes) -> Floats:
    return np.bincount(codes, minlength=len(CLASSES)) / len(codes)


def named_shares(codes: Codes) -> dict[str, float]:
    """The share of each class."""
    return dict(zip(CLASSES, _shares(codes).tolist(), strict=True))


def _named(values: Floats | None) -> dict[str, float | None]:
    return {name: None if values is None else float(values[place]) for place, name in enumerate(CLASSES)}


def block_edges(count: int, most: int = BLOCKS) -> NDArray[np.int64]:
    """Where consecutive blocks of about √count tokens, at most `most` blocks, begin."""
    blocks = max(1, min(most, math.isqrt(count)))
    return np.linspace(0, count, blocks + 1).astype(np.int64)[:-1]


def _interval(codes: Codes) -> tuple[Floats | None, Floats | None]:
    """95 % for each share over blocks of neighbouring tokens, which are not independent; None for a short text.

    Wilson's interval for as many independent tokens as the spread over blocks is worth, at least one a block: it stays
    between 0 and 1 and has a width where no token, or every token, is of a class.
    """
    edges = block_edges(len(codes))
    if len(edges) < 4:
        return None, None
    sizes = np.diff([*edges, len(codes)])
    per_block = np.add.reduceat(codes[:, None] == np.arange(len(CLASSES)), edges, axis=0, dtype=np.int64)
    share = _shares(codes)
    left = per_block - sizes[:, None] * share
    error = np.sqrt(len(edges) / (len(edges) - 1) * (left**2).sum(axis=0)) / len(codes)
    return share_ends(share, error, len(edges), len(codes))


def share_ends(share: Floats, error: Floats, blocks: int, count: int) -> tuple[Floats, Floats]:
    """Wilson's intervals of shares of `count` tokens that are worth as many as their errors over blocks say.

    A share of none or all has no error of its own: its tokens are worth what those of the least certain other are, and
    as many as there are blocks where all are so.
    """
    worths = [worth(float(one), float(wide), count) for one, wide in zip(share, error, strict=True)]
    known = [one for one, wide in zip(worths, error, strict=True) if wide > 0]
    rest = min(known, default=float(blocks))
    each = [one if wide > 0 else rest for one, wide in zip(worths, error, strict=True)]
    ends = [wilson(float(one), size, student(blocks - 1)) for one, size in zip(share, each, strict=True)]
    return np.array([low for low, _ in ends]), np.array([high for _, high in ends])
