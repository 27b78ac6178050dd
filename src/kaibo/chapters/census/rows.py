"""The columns of its findings; field names are the names that `--json` prints."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

Why = Mapping[str, str]


@dataclass(frozen=True)
class Quantile:
    """The value below which a share of the finite values lies; `low` = `high` where it is exact."""

    share: float
    low: float
    high: float
