"""The columns of its findings; field names are the names that `--json` prints."""

from __future__ import annotations

from dataclasses import dataclass

from kaibo.vocabulary.kinds import Kind
from kaibo.words import Note


@dataclass(frozen=True)
class MeasureRow:
    """One measurement of the store: its name as `store:NAME` takes it, how many models have it, what it is."""

    name: str
    models: int
    meaning: Note

    @property
    def measure(self) -> str:
        """What `correlate` takes for it."""
        return f"store:{self.name}"


MEASURES = Kind("measures", MeasureRow, __package__, columns=("measure", "models", "meaning"))
