"""The columns of its findings; field names are the names that `--json` prints."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from kaibo.chapters.spectrum.singular_values import Interval
from kaibo.vocabulary import By
from kaibo.vocabulary.kinds import Drawing, Kind


@dataclass(frozen=True)
class MatrixSpectrum:
    """One matrix of one model. The numbers are those of `Measures`; `part` is the expert in a stack of matrices.

    `alpha` has its standard error, the distance D of its fit, how many eigenvalues its tail holds and from which on;
    `gaussian_norm`, `gaussian_stable_rank` and `gaussian_entropy_rank` are the null's.
    """

    model: str
    by: By
    key: str
    tensor: str
    part: int | None
    layer: int | None
    role: str
    shape: tuple[int, ...]
    method: str
    spectral_norm: float | None
    error: float | None
    frobenius: float | None
    stable_rank: float | None
    entropy_rank: float | None
    erank: float | None
    rank90: int | None
    rank99: int | None
    alpha: float | None
    alpha_error: float | None
    alpha_distance: float | None
    alpha_tail: int | None
    alpha_from: float | None
    alpha_p: float | None
    gaussian_norm: float | None
    gaussian_stable_rank: float | None
    gaussian_entropy_rank: float | None
    above: int | None
    intervals: Mapping[str, Interval] = field(default_factory=dict)
    seen: float | None = None
    why: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class LevelSpectrum:
    """The matrices of one role, layer or model: medians, and the quartiles of the exponent and the stable rank."""

    model: str
    by: By
    key: str | int | None
    tensor: None
    shape: None
    matrices: int
    spectral_norm: float | None
    stable_rank: float | None
    stable_rank_quartiles: Interval | None
    entropy_rank: float | None
    erank: float | None
    rank90: float | None
    rank99: float | None
    alpha: float | None
    alpha_quartiles: Interval | None
    above: float | None
    seen: float | None = None
    why: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class TailRow:
    """The eigenvalues λ = σ² of one matrix: `points` are (λ, share of eigenvalues at or above λ), the largest first.

    `alpha`, `start` and `tail_share` say where the fitted line runs: from (`start`, `tail_share`), falling with
    α − 1. `edge` is the largest eigenvalue of the Gaussian null.
    """

    model: str
    tensor: str
    alpha: float
    distance: float
    start: float
    tail_share: float
    edge: float
    points: tuple[tuple[float, float], ...]
    why: Mapping[str, str] = field(default_factory=dict)


SPECTRUM = Kind(
    "spectrum",
    MatrixSpectrum,
    __package__,
    columns=(
        "model",
        "by",
        "key",
        "shape",
        "method",
        "spectral_norm",
        "stable_rank",
        "entropy_rank",
        "rank90",
        "rank99",
        "alpha",
        "alpha_error",
        "alpha_distance",
        "gaussian_norm",
        "gaussian_stable_rank",
        "above",
    ),
    figures={
        "alpha": Drawing("alpha_over_depth", "spectrum.alpha_title", "spectrum.alpha_caption"),
        "stable_rank": Drawing("stable_rank_over_depth", "spectrum.stable_rank_title", "spectrum.stable_rank_caption"),
    },
)
SPECTRUM_LEVELS = Kind(
    "spectrum-levels",
    LevelSpectrum,
    __package__,
    columns=(
        "model",
        "by",
        "key",
        "matrices",
        "spectral_norm",
        "stable_rank",
        "entropy_rank",
        "rank90",
        "rank99",
        "alpha",
        "above",
    ),
)
SPECTRUM_TAILS = Kind(
    "spectrum-tails",
    TailRow,
    __package__,
    columns=(
        "model",
        "tensor",
        "alpha",
        "distance",
        "start",
        "tail_share",
        "edge",
    ),
    figures={"tails": Drawing("tails", "spectrum.tails_title", "spectrum.tails_caption")},
)
