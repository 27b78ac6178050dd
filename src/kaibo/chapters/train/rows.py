"""The columns of its findings; field names are the names that `--json` prints."""

from __future__ import annotations

from dataclasses import dataclass

from kaibo.vocabulary.kinds import Kind


@dataclass(frozen=True)
class StoredRun:
    """A run that the store knows; `there` says whether its account is still where it was written."""

    run: str
    out: str
    kind: str
    base: str
    method: str
    seed: int
    learning_rate: float
    data: str
    steps: int
    loss_first: float | None
    loss_last: float | None
    seconds: float
    fingerprint: str
    there: bool


RUNS = Kind(
    "runs",
    StoredRun,
    __package__,
    columns=(
        "run",
        "kind",
        "base",
        "method",
        "data",
        "steps",
        "loss_last",
        "seconds",
        "out",
        "there",
    ),
)
