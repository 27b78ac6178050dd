"""What comes out of running models: text, loss by position, memory by width, and the stops of a tour."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class GeneratedRow:
    """What a model wrote after one prompt. `ended` is `end` (by itself), `stop` (a stop text) or `limit`."""

    model: str
    engine: str
    template: str | None
    prompt_tokens: int
    tokens: int
    ended: str
    seed: int
    seconds: float
    tokens_per_second: float
    text: str


@dataclass(frozen=True)
class ContextRow:
    """One point of a context curve: `value` with its 95 % interval for tokens `begin` to `end` of the context.

    `what` is `loss` (mean nats per token at these positions, over `n` windows) or `passkey` (share of passkeys found
    when the whole prompt has `end` tokens, over `n` prompts). `extrapolated` says whether this is past the
    trained length.
    """

    model: str
    rope: str
    what: str
    begin: int
    end: int
    extrapolated: bool
    value: float
    low: float
    high: float
    n: int


@dataclass(frozen=True)
class QuantisedRow:
    """A model in one width: bytes its weights take in memory, and its perplexity on a text with a 95 % interval.

    `cost` is nats per token more than bf16, `low` and `high` its interval over windows of the text.
    """

    model: str
    width: str
    weight_bytes: int | None
    tokens: int | None
    ppl: float
    cost: float
    cost_low: float
    cost_high: float
    seconds: float
    why: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Point:
    """A point of a picture: `y` at `x` in the series of a name."""

    series: str
    x: float
    y: float


@dataclass(frozen=True)
class TourRow:
    """A stop of a tour: a formula, live numbers for its text, and how far two ways of computing it are apart.

    `holds` is `difference ≤ bound`; both are null where the stop shows and proves nothing.
    """

    stop: str
    formula: str
    numbers: Mapping[str, float]
    difference: float | None
    bound: float | None
    holds: bool | None
    source: str
    points: tuple[Point, ...] = ()
