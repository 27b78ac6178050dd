"""The columns of its findings; field names are the names that `--json` prints."""

from __future__ import annotations

from dataclasses import dataclass, field

from kaibo.vocabulary.kinds import Drawing, Kind


@dataclass(frozen=True)
class CorruptRow:
    """One model at one share: perplexity over all seeds, beside the floor and the model's own clean perplexity.

    `floor` is the perplexity that no model can beat in expectation, `above_floor` how many nats per token the model
    lies above it. `replaced_ppl` and `kept_ppl` are perplexities of the replaced tokens alone, and of the others.
    `ppl_low` to `ppl_high` is a 95 % interval over seeds where there are several, else over documents or blocks.
    """

    model: str
    step: int | None
    share: float
    mode: str
    unit: str
    seeds: int
    tokens: int
    replaced: int
    vocabulary: int
    nats: float
    ppl: float | None
    ppl_low: float | None
    ppl_high: float | None
    floor: float | None
    above_floor: float
    clean_ppl: float | None
    replaced_ppl: float | None
    kept_ppl: float | None
    why: dict[str, str] = field(default_factory=dict)


CORRUPT = Kind(
    "corrupt",
    CorruptRow,
    __package__,
    columns=(
        "model",
        "step",
        "share",
        "mode",
        "unit",
        "tokens",
        "replaced",
        "ppl",
        "ppl_low",
        "ppl_high",
        "floor",
        "clean_ppl",
        "replaced_ppl",
        "kept_ppl",
    ),
    figures={"curves": Drawing("curves", "corrupt.title_uniform", "corrupt.caption")},
)
