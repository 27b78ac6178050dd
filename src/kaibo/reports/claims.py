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
from kaibo.vocabulary.claims import NOT_SEEN, SEEN, Judgement, Verdict
from kaibo.words import said, word

BARS: tuple[tuple[Verdict, ...], ...] = (("reproduced", "differs"), (SEEN, NOT_SEEN), ("cannot tell", "not measured"))
"""The verdicts by what they rest on, a bar each: the source's own scale, another scale, and nothing that decides."""

VERDICTS: tuple[Verdict, ...] = tuple(verdict for bar in BARS for verdict in bar)
JUDGED = BARS[0]

OPEN_CLAIMS = 4
"""More claims than this that were not measured for one reason are folded away."""

OPEN_DIRECTIONS = 10
"""More claims than this that were measured at another scale are folded away."""


@dataclass(frozen=True)
class Tally:
    """How many claims have each verdict, in a bar for each of `BARS`: (class of the style, how many, what it is)."""

    title: str
    target: str
    bars: tuple[tuple[tuple[str, int, str], ...], ...]

    @property
    def counts(self) -> tuple[tuple[str, int, str], ...]:
        """All bars in one row."""
        return tuple(count for bar in self.bars for count in bar)

    @property
    def total(self) -> int:
        """All claims of it, and the length of the longest bar."""
        return sum(count for _, count, _ in self.counts)


@dataclass(frozen=True)
class ClaimLine:
    """One claim as text: badges as (class, word); `interval`, `basis`, the source's `sentence` and the `command` that
    would measure it may be empty.
    """

    badges: tuple[tuple[str, str], ...]
    claim: str
    source: str
    reported: str
    ours: str
    interval: str
    basis: str
    why: str
    sentence: str = ""
    command: str = ""


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
    said = (
        tuple((style(verdict), counts[verdict], cell("verdict", verdict, language, "study")) for verdict in bar)
        for bar in BARS
    )
    return Tally(title, target, tuple(said))


def claim_groups(judgements: Sequence[Judgement], language: str = "en", title: str = "") -> tuple[ClaimGroup, ...]:
    """The judged claims, then directions at another scale, then what cannot be told and what was not measured, each by
    its reason; empty ones left out.

    `title` stands above them, for a page that shows several studies.
    """
    judged, elsewhere, rest = ([one for one in judgements if one.verdict in bar] for bar in BARS)
    groups = [
        _group(judged, word("study.judged", language), language),
        _group(elsewhere, word("study.elsewhere", language), language, OPEN_DIRECTIONS),
    ]
    for key, verdict in (("study.untold", "cannot tell"), ("study.unmeasured", "not measured")):
        several = [one for one in rest if one.verdict == verdict]
        for reason in dict.fromkeys(_why(one, language) for one in several):
            held = [one for one in several if _why(one, language) == reason]
            groups.append(_group(held, word(key, language, why=reason), language, OPEN_CLAIMS))
    first, *others = [group for group in groups if group.lines] or [ClaimGroup("", ())]
    return (replace(first, heading=title), *others) if first.lines else ()


def _group(held: Sequence[Judgement], title: str, language: str, most: int | None = None) -> ClaimGroup:
    folded = most is not None and len(held) > most
    return ClaimGroup(title, tuple(_line(one, language) for one in held), folded)


def _line(one: Judgement, language: str) -> ClaimLine:
    interval = "" if one.low is None or one.high is None else _interval(one.low, one.high, language)
    basis = "" if one.n is None else word("study.of_n", language, n=shown(one.n))
    values = (_value(one.reported, language), _value(one.ours, language))
    badge = (style(one.verdict), cell("verdict", one.verdict, language, "study"))
    sentence = word("study.sentence", language, said=one.sentence) if one.sentence else ""
    return ClaimLine(
        (badge,), one.claim, one.source, *values, interval, basis, _why(one, language), sentence, one.command
    )


def _interval(low: float, high: float, language: str) -> str:
    return word("study.interval", language, low=shown(low), high=shown(high))


def _value(value: Any, language: str) -> str:
    if isinstance(value, tuple | list):
        return word("study.interval", language, low=shown(value[0]), high=shown(value[1]))
    return cell("reported", value, language)


def _why(one: Judgement, language: str) -> str:
    return "; ".join(escaped(said(reason, language), 1000) for reason in _reasons(one.why))


def _reasons(why: Mapping[str, str]) -> list[str]:
    return [reason for reason in why.values() if reason]


def style(verdict: str) -> str:
    """The class of a verdict in the page's styles, short for the long ones."""
    return verdict.removeprefix("direction ").removesuffix(" at another scale").replace(" ", "-")


def counted(judgements: Sequence[Judgement], language: str = "en") -> str:
    """How many claims had which verdict: of the judged ones always, of the rest where there are any."""
    counts = Counter(judgement.verdict for judgement in judgements)
    parts = (
        ("counted", {"total": len(judgements), "reproduced": counts["reproduced"], "differs": counts["differs"]}),
        ("counted_elsewhere", {"seen": counts[SEEN], "unseen": counts[NOT_SEEN]}),
        ("counted_untold", {"untold": counts["cannot tell"]}),
        ("counted_unmeasured", {"unmeasured": counts["not measured"]}),
    )
    told = [
        word(f"study.{key}", language, **numbers) for key, numbers in parts if key == "counted" or any(numbers.values())
    ]
    return ("" if language == "ja" else " ").join(told)


def sureness(judgements: Sequence[Judgement], language: str = "en") -> tuple[str, ...]:
    """What was judged, and the directions seen at another scale."""
    judged = [one for one in judgements if one.verdict in JUDGED]
    statements = sum(isinstance(one.reported, bool) for one in judged)
    said = [word("study.sure_judged", language, judged=len(judged), statements=statements)]
    counts = Counter(one.verdict for one in judgements)
    if counts[SEEN] + counts[NOT_SEEN]:
        said.append(word("study.sure_elsewhere", language, same=counts[SEEN], other=counts[NOT_SEEN]))
    return tuple(said)
