"""A run as a series of checkpoints: what is known of each by itself, and how far each is from others."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class CheckpointFacts:
    """One checkpoint, measured: sums of its weights, and what kind of model it is.

    `sigma` is σ by role, `stable_rank` and `entropy_rank` medians by role (empty unless asked for). `dtypes` and
    `shapes` are by canonical tensor name. `saved_step` is what the trainer's own record says.
    """

    address: str
    name: str
    step: int | None
    model_id: str
    n: int
    norm: float
    mae: float
    nonfinite: int
    sigma: Mapping[str, float]
    dtypes: Mapping[str, str] = field(default_factory=dict)
    shapes: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    saved_step: int | None = None
    stable_rank: Mapping[str, float] = field(default_factory=dict)
    entropy_rank: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Unreadable:
    """A checkpoint that could not be measured, and why."""

    name: str
    step: int | None
    why: str


@dataclass(frozen=True)
class ConfigChange:
    """Something beside the weights that differs between two neighbours."""

    before: str
    after: str
    what: str
    old: str
    new: str


Distances = Mapping[tuple[int, int], float]
"""‖θ_j − θ_i‖ by the places (i, j), i < j, of two checkpoints."""
