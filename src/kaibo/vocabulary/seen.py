"""What share of a model's parameters a finding saw; below nine tenths it states numbers and gives no verdict."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

from kaibo.vocabulary.findings import Finding
from kaibo.vocabulary.kinds import R
from kaibo.words import Note, note

ENOUGH = 0.9
"""Of the parameters must be decoded, so that anything is concluded about the model."""

VERDICTS = ("conformity", "grid")
"""Columns that judge what was seen."""


def with_seen(finding: Finding[R], share_of: Callable[[Any], float]) -> Finding[R]:
    """The finding with the share that each row saw; where that is too little its verdicts are withheld, with why."""
    rows = tuple(_judged(row, share_of(row)) for row in finding.rows)
    return Finding(finding.kind, rows, finding.notes, finding.provenance)


def _judged(row: Any, share: float) -> Any:
    """A row, which has the columns `seen` and `why`, with the share; its verdicts withheld where that is too little."""
    names = {field.name for field in dataclasses.fields(row)}
    withheld: dict[str, Any] = dict.fromkeys(names.intersection(VERDICTS))
    if share >= ENOUGH or not withheld:
        return dataclasses.replace(row, seen=share)
    why = {**row.why, **dict.fromkeys(withheld, note("seen_only", share=in_percent(share)))}
    return dataclasses.replace(row, seen=share, why=why, **withheld)


def in_percent(share: float) -> str:
    """A share that says 100 % only where nothing is missing.

    >>> in_percent(1.0), in_percent(0.99999), in_percent(0.0321)
    ('100 %', '99.99 %', '3.21 %')
    """
    return f"{min(100 * share, 99.99 if share < 1 else 100):.4g} %"


def seen_note(share: float, stored: str) -> Note | None:
    """The sentence about a model of which not everything was seen; `stored` says what it holds."""
    if share == 1.0:
        return None
    if share == 0.0:
        return note("seen_nothing", stored=stored)
    return note("seen_little" if share < ENOUGH else "seen_share", share=in_percent(share))
