"""Adapters and what storing does to a change: records and kinds; field names are what `--json` prints."""

from __future__ import annotations

from dataclasses import dataclass, field

from kaibo.chapters.diff.rows import Why
from kaibo.vocabulary import By
from kaibo.vocabulary.kinds import Kind


@dataclass(frozen=True)
class AdapterRow:
    """An adapter, or its part in a layer, role or tensor.

    `rank` is the greatest exact rank of s·B·A, `lowest` the least; `l2` is ‖s·B·A‖ from the factors, `streamed` the
    L2 of ΔW as counted; the two are one number unless DoRA rescales the sum, too.
    """

    base: str
    tuned: str
    by: By
    key: str | int | None
    adapter: str
    tensors: int
    rank: int
    lowest: int
    parameters: int
    l2: float
    streamed: float | None
    why: Why = field(default_factory=dict)


@dataclass(frozen=True)
class StoringRow:
    """What storing base + ΔW on a grid does: `deleted` share of the `moved` entries, `relative_error` to ‖ΔW‖.

    `base_error` is that of rounding the base alone, relative to ‖ΔW‖, too.
    """

    base: str
    tuned: str
    by: By
    key: str | int | None
    grid: str
    n: int
    moved: int
    deleted: float
    relative_error: float
    base_error: float
    why: Why = field(default_factory=dict)


@dataclass(frozen=True)
class QuantisedRow:
    """The resolution of a grid over the base's weights, and Δ as a multiple of it."""

    base: str
    tuned: str
    by: By
    key: str | int | None
    grid: str
    n: int
    rounding_l1: float
    rounding_l2: float
    l1: float
    l2: float
    times_l1: float | None
    times_l2: float | None
    why: Why = field(default_factory=dict)


@dataclass(frozen=True)
class OverlapFound:
    """How far two adapters act on the same: mean squared cosines of principal angles, beside what chance gives.

    `outputs` of B, `inputs` of A; `closest_…` is the greatest cosine of any angle.
    """

    a: str
    b: str
    by: By
    key: str | int | None
    tensors: int
    outputs: float
    outputs_by_chance: float
    inputs: float
    inputs_by_chance: float
    closest_outputs: float
    closest_inputs: float


ADAPTERS = Kind(
    "adapters",
    AdapterRow,
    __package__,
    label="diff.adapters",
    columns=(
        "tuned",
        "by",
        "key",
        "adapter",
        "tensors",
        "rank",
        "lowest",
        "parameters",
        "l2",
        "streamed",
    ),
)


OVERLAPS = Kind(
    "overlaps",
    OverlapFound,
    __package__,
    label="diff.overlaps",
    columns=(
        "a",
        "b",
        "by",
        "key",
        "tensors",
        "outputs",
        "outputs_by_chance",
        "inputs",
        "inputs_by_chance",
        "closest_outputs",
        "closest_inputs",
    ),
)


QUANTISED = Kind(
    "quantised",
    QuantisedRow,
    __package__,
    label="diff.quantised",
    columns=(
        "tuned",
        "by",
        "key",
        "grid",
        "n",
        "rounding_l1",
        "rounding_l2",
        "l1",
        "l2",
        "times_l1",
        "times_l2",
    ),
)


STORING = Kind(
    "storing",
    StoringRow,
    __package__,
    label="diff.storing",
    columns=(
        "tuned",
        "by",
        "key",
        "grid",
        "n",
        "moved",
        "deleted",
        "relative_error",
        "base_error",
    ),
)
