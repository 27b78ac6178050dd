"""Judgements as a page shows them: a badge with its word, the claim, what was reported beside ours, and why.

What could not be judged is grouped by its reason and folded away where there is much of it, so that what was judged
is read first.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from kaibo.errors import escaped
from kaibo.reports.cells import cell
from kaibo.vocabulary import shown
from kaibo.vocabulary.claims import Judgement, Verdict
from kaibo.words import said, word

VERDICTS: tuple[Verdict, ...] = ("reproduced", "differs", "not measured")

OPEN_CLAIMS = 4
"""More claims than this that were not measured for one reason are folded away."""

OPEN_DIRECTIONS = 10
"""More claims than this that were measured at another scale are folded away."""


@dataclass(frozen=True)
class Tally:
    """How many claims of one kind have each verdict: (class of the style, how many, what that is called)."""

    title: str
    target: str
    counts: tuple[tuple[str, int, str], ...]

    @property
    def total(self) -> int:
        """All claims of it."""
        return sum(count for _, count, _ in self.counts)


@dataclass(frozen=True)
class ClaimLine:
    """One claim as text: badges as (class, word), the verdict first; `interval` and `basis` may be empty."""

    badges: tuple[tuple[str, str], ...]
    claim: str
    source: str
    reported: str
    ours: str
    interval: str
    basis: str
    why: str


@dataclass(frozen=True)
class ClaimGroup:
    """Claims that are read together under one line; `folded` ones are opened by a click.

    `heading` stands above the first group of a study where a page shows several.
    """

    title: str
    lines: tuple[ClaimLine, ...]
    folded: bool = False
    heading: str = ""


def tally(judgements: Sequence[Judgement], language: str = "en", *, title: str = "", target: str = "") -> Tally:
    """The judgements counted by verdict, in the order of the verdicts."""
    counts = Counter(judgement.verdict for judgement in judgements)
    said = tuple(
        (_style(verdict), counts[verdict], cell("verdict", verdict, language, "study")) for verdict in VERDICTS
    )
    return Tally(title, target, said)


def claim_groups(judgements: Sequence[Judgement], language: str = "en", title: str = "") -> tuple[ClaimGroup, ...]:
    """The judged claims, then those measured at another scale, then the rest by its reason; empty ones left out.

    `title` stands above them, for a page that shows several studies.
    """
    judged = [one for one in judgements if one.verdict != "not measured"]
    elsewhere = [one for one in judgements if one.same_direction is not None]
    rest = [one for one in judgements if one.verdict == "not measured" and one.same_direction is None]
    groups = [
        _group(judged, word("study.judged", language), language),
        _group(elsewhere, word("study.elsewhere", language), language, OPEN_DIRECTIONS),
    ]
    for reason in dict.fromkeys(_why(one, language) for one in rest):
        held = [one for one in rest if _why(one, language) == reason]
        groups.append(_group(held, word("study.unmeasured", language, why=reason), language, OPEN_CLAIMS))
    first, *others = [group for group in groups if group.lines] or [ClaimGroup("", ())]
    return (replace(first, heading=title), *others) if first.lines else ()


def _group(held: Sequence[Judgement], title: str, language: str, most: int | None = None) -> ClaimGroup:
    folded = most is not None and len(held) > most
    return ClaimGroup(title, tuple(_line(one, language) for one in held), folded)


def _line(one: Judgement, language: str) -> ClaimLine:
    interval = "" if one.low is None or one.high is None else _interval(one.low, one.high, language)
    basis = "" if one.n is None else word("study.of_n", language, n=shown(one.n))
    values = (_value(one.reported, language), _value(one.ours, language))
    return ClaimLine(_badges(one, language), one.claim, one.source, *values, interval, basis, _why(one, language))


def _badges(one: Judgement, language: str) -> tuple[tuple[str, str], ...]:
    """The verdict, and the direction of what was measured at another scale."""
    verdict = (_style(one.verdict), cell("verdict", one.verdict, language, "study"))
    if one.same_direction is None:
        return (verdict,)
    style = "same" if one.same_direction else "other"
    return verdict, (style, word(f"study.direction_{style}", language))


def _interval(low: float, high: float, language: str) -> str:
    return word("study.interval", language, low=shown(low), high=shown(high))


def _value(value: Any, language: str) -> str:
    if isinstance(value, tuple | list):
        return word("study.interval", language, low=shown(value[0]), high=shown(value[1]))
    return cell("reported", value, language)


def _why(one: Judgement, language: str) -> str:
    return "; ".join(escaped(said(str(reason), language), 1000) for reason in _reasons(one.why))


def _reasons(why: Mapping[str, str]) -> list[str]:
    return [reason for reason in why.values() if reason]


def _style(verdict: str) -> str:
    return verdict.replace(" ", "-")


def counted(judgements: Sequence[Judgement], language: str = "en") -> str:
    """How many claims had which verdict, in one sentence."""
    counts = Counter(judgement.verdict for judgement in judgements)
    numbers = {verdict.replace(" ", "_"): counts[verdict] for verdict in VERDICTS}
    return word("study.counted", language, total=len(judgements), **numbers)


def sureness(judgements: Sequence[Judgement], language: str = "en") -> tuple[str, ...]:
    """How sure one may be: what stands on an interval, what was judged on, and the directions seen at another scale."""
    judged = [one for one in judgements if one.verdict != "not measured"]
    bounded = sum(one.low is not None for one in judged)
    statements = sum(isinstance(one.reported, bool) for one in judged)
    said = [word("study.sure_judged", language, judged=len(judged), bounded=bounded, statements=statements)]
    directions = Counter(one.same_direction for one in judgements if one.same_direction is not None)
    if directions:
        said.append(word("study.sure_elsewhere", language, same=directions[True], other=directions[False]))
    return tuple(said)
