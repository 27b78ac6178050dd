"""The columns of its findings; field names are the names that `--json` prints."""

from __future__ import annotations

from dataclasses import dataclass, field

from kaibo.vocabulary.kinds import Drawing, Kind


@dataclass(frozen=True)
class TokenCell:
    """One token: what stands there, and −ln p of it; None where it was not scored.

    `piece` is empty for a token that is another part of the character before.
    """

    model: str
    text: str
    place: int
    piece: str
    nats: float | None


@dataclass(frozen=True)
class ContextRow:
    """The mean nats of all tokens that had `least` to `most` tokens before them in their window."""

    model: str
    least: int
    most: int
    tokens: int
    mean_nats: float
    nats_low: float | None
    nats_high: float | None
    why: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class ScoreRow:
    """One text, or all of them, under one model.

    `nats` is the sum of −ln p over the `tokens` that were scored (`unscored` were not). `ppl`, `word_ppl` and
    `character_ppl` are perplexities per token, word (between white space) and character, `bits_per_byte` is what
    models with different tokenizers are compared by; `_low` and `_high` its 95 % interval.
    """

    model: str
    step: int | None
    text: str
    tokens: int
    unscored: int
    nats: float
    ppl: float | None
    ppl_low: float | None
    ppl_high: float | None
    bits_per_byte: float
    bits_per_byte_low: float | None
    bits_per_byte_high: float | None
    word_ppl: float
    character_ppl: float
    unigram_ppl: float
    uniform_ppl: int
    words: int
    characters: int
    bytes: int
    memory: int | None = None
    why: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class LostRow:
    """What a model finds less likely than the base does, over the same tokens of the same texts.

    `nats_more` is the mean of the differences in −ln p per token, with its 95 % interval over documents or blocks of
    tokens, paired; `ppl_times` is its exponential, by which the perplexity grew. `less_likely` is the share of the
    tokens that became less likely, `most_lost` the most that one token lost. None, with a `why`, where the two
    read other tokens.
    """

    model: str
    base: str
    tokens: int
    nats_more: float | None = None
    nats_more_low: float | None = None
    nats_more_high: float | None = None
    ppl_times: float | None = None
    less_likely: float | None = None
    most_lost: float | None = None
    why: dict[str, str] = field(default_factory=dict)


LOST = Kind("score-lost", LostRow, __package__, label="score.lost")


SCORE = Kind(
    "score",
    ScoreRow,
    __package__,
    columns=(
        "model",
        "step",
        "text",
        "tokens",
        "nats",
        "ppl",
        "ppl_low",
        "ppl_high",
        "bits_per_byte",
        "bits_per_byte_low",
        "bits_per_byte_high",
        "unigram_ppl",
        "uniform_ppl",
    ),
)
SCORE_CONTEXT = Kind(
    "score-context",
    ContextRow,
    __package__,
    figures={"context": Drawing("by_context", "score.context_title", "score.context_caption")},
)
SCORE_TOKENS = Kind(
    "score-tokens",
    TokenCell,
    __package__,
    figures={"strip": Drawing("strip", "score.strip_title", "score.strip_caption")},
)
