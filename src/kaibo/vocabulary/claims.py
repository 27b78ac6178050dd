"""What a source reported, and how it compares with what was computed: the verdict is always computed, never typed."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from kaibo.vocabulary.kinds import Kind

Verdict = Literal["reproduced", "differs", "not measured"]

Reported = float | tuple[float, float] | bool
"""What a source may report: a number, an interval, or that something holds."""


@dataclass(frozen=True)
class Claim:
    """One number, interval or statement of a source.

    `of` names the outcome that answers it. A number is reproduced where it lies in our interval widened by the
    tolerance: `absolute`, or `relative` to the reported number, the larger of the two. `scale` is where the source
    measured (`published` for its own models and tables); an outcome of another scale cannot reproduce it.
    """

    id: str
    text: Mapping[str, str]
    source: str
    reported: Reported
    of: str
    absolute: float = 0.0
    relative: float = 0.0
    scale: str = "published"

    @property
    def slack(self) -> float:
        """How far outside our interval the reported number may lie."""
        sizes = [abs(end) for end in self.reported] if isinstance(self.reported, tuple) else [abs(self.reported)]
        return max(self.absolute, self.relative * max(sizes))


@dataclass(frozen=True)
class Outcome:
    """What we computed for one claim: a number with its interval, or whether something holds.

    `scale` is where it was computed: `published` on the source's own models or tables, else a name such as
    `nursery`. `value` is None where it could not be computed, and `why` says why not.
    """

    name: str
    value: float | bool | None
    low: float | None = None
    high: float | None = None
    scale: str = "published"
    n: int | None = None
    why: str = ""


@dataclass(frozen=True)
class Judgement:
    """A claim beside what we found, as JSON has it; `why` says what the verdict rests on.

    `same_direction` is said of what was measured at another scale, which reproduces nothing: whether it has the sign,
    or the truth, of what was reported; None for everything else.
    """

    id: str
    claim: str
    source: str
    reported: Reported
    ours: float | bool | None
    low: float | None
    high: float | None
    scale: str
    n: int | None
    verdict: Verdict
    why: Mapping[str, str] = field(default_factory=dict)
    same_direction: bool | None = None


CLAIMS = Kind(
    "claims",
    Judgement,
    columns=("verdict", "claim", "reported", "ours", "low", "high", "n", "scale", "why"),
    terms={"verdict": "study"},
)


def judge(claims: Sequence[Claim], outcomes: Mapping[str, Outcome], language: str = "en") -> tuple[Judgement, ...]:
    """A judgement for every claim, in their order."""
    return tuple(_judgement(claim, outcomes.get(claim.of), language) for claim in claims)


def _judgement(claim: Claim, ours: Outcome | None, language: str) -> Judgement:
    verdict, why = verdict_on(claim, ours)
    found = ours or Outcome(claim.of, None)
    text = claim.text.get(language) or claim.text["en"]
    seen = (found.value, found.low, found.high, found.scale if ours else "", found.n)
    same = _same_direction(claim, ours) if ours and _known(ours) and ours.scale != claim.scale else None
    return Judgement(claim.id, text, claim.source, claim.reported, *seen, verdict, {"verdict": why}, same)


def verdict_on(claim: Claim, ours: Outcome | None) -> tuple[Verdict, str]:
    """The verdict and what it rests on.

    >>> claim = Claim("a", {"en": "the share is 0.80"}, "s", 0.80, "share", absolute=0.005)
    >>> verdict_on(claim, Outcome("share", 0.79, 0.70, 0.85))[0], verdict_on(claim, Outcome("share", 0.79))[0]
    ('reproduced', 'differs')
    """
    if ours is None or not _known(ours):
        return "not measured", ours.why if ours and ours.why else "its inputs were not given"
    if ours.scale != claim.scale:
        return "not measured", _elsewhere(claim, ours)
    if isinstance(claim.reported, bool) or isinstance(ours.value, bool):
        return ("reproduced", "it holds") if claim.reported == ours.value else ("differs", "it does not hold")
    low, high = _ours(ours)
    least, most = claim.reported if isinstance(claim.reported, tuple) else (claim.reported, claim.reported)
    inside = low - claim.slack <= most and least <= high + claim.slack
    return ("reproduced" if inside else "differs"), _why(claim, ours, inside)


def _why(claim: Claim, ours: Outcome, inside: bool) -> str:
    """What the verdict on a number rests on: our interval, or the tolerance around our value."""
    if ours.low is None:
        near = f"within {claim.slack:g} of ours" if claim.slack else "ours"
        return f"the reported value is {'' if inside else 'not '}{near}"
    widened = f" widened by {claim.slack:g}" if claim.slack else ""
    return f"the reported value lies {'in' if inside else 'outside'} our interval{widened}"


def _known(ours: Outcome) -> bool:
    return ours.value is not None and not (isinstance(ours.value, float) and math.isnan(ours.value))


def _same_direction(claim: Claim, ours: Outcome) -> bool:
    return claim.reported == ours.value if isinstance(claim.reported, bool) else _sign(claim) == _sign_of(ours)


def _elsewhere(claim: Claim, ours: Outcome) -> str:
    """Another scale reproduces nothing; it may show the same direction, and says so."""
    shown = "shows the same direction" if _same_direction(claim, ours) else "does not show the same direction"
    return f"measured at another scale ({ours.scale}), which {shown}"


def _ours(ours: Outcome) -> tuple[float, float]:
    value = float(ours.value or 0.0)
    return (value if ours.low is None else ours.low), (value if ours.high is None else ours.high)


def _sign(claim: Claim) -> int:
    middle = sum(claim.reported) / 2 if isinstance(claim.reported, tuple) else float(claim.reported)
    return (middle > 0) - (middle < 0)


def _sign_of(ours: Outcome) -> int:
    value = float(ours.value or 0.0)
    return (value > 0) - (value < 0)
