"""The columns of its findings; field names are the names that `--json` prints."""

from __future__ import annotations

from dataclasses import dataclass, field

from kaibo.vocabulary.kinds import Kind


@dataclass(frozen=True)
class DecodeRow:
    """What the models wrote after one prompt.

    `ended` says why it ends: `end`, `limit`, or `empty` where no token had a probability above zero. `mass` is the
    mean of the positive part before it was renormalised; None where nothing was written.
    """

    models: tuple[str, ...]
    combine: str
    weights: tuple[float, ...]
    sequence: int
    prompt: str
    text: str
    tokens: int
    ended: str
    mass: float | None
    seed: int
    why: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class InverseRow:
    """One sequence over a series: nats per token under each checkpoint, and how they rise from first to last.

    `kendall` is the rank correlation of nats with the order of the checkpoints. `inverse` says that the rise is above
    0 and q is below 5 %.
    """

    sequence: int
    text: str
    tokens: int
    checkpoints: tuple[str, ...]
    steps: tuple[int | None, ...]
    mean_nats: tuple[float, ...]
    rise: float | None
    rise_low: float | None
    rise_high: float | None
    p: float | None
    q: float | None
    kendall: float | None
    inverse: bool
    why: dict[str, str] = field(default_factory=dict)


DECODE = Kind(
    "decode",
    DecodeRow,
    __package__,
    columns=(
        "sequence",
        "combine",
        "prompt",
        "text",
        "tokens",
        "ended",
        "mass",
    ),
)
INVERSE_SCALING = Kind(
    "inverse-scaling",
    InverseRow,
    __package__,
    columns=(
        "sequence",
        "text",
        "tokens",
        "mean_nats",
        "rise",
        "rise_low",
        "rise_high",
        "q",
        "kendall",
        "inverse",
    ),
)
