"""The columns of its findings; field names are the names that `--json` prints."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from kaibo.chapters.trajectories.crossings import Crossing
from kaibo.chapters.trajectories.nested import SizeGivenPerplexity
from kaibo.chapters.trajectories.shapes import Shape
from kaibo.vocabulary.kinds import Drawing, Kind


@dataclass(frozen=True)
class Explained:
    """How much of a score one variable explains: R² of a smooth curve, the same predicted over left-out sizes (for
    size itself over left-out steps), and the curve as points (x, y) with x in natural units.
    """

    against: str
    r2: float
    r2_left_out: float
    curve: tuple[tuple[float, float], ...]


@dataclass(frozen=True)
class TrajectoryPoint:
    """One checkpoint: model, size, step, tokens, FLOPs, perplexity and the score with its 95 % interval (standard error
    × 1.96, of a perplexity on the scale of nats), and the exponential average of the run up to it.
    """

    model: str
    parameters: float
    step: float
    tokens: float
    flops: float
    perplexity: float
    value: float
    low: float | None = None
    high: float | None = None
    smoothed: float | None = None


@dataclass(frozen=True)
class TrajectoryRow:
    """One score over all checkpoints. `best` is the variable whose curve predicts left-out sizes best; linearity and
    breakthroughness are those over size, `shapes` has them with their intervals, over the FLOPs of each run as well.
    """

    benchmark: str
    n: int
    explained: tuple[Explained, ...]
    best: str
    size_adds: SizeGivenPerplexity | None
    crossings: tuple[Crossing, ...]
    linearity: float
    breakthroughness: float
    points: tuple[TrajectoryPoint, ...]
    shapes: tuple[Shape, ...] = ()
    why: Mapping[str, str] = field(default_factory=dict)

    @property
    def checkpoints(self) -> int:
        """`n` under the name that tables give it."""
        return self.n

    @property
    def r2_perplexity(self) -> float | None:
        """How well perplexity predicts left-out sizes."""
        return self._left_out("perplexity")

    @property
    def r2_flops(self) -> float | None:
        """How well training FLOPs predict left-out sizes."""
        return self._left_out("flops")

    @property
    def r2_size(self) -> float | None:
        """How well size predicts left-out steps."""
        return self._left_out("size")

    @property
    def gain(self) -> float | None:
        """What size adds to perplexity, in R² on left-out sizes."""
        return self.size_adds.gain if self.size_adds else None

    @property
    def gain_null(self) -> float | None:
        """The 95 % quantile of that gain where size adds nothing."""
        return self.size_adds.gain_null if self.size_adds else None

    @property
    def gain_p(self) -> float | None:
        """The share of draws without any effect of size that gain as much."""
        return self.size_adds.gain_p if self.size_adds else None

    @property
    def size_effect(self) -> float | None:
        """What a tenfold size changes in the score at one perplexity, where it changes most."""
        return self.size_adds.effect if self.size_adds else None

    @property
    def size_effect_low(self) -> float | None:
        """The lower end of its interval, over all perplexities that are asked."""
        return self.size_adds.effect_low if self.size_adds else None

    @property
    def size_effect_high(self) -> float | None:
        """The upper end."""
        return self.size_adds.effect_high if self.size_adds else None

    def _left_out(self, against: str) -> float | None:
        return next((one.r2_left_out for one in self.explained if one.against == against), None)


TRAJECTORIES = Kind(
    "trajectories",
    TrajectoryRow,
    __package__,
    opens=True,
    label="trajectories.scores",
    terms={"best": "axis"},
    columns=(
        "benchmark",
        "checkpoints",
        "best",
        "r2_perplexity",
        "r2_flops",
        "r2_size",
        "size_effect",
        "size_effect_low",
        "size_effect_high",
        "gain",
        "gain_null",
        "gain_p",
        "linearity",
        "breakthroughness",
    ),
    figures={
        "perplexity": Drawing("perplexity", "trajectories.perplexity_title", "trajectories.perplexity_caption"),
        "flops": Drawing("flops", "trajectories.flops_title", "trajectories.flops_caption"),
        "size": Drawing("sizes", "trajectories.size_title", "trajectories.size_caption"),
        "options": Drawing("options", "trajectories.options_title", "trajectories.options_caption"),
        "tokens": Drawing("tokens", "trajectories.tokens_title", "trajectories.tokens_caption"),
        "step": Drawing("steps", "trajectories.step_title", "trajectories.step_caption"),
        "r2": Drawing("what_explains", "trajectories.r2_title", "trajectories.r2_caption"),
    },
)
