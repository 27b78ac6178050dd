"""What a source reported, and how it compares with what was computed: the verdict is always computed, never typed."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, Literal

from kaibo.vocabulary.kinds import Kind
from kaibo.words import Note, note

Verdict = Literal[
    "reproduced",
    "differs",
    "direction seen at another scale",
    "direction not seen at another scale",
    "cannot tell",
    "not measured",
]

SEEN: Final = "direction seen at another scale"
NOT_SEEN: Final = "direction not seen at another scale"
ROUNDING = 1e-12
"""How far two equal numbers may be apart, relative to the larger."""

Reported = float | tuple[float, float] | bool
"""What a source may report: a number, an interval, or that something holds."""


@dataclass(frozen=True)
class Claim:
    """One number, interval or statement of a source, and the `sentence` of the source that it stands for.

    `of` names the outcome that answers it. On the source's own data a number is reproduced within the tolerance:
    `absolute`, or `relative` to the reported number, the larger of the two. On other data it must lie in our interval
    (widened by the tolerance), and that interval must exclude the `alternative`: the number that would say the
    opposite, 0 where none is stated. `scale` is where the source measured (`published` for its own models and
    tables); an outcome of another scale cannot reproduce it. `command` would measure what was not measured.
    """

    id: str
    text: Mapping[str, str]
    source: str
    reported: Reported
    of: str
    absolute: float = 0.0
    relative: float = 0.0
    scale: str = "published"
    alternative: float = 0.0
    sentence: str = ""
    command: str = ""

    @property
    def slack(self) -> float:
        """How far from the reported number ours may lie."""
        sizes = [abs(end) for end in self.reported] if isinstance(self.reported, tuple) else [abs(self.reported)]
        return max(self.absolute, self.relative * max(sizes))

    @property
    def ends(self) -> tuple[float, float]:
        """The reported number, or interval, as an interval."""
        return self.reported if isinstance(self.reported, tuple) else (float(self.reported), float(self.reported))


@dataclass(frozen=True)
class Outcome:
    """What we computed for one claim: a number with its interval, or whether something holds.

    `scale` is where it was computed: `published` on the source's own models or tables or ones like them, else a name
    such as `nursery`. `own` says whether those are the source's own data. `value` is None where nothing was measured,
    and also, with the `n` values that were, where these cannot tell; `why` says why.
    """

    name: str
    value: float | bool | None
    low: float | None = None
    high: float | None = None
    scale: str = "published"
    n: int | None = None
    why: str = ""
    own: bool = True

    @property
    def known(self) -> bool:
        """Whether there is a value."""
        return self.value is not None and not (isinstance(self.value, float) and math.isnan(self.value))

    @property
    def ends(self) -> tuple[float, float]:
        """The interval, or the value where there is none."""
        value = float(self.value or 0.0)
        return (value if self.low is None else self.low), (value if self.high is None else self.high)


@dataclass(frozen=True)
class Judgement:
    """A claim beside what we found, as JSON has it; `why` says what the verdict rests on.

    `sentence` is the source's own; `command` would measure what was not measured, and is empty for the rest.
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
    sentence: str = ""
    command: str = ""


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
    command = claim.command if verdict == "not measured" else ""
    return Judgement(
        claim.id, text, claim.source, claim.reported, *seen, verdict, {"verdict": why}, claim.sentence, command
    )


def verdict_on(claim: Claim, ours: Outcome | None) -> tuple[Verdict, str]:
    """The verdict and what it rests on.

    >>> claim = Claim("a", {"en": "r is -0.17"}, "s", -0.17, "r", absolute=0.005)
    >>> verdict_on(claim, Outcome("r", -0.172))[0], verdict_on(claim, Outcome("r", -0.2))[0]
    ('reproduced', 'differs')
    >>> verdict_on(claim, Outcome("r", -0.2, -0.3, -0.1, own=False))[0]
    'reproduced'
    >>> verdict_on(claim, Outcome("r", 0.6, -0.90, 0.98, own=False))[0]  # also holds the opposite of the claim
    'cannot tell'
    """
    if ours is None or not (ours.known or ours.n is not None):
        return "not measured", ours.why if ours and ours.why else note("claim_inputs")
    if not ours.known:
        return "cannot tell", ours.why or note("claim_undecided")
    if ours.scale != claim.scale:
        return _direction(claim, ours)
    if isinstance(claim.reported, bool) or isinstance(ours.value, bool):
        return ("reproduced", note("claim_holds")) if claim.reported == ours.value else ("differs", note("claim_fails"))
    return _by_tolerance(claim, ours) if ours.own else _by_interval(claim, ours)


def _by_tolerance(claim: Claim, ours: Outcome) -> tuple[Verdict, str]:
    """On the source's own data what it reported can be computed again: the tolerance decides, no interval."""
    value, (least, most) = float(ours.value or 0.0), claim.ends
    inside = _up_to(value - claim.slack, most) and _up_to(least, value + claim.slack)
    return ("reproduced" if inside else "differs"), _beside(claim, "in_value" if inside else "out_value")


def _up_to(number: float, end: float) -> bool:
    """Whether a number is at most another, but for rounding."""
    return number <= end or math.isclose(number, end, rel_tol=ROUNDING)


def _by_interval(claim: Claim, ours: Outcome) -> tuple[Verdict, str]:
    """On other data: outside our interval it differs; inside, only an interval that excludes the opposite counts."""
    (low, high), (least, most) = ours.ends, claim.ends
    if not (_up_to(low - claim.slack, most) and _up_to(least, high + claim.slack)):
        return "differs", _beside(claim, "out_interval")
    if low <= claim.alternative <= high:
        return "cannot tell", note("claim_both", alternative=f"{claim.alternative:g}")
    return "reproduced", _beside(claim, "in_interval")


def _direction(claim: Claim, ours: Outcome) -> tuple[Verdict, str]:
    """Another scale reproduces nothing; it may show the same direction, or not, or not tell."""
    if isinstance(claim.reported, bool) or isinstance(ours.value, bool):
        same = claim.reported == ours.value
    elif ours.ends[0] <= claim.alternative <= ours.ends[1] and ours.low is not None:
        return "cannot tell", note("claim_both", alternative=f"{claim.alternative:g}")
    else:
        middle, value = sum(claim.ends) / 2 - claim.alternative, float(ours.value or 0.0) - claim.alternative
        same = (middle > 0) - (middle < 0) == (value > 0) - (value < 0)
    key = "claim_elsewhere" if same else "claim_elsewhere_not"
    return (SEEN if same else NOT_SEEN), note(key, scale=ours.scale)


def _beside(claim: Claim, key: str) -> Note:
    """How the reported value lies to ours, with the tolerance where there is one."""
    if max(claim.absolute, claim.relative):
        return note(f"claim_{key}", slack=f"{claim.slack:g}")
    return note(f"claim_{key}_exact")
