"""What its findings are; field names are the names that `--json` prints."""

from __future__ import annotations

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
