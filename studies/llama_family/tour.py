"""The identities of the architecture on the reference implementation; without torch the study goes on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import kaibo

STOPS = {
    "rope-distance": "distance",
    "rope-matrix": "rotation",
    "linear-rotary": "linear",
    "swiglu": "gate",
    "gqa-forms": "groups",
    "rmsnorm-formula": "norm",
}
"""Claims about formulas, and the stop of the tour that computes each of them two ways."""


@dataclass(frozen=True)
class Walked:
    """The tour, or why there was none."""

    found: Any | None
    why: str = ""


def measure() -> Walked:
    """Walks through the reference; what is missing for it is said, and is no reason to stop."""
    try:
        return Walked(kaibo.tour("llama"))
    except kaibo.KaiboError as missing:
        return Walked(None, f"{missing.message}; {missing.next}" if missing.next else missing.message)


def results(walked: Walked) -> kaibo.Results:
    """The stops, and a verdict on every formula that has one."""
    if walked.found is None:
        outcomes = tuple(kaibo.Outcome(name, None, why=kaibo.note("family_why_10")) for name in STOPS)
        return kaibo.Results(outcomes=outcomes, sentences=(("no-tour", {"why": walked.why}),))
    stops = {row.stop: row for row in walked.found}
    outcomes = tuple(kaibo.Outcome(name, bool(stops[stop].holds), n=1) for name, stop in STOPS.items())
    checked = [row for row in walked.found if row.difference is not None]
    largest = max(row.difference for row in checked)
    said = ("tour", {"count": len(checked), "held": sum(row.holds for row in checked), "largest": largest})
    return kaibo.Results({"tour": walked.found}, outcomes, (said,))
