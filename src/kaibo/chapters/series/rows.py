"""The columns of its findings; field names are the names that `--json` prints."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from kaibo.vocabulary.kinds import Drawing, Kind


@dataclass(frozen=True)
class AuditRow:
    """One thing that is not as a run leaves it: what kind, which checkpoints, and the evidence in one sentence."""

    kind: str
    checkpoints: tuple[str, ...]
    evidence: str


@dataclass(frozen=True)
class SeriesCheckpoint:
    """One checkpoint on its trajectory.

    `norm` is ‖θ‖; `from_start` and `to_end` are distances to the first and the last checkpoint, `step_length` to the
    one before, `cosine` is between the update that leads here and the next one, `rate` the step length per step,
    normalised. `sigma`, `stable_rank` and `entropy_rank` are by role. `flags` are the kinds of what the audit found.
    """

    model: str
    name: str
    step: int | None
    model_id: str
    n: int
    norm: float
    from_start: float | None
    to_end: float | None
    step_length: float | None
    cosine: float | None
    rate: float | None
    mae: float
    nonfinite: int
    sigma: Mapping[str, float]
    stable_rank: Mapping[str, float]
    entropy_rank: Mapping[str, float]
    flags: tuple[str, ...] = ()
    why: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class RevisionRow:
    """A revision of the hub as its published hashes tell it, nothing of its weights read.

    `content` names its weight files, `bytes` long; `same_as` is the first revision of all runs with equal ones.
    """

    model: str
    name: str
    step: int | None
    commit: str
    files: int
    bytes: int
    content: str
    same_as: str | None


@dataclass(frozen=True)
class SeriesRow:
    """A whole series: its checkpoints in order, what the audit found, the exponent p of ‖Δ‖ ∝ steps^p, and the
    spread of ln(step length) around its trend, against which jumps are judged."""

    checkpoints: tuple[SeriesCheckpoint, ...]
    findings: tuple[AuditRow, ...]
    exponent: float
    spread: float


SERIES = Kind("series", SeriesRow, __package__)
SERIES_AUDIT = Kind(
    "series-audit",
    AuditRow,
    __package__,
    terms={"kind": "audit"},
    columns=(
        "kind",
        "checkpoints",
        "evidence",
    ),
)
SERIES_REVISIONS = Kind(
    "series-revisions",
    RevisionRow,
    __package__,
    columns=("name", "step", "files", "bytes", "content", "same_as"),
)
SERIES_CHECKPOINTS = Kind(
    "series-checkpoints",
    SeriesCheckpoint,
    __package__,
    columns=(
        "name",
        "step",
        "norm",
        "from_start",
        "to_end",
        "step_length",
        "cosine",
        "rate",
        "mae",
        "nonfinite",
    ),
    figures={
        "norm": Drawing("norm", "series.norm_title", "series.norm_caption"),
        "distance": Drawing("distance", "series.distance_title", "series.distance_caption"),
        "step_length": Drawing("step_length", "series.step_length_title", "series.step_length_caption"),
        "rate": Drawing("rate", "series.rate_title", "series.rate_caption"),
        "cosine": Drawing("cosine", "series.cosine_title", "series.cosine_caption"),
        "mae": Drawing("mae", "series.mae_title", "series.mae_caption"),
        "sigma": Drawing("sigma", "series.sigma_title", "series.sigma_caption"),
        "stable_rank": Drawing("stable_rank", "series.stable_rank_title", "series.stable_rank_caption"),
        "entropy_rank": Drawing("entropy_rank", "series.entropy_rank_title", "series.entropy_rank_caption"),
    },
)
