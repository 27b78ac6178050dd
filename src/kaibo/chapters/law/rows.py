"""What laws and forecasts say: the records whose fields `--json` prints."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from kaibo.vocabulary.kinds import Drawing, Kind
from kaibo.words import Note

Interval = tuple[float, float]


@dataclass(frozen=True)
class Residual:
    """One model under the law: observed and predicted target, its prediction interval, and the training FLOPs with
    which the reference family would do as well (None without one). `train` is true where the law that predicts it was
    fitted on it, too; under a split by family none was.
    """

    model: str
    family: str
    train: bool
    observed: float
    predicted: float
    low: float
    high: float
    residual: float
    equivalent_flops: float | None


@dataclass(frozen=True)
class Comparison:
    """Test error of one law less that of another, with a paired bootstrap over the families tested; `share` is the
    share of draws in which the first is better. None, with a `why`, where the families are too few to be drawn.
    """

    first: str
    second: str
    difference: float
    low: float | None = None
    high: float | None = None
    share: float | None = None
    why: Mapping[str, Note] = field(default_factory=dict)


@dataclass(frozen=True)
class LawRow:
    """The laws of one target; `train_mse`, `test_mse`, `parameters`, `intervals` are keyed by predictor set.

    Size and FLOPs enter as natural logarithms. `chosen` is the component law that residuals, intervals and `raw` (the
    weights on the benchmarks as they are) speak of; `cross_validated` the error of each number of components where
    nested cross-validation chose it, `nested_error` the error of that whole procedure. `coverage` is the share of
    tested models inside their 95 % prediction interval, which was made without them; under a split by family the
    law and the interval of each family are those of the others.
    """

    target: str
    form: str
    loss: str
    split: str
    chance: float
    n_train: int
    n_test: int
    predictors: tuple[str, ...]
    chosen: str
    train_mse: Mapping[str, float]
    test_mse: Mapping[str, float | None]
    parameters: Mapping[str, Mapping[str, float]]
    intervals: Mapping[str, Mapping[str, Interval]]
    raw: Mapping[str, float]
    comparisons: tuple[Comparison, ...]
    residuals: tuple[Residual, ...]
    coverage: float | None
    cross_validated: tuple[float, ...] = ()
    nested_error: float | None = None
    reference: str | None = None
    why: Mapping[str, Note] = field(default_factory=dict)


@dataclass(frozen=True)
class ForecastRow:
    """What a law says of a model that is not in the table, on the target's fraction scale above chance.

    `value` lies in [`low`, `high`] with 95 %; `extrapolated` says that a predictor lies outside the training range.
    """

    model: str
    target: str
    predictor: str
    value: float
    low: float
    high: float
    extrapolated: bool
    why: Mapping[str, str] = field(default_factory=dict)


LAW = Kind(
    "law",
    LawRow,
    __package__,
    opens=True,
    figures={
        "predictions": Drawing("predictions", "law.predictions_title", "law.predictions_caption"),
        "errors": Drawing("errors", "law.errors_title", "law.errors_caption"),
    },
)
FORECAST = Kind("forecast", ForecastRow, __package__, label="law.forecast")
