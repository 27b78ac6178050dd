"""The columns of its findings; field names are the names that `--json` prints."""

from __future__ import annotations

from dataclasses import dataclass, field

from kaibo.vocabulary.kinds import Drawing, Kind


@dataclass(frozen=True)
class LawTrialRow:
    """One model beside the model it was made from (`cost`) and beside its controls (`beside`), in nats per token.

    Of several controls `beside` is the mean; `beside_low` is the lowest end of the intervals against each of them,
    `beside_high` the highest: they have one sign only where the model is worse than every control, or better. `same`
    where every token has exactly the nats that it has under the model itself.
    """

    model: str
    variant: str
    control: str | None
    mae: float
    mae_rescaled: float | None
    levels: int | None
    error: float
    tokens: int
    ppl: float
    ppl_low: float | None
    ppl_high: float | None
    cost: float
    cost_low: float | None
    cost_high: float | None
    beside: float | None
    beside_low: float | None
    beside_high: float | None
    same: bool
    why: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class RescaleRow:
    """How far rescalings that change no logit move the first digits of a model in one direction.

    `mae_before` is the model's own distance from the law, `mae` that of the rescaled weights: counts of all values,
    not estimates. `gaussian_mae` is the distance of one Gaussian with the σ of the model's weights, `mixture_mae` of a
    Gaussian per tensor. Of `channels` that may be
    scaled `scaled` were, and `kept_back` had at least one exponent refused because a value would have left the normal
    numbers of its type. `reached` is the share of the values that lie in such a channel. `exponent_low` and
    `exponent_high` are the least and the greatest exponent of any value, all its factors together.
    """

    model: str
    towards: str
    n: int
    mae_before: float
    mae: float
    gaussian_mae: float
    mixture_mae: float
    channels: int
    scaled: int
    kept_back: int
    reached: float
    exponent_low: int
    exponent_high: int
    sweeps: int
    out: str | None = None
    shares: tuple[float, ...] = ()


LAW_TRIAL = Kind(
    "law-trial",
    LawTrialRow,
    __package__,
    terms={"variant": "law_trial"},
    columns=(
        "variant",
        "mae",
        "mae_rescaled",
        "error",
        "ppl",
        "ppl_low",
        "ppl_high",
        "beside",
        "beside_low",
        "beside_high",
        "same",
    ),
    figures={"trial": Drawing("beside_control", "law_trial.title", "law_trial.caption")},
)
RESCALE = Kind(
    "rescale",
    RescaleRow,
    __package__,
    terms={"towards": "terms"},
    columns=(
        "model",
        "towards",
        "mae_before",
        "mae",
        "gaussian_mae",
        "mixture_mae",
        "channels",
        "scaled",
        "kept_back",
        "reached",
        "exponent_low",
        "exponent_high",
    ),
    figures={"range": Drawing("reach", "rescaling.title", "rescaling.caption")},
)
