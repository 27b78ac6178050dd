"""The columns of its findings; field names are the names that `--json` prints."""

from __future__ import annotations

from dataclasses import dataclass

from kaibo.vocabulary.kinds import Kind


@dataclass(frozen=True)
class CheckRow:
    """One thing that was looked at: is it in order, what was found, and what to do where it is not."""

    check: str
    ok: bool
    found: str
    next: str | None = None


DOCTOR = Kind("doctor", CheckRow, __package__)
