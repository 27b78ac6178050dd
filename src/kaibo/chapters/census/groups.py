"""Rows gathered by model, layer, role or tensor: the levels at which every question can be asked."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from kaibo.errors import UsageError
from kaibo.vocabulary import LEVELS, By, Census, Row, total
from kaibo.vocabulary.findings import BUFFER

Key = str | int | None


@dataclass(frozen=True)
class Group:
    """The measured tensors of one model that share a key."""

    model: str
    by: By
    key: Key
    rows: tuple[Row, ...]

    def censuses(self) -> list[Census]:
        """One census for each element type that occurs, in the order of the types' names."""
        kinds = sorted({census.dtype for census in _measured(self.rows)})
        return [total(census for census in _measured(self.rows) if census.dtype == kind) for kind in kinds]


def _measured(rows: Iterable[Row]) -> Iterator[Census]:
    return (row.census for row in rows if row.census is not None)


def groups(rows: Sequence[Row], by: By) -> Iterator[Group]:
    """The groups of each model in the order in which models appear; layers by number, tensors outside layers last.

    Raises UsageError for a level that does not exist.
    """
    if by not in LEVELS:
        raise UsageError(f'no level "{by}"', next=f"choose one of {', '.join(LEVELS)}")
    for model in dict.fromkeys(row.model for row in rows):
        members: dict[Key, list[Row]] = {}
        for row in rows:
            if row.model == model and row.census is not None and row.role != BUFFER:
                members.setdefault(_key(row, by), []).append(row)
        for key in sorted(members, key=key_order):
            yield Group(model, by, key, tuple(members[key]))


def key_order(key: Key) -> tuple[bool, int, str]:
    """What keys are sorted by: layers by number, what lies outside them last, names by their letters."""
    return key is None, key if isinstance(key, int) else 0, str(key)


def _key(row: Row, by: By) -> Key:
    return {"model": None, "layer": row.layer, "role": row.role, "tensor": row.tensor}[by]
