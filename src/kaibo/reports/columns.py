"""Which columns of a finding people read: those that its kind names; JSON and CSV have them all."""

from __future__ import annotations

import dataclasses
from typing import Any

from kaibo.vocabulary import Finding

KNOWN = ("one_ulp", "times_resolution", "rounding_l2")
"""Columns that tell something wherever they have a value, also zero."""

TELLING = ("low", "high", "model", "step", "base", "tuned", "by", "key", "nonfinite", "grid", *KNOWN)


def columns_read(finding: Finding[Any]) -> tuple[str, ...]:
    """The columns of a finding that people read; those that say the same in every row are left out."""
    rows = finding.rows
    names = finding.kind.columns or tuple(field.name for field in dataclasses.fields(rows[0]) if field.name != "why")
    present = [name for name in names if hasattr(rows[0], name)]
    return tuple(name for name in present if not _dull(rows, name))


def _dull(rows: tuple[Any, ...], name: str) -> bool:
    """A column that tells nothing: the one model, the one level, no part, no damage and no grid anywhere."""
    values = {getattr(row, name) for row in rows} if name in TELLING else set()
    if name in ("model", "base", "tuned"):
        return len(values) == 1 and len(rows) > 1
    return (name == "by" and len(values) == 1) or values == {None} or (name not in KNOWN and values == {0})
