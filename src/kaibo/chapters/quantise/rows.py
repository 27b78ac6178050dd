"""What its findings are; field names are the names that `--json` prints."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from kaibo.vocabulary import By
from kaibo.vocabulary.kinds import Kind
from kaibo.vocabulary.running import QuantisedRow

QUANTISE = Kind(
    "quantise",
    QuantisedRow,
    __package__,
    columns=(
        "model",
        "width",
        "weight_bytes",
        "tokens",
        "ppl",
        "cost",
        "cost_low",
        "cost_high",
        "seconds",
    ),
)


@dataclass(frozen=True)
class LossRow:
    """What quantising lost of a model, layer, role or tensor, in one packing; of GGUF mixes a row for each type.

    `relative` is ‖quantised − base‖ ÷ ‖base‖, `rounded_once` the same of the base rounded once to nearest with the same
    levels and runs of values (the floor). `resolution` is the root mean square of the error in steps of the code (0.289
    for nearest rounding of evenly spread values), `saturated` the share of outermost codes and `clipped` that of values
    more than half a step beyond them. `worst` is the greatest relative error of a channel (a row of the weight), and
    `channel` says which.
    """

    base: str
    model: str
    by: By
    key: str | int | None
    packing: str
    tensors: int
    n: int
    relative: float | None
    rounded_once: float | None
    resolution: float | None
    saturated: float
    clipped: float
    worst: float | None
    channel: str
    why: Mapping[str, str] = field(default_factory=dict)


LOSS = Kind(
    "loss",
    LossRow,
    __package__,
    label="loss.title",
    columns=(
        "model",
        "by",
        "key",
        "packing",
        "n",
        "relative",
        "rounded_once",
        "resolution",
        "saturated",
        "clipped",
        "worst",
        "channel",
    ),
)
