"""Decimal point or decimal comma: one notation a column, decided by all its cells, then by the rest of the file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from kaibo.errors import FormatError, UsageError, escaped
from kaibo.tables.files.cells import Notation, Scan

MOSTLY_NUMBERS = 0.5
"""The share of numbers among its filled cells from which a column says something about the file's notation."""

BEYOND_SCORES = 10_000
"""No benchmark counts so high: ratings (Elo) stay below 3,000, scores of games below 10,000."""

SAYS: Mapping[str, Notation] = {"point": "point", ".": "point", "comma": "comma", ",": "comma"}


@dataclass(frozen=True)
class Written:
    """What is known of a table besides its cells.

    `delimiter` separates its cells (empty where nothing does); `typed` says that the file knows numbers itself, so
    that a text in one column is no evidence for another; `decimal` and `units` are what the user told.
    """

    file: str
    delimiter: str = ""
    typed: bool = False
    decimal: Mapping[str, str] = field(default_factory=dict)
    units: Mapping[str, str] = field(default_factory=dict)


def notations(
    names: Sequence[str], scans: Sequence[Scan | None], written: Written
) -> tuple[list[Notation], tuple[str, ...]]:
    """The notation of each column (None stands for a column of texts) and notes on what was not plain to see.

    A column's own cells decide, then what the user told, then the other columns of the file, then the range.
    Raises FormatError where a comma may group thousands or stand before decimals and nothing tells which.
    """
    for said in written.decimal.values():
        if said not in SAYS:
            raise UsageError(f'--decimal takes point or comma, not "{said}"')
    own: list[Notation | None] = [_own(name, found, written) for name, found in zip(names, scans, strict=True)]
    seen = {notation for notation in own if notation is not None}
    shared = seen.pop() if len(seen) == 1 and not written.typed else None
    decided: list[Notation] = []
    inferred: list[str] = []
    for name, found, notation in zip(names, scans, own, strict=True):
        if notation is None and found is not None and found.open.any() and found.numbers_share > MOSTLY_NUMBERS:
            notation = shared or _usual(name, found, written)
            inferred += [name] if notation == "comma" or found.has_open_commas else []
        decided.append(notation or "point")
    return decided, _notes(inferred, dict(zip(names, decided, strict=True)))


def _own(name: str, found: Scan | None, written: Written) -> Notation | None:
    if found is None:
        return None
    told = written.decimal.get(name, written.decimal.get(""))
    if told is not None:
        return SAYS[told]
    if found.numbers_share <= MOSTLY_NUMBERS:
        return None
    return found.evidence or ("comma" if _by_range(name, found, written) else None)


def _by_range(name: str, found: Scan, written: Written) -> bool:
    """Whether the values can only have been written with a decimal comma: thousands would be no score."""
    open_ = found.open
    if not open_.any() or not found.has_open_commas:
        return False
    thousands, decimals = found.point[open_], found.comma[open_]
    if not (np.abs(decimals) <= 100).all():
        return False
    percent = all(found.plain[place].endswith("%") for place in np.flatnonzero(open_))
    told = written.units.get(name) in ("percent", "fraction")
    # Spreadsheets separate with semicolons exactly where the comma is taken by the decimals.
    semicolons = written.delimiter == ";" and bool((np.abs(thousands) > BEYOND_SCORES).any())
    return percent or told or semicolons


def _usual(name: str, found: Scan, written: Written) -> Notation:
    if not found.has_open_commas:
        return "point"
    place = next(place for place in np.flatnonzero(found.open) if "," in found.plain[place])
    raise FormatError(
        f'column "{escaped(name, 80)}": "{found.plain[place]}" may be {found.point[place]:.15g} or '
        f"{found.comma[place]:.15g}, and no cell tells which",
        file=written.file,
        next="say which with --decimal comma or --decimal point (or --decimal 'COLUMN=comma')",
    )


def _notes(inferred: Sequence[str], decided: Mapping[str, Notation]) -> tuple[str, ...]:
    notes = []
    for notation, meaning in (("comma", "a decimal comma"), ("point", "a comma between thousands")):
        columns = [f'"{escaped(name, 60)}"' for name in inferred if decided[name] == notation]
        if columns:
            more = f" and {len(columns) - 5} more" if len(columns) > 5 else ""
            notes.append(f"read with {meaning}, as in the other columns: {', '.join(columns[:5])}{more}")
    return tuple(notes)
