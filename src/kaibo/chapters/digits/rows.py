"""The columns of its findings; field names are the names that `--json` prints."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from kaibo.vocabulary import By
from kaibo.vocabulary.kinds import Drawing, Kind

Why = Mapping[str, str]


@dataclass(frozen=True)
class DigitsRow:
    """First digits of one model, layer, role or tensor.

    `counts` and all shares have nine entries, for the digits 1 to 9; shares are fractions of the nonzero finite
    values. `mae` is the mean over the nine digits of |share − law|, `mae_low` and `mae_high` its 95 % bootstrap
    interval over tensors (None for a single tensor). `gaussian_mae` and `mixture_mae` are the same distance from
    the law for the two nulls: one Gaussian with the same σ, and the mixture of per-tensor Gaussians with the
    measured σ's. `from_gaussian` and `from_mixture` are the mean |share − null's share|. `conformity` is
    Nigrini's class of the MAE; `kl` the Kullback–Leibler divergence from the law in nats; `cramers_v`
    √(χ²/(n·8)), which can pass 1 where few digits occur, since the law's shares differ.
    """

    model: str
    by: By
    key: str | int | None
    n: int
    zeros: int
    nonfinite: int
    counts: tuple[int, ...]
    shares: tuple[float, ...]
    mae: float
    mae_low: float | None
    mae_high: float | None
    conformity: str | None
    kl: float
    cramers_v: float
    gaussian_mae: float
    mixture_mae: float
    from_gaussian: float
    from_mixture: float
    gaussian_shares: tuple[float, ...]
    mixture_shares: tuple[float, ...]
    tensors: int
    seen: float | None = None
    why: Why = field(default_factory=dict)


@dataclass(frozen=True)
class DigitGroupRow:
    """The distance of one model's digits from the law with its 95 % interval, beside the two nulls.

    `group` is what models are compared in, `label` which of its kinds this is.
    """

    model: str
    group: str
    label: str
    step: int | None
    n: int
    mae: float
    mae_low: float | None
    mae_high: float | None
    gaussian_mae: float
    mixture_mae: float
    why: dict[str, str] = field(default_factory=dict)


DIGITS = Kind(
    "digits",
    DigitsRow,
    __package__,
    terms={"conformity": "terms"},
    opens=True,
    columns=(
        "model",
        "by",
        "key",
        "n",
        "zeros",
        "mae",
        "mae_low",
        "mae_high",
        "conformity",
        "gaussian_mae",
        "mixture_mae",
        "kl",
        "cramers_v",
    ),
    figures={
        "digits": Drawing("bars", "digits.title", "digits.caption"),
        "map": Drawing("deviations", "digits.title", "digits.caption_map"),
    },
)
DIGIT_GROUPS = Kind(
    "digit-groups",
    DigitGroupRow,
    __package__,
    terms={"group": "compared"},
    columns=(
        "group",
        "label",
        "n",
        "mae",
        "mae_low",
        "mae_high",
        "gaussian_mae",
        "mixture_mae",
    ),
    figures={"groups": Drawing("dots", "digit_groups.title", "digit_groups.caption")},
)
DIGIT_COURSE = Kind(
    "digit-course",
    DigitGroupRow,
    __package__,
    columns=(
        "label",
        "step",
        "mae",
        "mae_low",
        "mae_high",
        "gaussian_mae",
        "mixture_mae",
    ),
    figures={"course": Drawing("course", "digit_groups.course_title", "digit_groups.course_caption")},
)
