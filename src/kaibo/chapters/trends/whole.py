"""Everything that is asked of several runs over the same texts: classes, sets, double descent, pairs, passages."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from typing import Any

import numpy as np

from kaibo.chapters.trends.alike import pairs
from kaibo.chapters.trends.classes import CLASSES, TokenTrends, token_trends, trend_row
from kaibo.chapters.trends.descent import descent
from kaibo.chapters.trends.followed_rows import (
    TRENDS_CONTAINMENT,
    TRENDS_FOLLOWED,
    TRENDS_PAIRS,
    TRENDS_PASSAGES,
    ContainmentRow,
    FollowedRow,
    PairRow,
    PassageRow,
)
from kaibo.chapters.trends.given import size_given_perplexity
from kaibo.chapters.trends.passages import passages
from kaibo.chapters.trends.rows import (
    TRENDS,
    TRENDS_DESCENT,
    TRENDS_SIZE,
    TRENDS_WINDOWS,
    DescentRow,
    SizeRow,
    TrendRow,
    WindowRow,
)
from kaibo.chapters.trends.scored import AGAINST, ScoredSeries
from kaibo.chapters.trends.sets import TokenSet, containment, followed, token_set
from kaibo.chapters.trends.windows import NOTES as WINDOWS_NOTES
from kaibo.chapters.trends.windows import Alike, early_and_late, late
from kaibo.errors import UsageError
from kaibo.uncertainty.discovery import false_discovery
from kaibo.version import __version__
from kaibo.vocabulary import Finding
from kaibo.vocabulary.kinds import Kind
from kaibo.words import Note, about, note

STARTS = (0.1, 0.3, 0.5, 0.7)

PLACES = {"start": "start", "size": "parameters", "step": "step", "tokens": "trained", "flops": "flops", "ppl": "ppl"}
"""The column of a share that each choice of `against` reads."""

NOTES = (
    note("trends_classes"),
    note("trends_readings"),
    note("trends_noise"),
    note("trends_starts"),
)
SETS_NOTES = (note("trends_bands"),)
CONTAINMENT_NOTES = (
    note("trends_sets_late"),
    note("trends_chance"),
    note("trends_nested"),
)
DESCENT_NOTES = (
    note("trends_own"),
    note("trends_descent"),
    note("trends_descent_q"),
)
PAIRS_NOTES = (note("trends_pairs"),)
SIZE_NOTES = (note("trends_size"),)


@dataclass(frozen=True)
class TrendOptions:
    """What is asked: the fractions of a run from which trends begin, the sets to follow (model, class; none: those of
    the smallest and largest run), how much of each is sampled, how much of its past an exponential average keeps,
    how many sentences are shown, what shares are drawn against, and the seed of the samples.
    """

    starts: tuple[float, ...] = STARTS
    follow: tuple[tuple[str, str], ...] = ()
    sample: float = 0.1
    smooth: float = 0.0
    passages: int = 3
    against: str = "start"
    seed: int = 0

    def __post_init__(self) -> None:
        if not self.starts or not all(0 <= start < 1 for start in self.starts):
            raise UsageError("--start takes fractions of a run", next="write --start 0.1,0.5")
        if not 0 < self.sample <= 1 or not 0 <= self.smooth < 1:
            raise UsageError("--sample is a fraction above 0, --smooth one below 1", next="write --sample 0.1")
        if self.against not in AGAINST:
            raise UsageError(f'--against "{self.against}" is none of {", ".join(AGAINST)}')
        unknown = next((trend for _, trend in self.follow if trend not in CLASSES), None)
        if unknown is not None:
            raise UsageError(f'"{unknown}" is no class', next=f"classes: {', '.join(CLASSES)}")


@dataclass(frozen=True)
class Trends:
    """What was found: the classes of all tokens, and seven tables that follow from them (some may have no rows)."""

    shares: Finding[TrendRow]
    windows: Finding[WindowRow]
    followed: Finding[FollowedRow]
    containment: Finding[ContainmentRow]
    descent: Finding[DescentRow]
    size: Finding[SizeRow]
    pairs: Finding[PairRow]
    passages: Finding[PassageRow]

    @property
    def findings(self) -> tuple[Finding[Any], ...]:
        """All eight, in the order in which they are read."""
        return tuple(vars(self).values())

    def _repr_html_(self) -> str:
        return "".join(finding._repr_html_() for finding in self.findings)


def trends(series: Sequence[ScoredSeries], asked: TrendOptions | None = None) -> Trends:
    """The findings of several runs over the same texts, smaller runs first.

    Runs that cut the texts into other tokens than the first are in the shares only, and a note says so. Raises
    UsageError for two runs of one name, a set of a run that is not there, or shares against what is not known.
    """
    asked = asked or TrendOptions()
    ordered = _ordered(series, asked)
    rows, chosen = _classified(ordered, asked.starts)
    rows = [replace(row, against=asked.against, x=getattr(row, PLACES[asked.against])) for row in rows]
    alike = [one for one in ordered if one.tokens.same(ordered[0].tokens)]
    known = {one.model: chosen[one.model] for one in alike if one.model in chosen}
    others = [one.model for one in ordered if one not in alike]
    notes = tuple(about(name, note("trends_others", first=ordered[0].model)) for name in others)
    sets = [one for one in _sets(known, asked) if one is not None]
    source = {"kaibo": __version__, "text": ordered[0].tokens.name, "against": asked.against, "seed": asked.seed}

    def finding(kind: Kind[Any], found: Iterable[Any], *said: Note) -> Finding[Any]:
        kept = tuple(found)
        return Finding(kind, kept, said if kept else (), source)

    by = "step" if asked.against in ("start", "size") else asked.against
    rows_alike, compared = _windows(alike, asked)
    along = (row for chosen in sets for one in alike for row in followed(chosen, one, asked.smooth, by))
    return Trends(
        shares=finding(TRENDS, rows, *NOTES, *notes),
        windows=finding(TRENDS_WINDOWS, rows_alike, *WINDOWS_NOTES),
        followed=finding(TRENDS_FOLLOWED, along, *SETS_NOTES),
        containment=finding(TRENDS_CONTAINMENT, containment(compared), *CONTAINMENT_NOTES),
        descent=finding(TRENDS_DESCENT, _descents(sets, alike, asked.seed), *DESCENT_NOTES),
        size=finding(TRENDS_SIZE, size_given_perplexity(sets, alike), *SIZE_NOTES),
        pairs=finding(TRENDS_PAIRS, pairs(alike), *PAIRS_NOTES),
        passages=finding(TRENDS_PASSAGES, passages(alike, known, asked.passages)),
    )


def _classified(
    ordered: Sequence[ScoredSeries], starts: Sequence[float]
) -> tuple[list[TrendRow], dict[str, TokenTrends]]:
    """A row for each run and start, and each run's classes from the first start that has enough checkpoints."""
    rows: list[TrendRow] = []
    chosen: dict[str, TokenTrends] = {}
    for one in ordered:
        for start in starts:
            found = token_trends(one, start)
            rows.append(trend_row(one, start, found))
            if found is not None:
                chosen.setdefault(one.model, found)
    return rows, chosen


def _windows(
    series: Sequence[ScoredSeries], asked: TrendOptions
) -> tuple[list[WindowRow], list[tuple[ScoredSeries, ScoredSeries, Alike]]]:
    """Each run early and late, every smaller run beside every larger one, and the classes of those pairs."""
    start = min(asked.starts)
    rows = [early_and_late(one, start, asked.seed)[0] for one in series if len(one.tokens)]
    pairs = []
    for small, large in combinations([one for one in series if len(one.tokens)], 2):
        row, alike = late(small, large, start, asked.seed)
        rows.append(row)
        if alike is not None:
            pairs.append((small, large, alike))
    return rows, pairs


def _ordered(series: Sequence[ScoredSeries], asked: TrendOptions) -> list[ScoredSeries]:
    names = [one.model for one in series]
    if not names or len(set(names)) < len(names):
        raise UsageError("trends need runs of different names", next="name each series once")
    strange = next((name for name, _ in asked.follow if name not in names), None)
    if strange is not None:
        raise UsageError(f'--follow: no run is called "{strange}"', next=f"runs: {', '.join(names)}")
    needs = {"size": "parameters", "tokens": "trained", "flops": "flops"}.get(asked.against)
    lacking = next((one.model for one in series if needs and getattr(one, needs) is None), None)
    if lacking is not None:
        message = f"--against {asked.against}: not known of {lacking}"
        raise UsageError(message, next="say how many tokens a step reads: --batch-tokens 4096")
    return sorted(series, key=lambda one: one.parameters or 0)


def _sets(known: Mapping[str, TokenTrends], asked: TrendOptions) -> Iterator[TokenSet | None]:
    """The sets that were asked for, else those of the smallest and the largest run."""
    ends = list(dict.fromkeys((next(iter(known)), list(known)[-1]))) if known else []
    usual = [(model, trend) for model in ends for trend in CLASSES[:3]]
    for model, trend in asked.follow or usual:
        if model in known:
            yield token_set(known[model], trend, asked.sample, asked.seed)


def _descents(sets: Sequence[TokenSet], series: Sequence[ScoredSeries], seed: int) -> Iterator[DescentRow]:
    """Sets that rise somewhere: those of forgotten tokens, under every run; corrected over all of them."""
    rows = [descent(chosen, one, seed) for chosen in sets if chosen.trend == "upward" for one in series]
    corrected = false_discovery(np.array([row.p for row in rows], np.float64))
    for row, q in zip(rows, corrected, strict=True):
        yield replace(row, q=float(q), found=bool(row.bump > 0 and q < 0.05))
