"""What rounding to a grid does to a tensor and to a known change of it."""

from __future__ import annotations

from dataclasses import dataclass

GRIDS = ("bf16", "f16", "nf4", "int8")
"""The grids that storing is measured for; see `kaibo.counting.rounding`."""

QUANTISED = ("nf4", "int8")
"""Those of them that are made for the matrices of linear layers only."""


@dataclass(frozen=True)
class Rounding:
    """Sums over the n finite values of one tensor: W, its change Δ (zero where none is known), and Q, the grid.

    `moved` counts Δ ≠ 0, `deleted` those of them with Q(W + Δ) = Q(W). `delta` and `delta_square` are Σ|Δ| and ΣΔ²,
    `error_square` is Σ(Q(W + Δ) − W − Δ)², `base` and `base_square` are Σ|Q(W) − W| and Σ(Q(W) − W)².
    """

    grid: str
    n: int
    moved: int
    deleted: int
    delta: float
    delta_square: float
    error_square: float
    base: float
    base_square: float


@dataclass(frozen=True)
class Placed:
    """Where a tensor of a tuned model stands: addresses of base and tuned, canonical name, layer and role."""

    base: str
    tuned: str
    tensor: str
    layer: int | None
    role: str


@dataclass(frozen=True)
class RoundingRow:
    """The rounding of one tensor. `delta` and `delta_square` of it are those of Δ, however Δ was found."""

    at: Placed
    rounding: Rounding


@dataclass(frozen=True)
class LowRankRow:
    """One update of an adapter, from its factors alone.

    `rank` is the numerical rank of s·B·A and `spectrum` its singular values, descending; `square` is ‖s·B·A‖²,
    `streamed` Σ ΔW² as it was counted (None where it was not), `plain` whether ΔW is s·B·A and nothing else.
    """

    at: Placed
    kind: str
    rank: int
    parameters: int
    spectrum: tuple[float, ...]
    square: float
    streamed: float | None
    plain: bool


@dataclass(frozen=True)
class OverlapRow:
    """Two updates of one weight: the cosines of the principal angles between their outputs and between their inputs.

    `outputs` compares the spaces that B spans, `inputs` those of A; `dimensions` are how many outputs and inputs the
    weight has, `ranks` the dimensions of the two updates.
    """

    a: Placed
    b: Placed
    outputs: tuple[float, ...]
    inputs: tuple[float, ...]
    dimensions: tuple[int, int]
    ranks: tuple[int, int]
