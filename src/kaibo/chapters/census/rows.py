"""The columns of its findings; field names are the names that `--json` prints."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from kaibo.vocabulary.kinds import Kind

Why = Mapping[str, str]


@dataclass(frozen=True)
class Quantile:
    """The value below which a share of the finite values lies; `low` = `high` where it is exact."""

    share: float
    low: float
    high: float


@dataclass(frozen=True)
class CensusRow:
    """One model whose census is in the store.

    `tensors` and `values` count what was measured as weights, `listed` the tensors that are not weights; `read` of
    the tensors were read now and `known` looked up; `bytes` were read in `seconds` (0 where all was known).
    """

    model: str
    model_id: str | None
    family: str
    tensors: int
    values: int
    listed: int
    read: int
    known: int
    bytes: int
    seconds: float
    why: dict[str, str] = field(default_factory=dict)


CENSUS = Kind("census", CensusRow, __package__)
