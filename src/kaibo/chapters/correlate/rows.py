"""The columns of its findings; field names are the names that `--json` prints."""

from __future__ import annotations

from dataclasses import dataclass

from kaibo.vocabulary.kinds import Kind


@dataclass(frozen=True)
class MeasureRow:
    """One measurement of the store: its name as `store:NAME` takes it, how many models have it, what it is."""

    name: str
    models: int
    meaning: str


MEASURES = Kind("measures", MeasureRow, __package__)
