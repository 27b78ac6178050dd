"""What was found broken in a store."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Damage:
    """A part or a ledger entry that cannot be trusted; what it held counts as unknown and is measured again.

    `table` and `rows` are None where they cannot be known. `set_aside` says whether the file could be moved to
    the quarantine (a read-only store is left as it is, the part only ignored).
    """

    file: str
    table: str | None
    rows: int | None
    why: str
    set_aside: bool

    @property
    def sentence(self) -> str:
        """The same in words."""
        rows = "" if self.rows is None else f", {self.rows} rows"
        done = "set aside" if self.set_aside else "ignored"
        return f"{self.file} ({self.table or 'unknown table'}{rows}): {self.why}; {done}, to be measured again"
