"""The columns of its findings; field names are the names that `--json` prints."""

from __future__ import annotations

from dataclasses import dataclass

from kaibo.vocabulary.kinds import Drawing, Kind
from kaibo.vocabulary.running import GeneratedRow


@dataclass(frozen=True)
class FormatRow:
    """Perplexity of the answers' tokens under a format, and what the format costs beside the right one.

    `cost` is nats per token more than under the model's own format, with a standard error and a 95 % interval over
    chats (paired, a ratio of sums); `worse` the share of chats whose answer became less likely. All of these are None
    for the right format itself, and where there is none to compare with.
    """

    model: str
    format: str
    right: bool
    chats: int
    tokens: int
    ppl: float
    cost: float | None = None
    cost_error: float | None = None
    cost_low: float | None = None
    cost_high: float | None = None
    ppl_times: float | None = None
    worse: float | None = None


GENERATE = Kind("generate", GeneratedRow, __package__)
FORMATS = Kind(
    "formats",
    FormatRow,
    __package__,
    terms={"format": "formats"},
    columns=(
        "model",
        "format",
        "ppl",
        "cost",
        "cost_error",
        "cost_low",
        "cost_high",
        "ppl_times",
        "worse",
        "chats",
        "tokens",
    ),
    figures={"costs": Drawing("costs", "formats.title", "formats.caption")},
)
