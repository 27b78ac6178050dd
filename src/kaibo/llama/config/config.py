"""What a LLaMA is, in numbers, and how its positions are scaled beyond the trained length."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Literal

from kaibo.errors import UsageError, escaped

Scaling = Literal["none", "linear", "dynamic", "yarn", "llama3"]


@dataclass(frozen=True)
class Rope:
    """How positions turn: the base of the angles, and how they are scaled beyond the trained length.

    `trained` is the length the scaling starts from (None: the context of the config). `beta_fast`, `beta_slow`,
    `attention_factor`, `mscale`, `mscale_all` and `truncate` are YaRN's; `low` and `high` are llama3's.
    """

    kind: Scaling = "none"
    base: float = 10_000.0
    factor: float = 1.0
    trained: int | None = None
    beta_fast: float = 32.0
    beta_slow: float = 1.0
    attention_factor: float | None = None
    mscale: float | None = None
    mscale_all: float | None = None
    truncate: bool = True
    low: float = 1.0
    high: float = 4.0

    @property
    def temperature(self) -> float:
        """What YaRN multiplies cosines and sines with: 0.1·ln(factor) + 1 unless the config says otherwise."""
        if self.attention_factor is not None:
            return self.attention_factor
        if self.mscale and self.mscale_all:
            return _warmer(self.factor, self.mscale) / _warmer(self.factor, self.mscale_all)
        return _warmer(self.factor, 1.0)


def _warmer(factor: float, strength: float) -> float:
    return 0.1 * strength * math.log(factor) + 1.0 if factor > 1 else 1.0


@dataclass(frozen=True)
class LlamaConfig:
    """The numbers of a LLaMA-shaped model, under the words of the glossary.

    `kind` is the `model_type` of its folder: `llama`, `mistral` (a window) or `qwen2` (biases on q, k, v).
    `windows` has an entry a layer: how many tokens it sees, or None for all. `init_sigma` is for pre-training.
    """

    vocabulary: int
    hidden: int
    intermediate: int
    layers: int
    heads: int
    kv_heads: int
    head_size: int
    context: int
    rope: Rope = Rope()
    norm_epsilon: float = 1e-5
    tied: bool = False
    qkv_bias: bool = False
    output_bias: bool = False
    mlp_bias: bool = False
    windows: tuple[int | None, ...] = ()
    init_sigma: float = 0.02
    kind: str = "llama"
    bos: int | None = None
    eos: tuple[int, ...] = ()
    pad: int | None = None

    def __post_init__(self) -> None:
        if not self.windows:
            object.__setattr__(self, "windows", (None,) * self.layers)
        fault = self._fault()
        if fault:
            raise UsageError(f"no such LLaMA: {fault}")

    def _fault(self) -> str | None:
        names = ("vocabulary", "hidden", "intermediate", "layers", "heads", "kv_heads", "head_size", "context")
        small = [name for name in names if getattr(self, name) < 1]
        if small:
            return f"{small[0]} is {getattr(self, small[0])}"
        if self.heads % self.kv_heads:
            return f"{self.kv_heads} key/value heads do not divide {self.heads} query heads"
        if self.head_size % 2:
            return f"a head of {self.head_size} numbers has no pairs to rotate"
        if self.head_size == 2 and self.rope.kind == "dynamic":
            return "a head of one pair has no slower pair that dynamic scaling could stretch"
        if len(self.windows) != self.layers:
            return f"{len(self.windows)} windows for {self.layers} layers"
        return None

    @property
    def trained_context(self) -> int:
        """The length from which positions are scaled."""
        return self.rope.trained or self.context

    @property
    def parameters(self) -> int:
        """How many weights there are, a tied head counted once."""
        rows = (self.heads + 2 * self.kv_heads) * self.head_size
        attention = (rows + self.heads * self.head_size) * self.hidden
        biases = rows * self.qkv_bias + self.hidden * self.output_bias
        biases += (2 * self.intermediate + self.hidden) * self.mlp_bias
        block = attention + 3 * self.hidden * self.intermediate + 2 * self.hidden + biases
        return self.layers * block + self.hidden * (self.vocabulary * (1 if self.tied else 2) + 1)


def with_rope(config: LlamaConfig, text: str) -> LlamaConfig:
    """The config with its positions scaled as `--rope` says: `yarn:8`, `linear:4`, `dynamic:4`, `base:1e6`, `none`.

    The number is how many times the trained length is wanted, and the context grows by it; a new base lengthens the
    context as much as it lengthens the slowest wavelength, (base'/base)^((d−2)/d). Raises UsageError.

    >>> small = LlamaConfig(64, 32, 64, 2, 4, 2, 8, context=128)
    >>> with_rope(small, "yarn:8").context, with_rope(small, "base:160000").context
    (1024, 1024)
    """
    rope, context = scaled(config.rope, config.trained_context, config.head_size, text)
    return replace(config, rope=rope, context=context)


def scaled(rope: Rope, trained: int, head_size: int, text: str) -> tuple[Rope, int]:
    """Positions trained to a length, scaled as `--rope` says, and the context that this gives. Raises UsageError."""
    kind, _, given = text.partition(":")
    value = _override(kind, given, text)
    if kind == "none":
        return Rope(base=rope.base), trained
    if kind == "base":
        longer = (value / rope.base) ** ((head_size - 2) / head_size)
        return replace(rope, base=value), max(1, int(trained * longer + 1e-9))
    begin = None if kind == "linear" else trained
    return Rope(kind=kind, base=rope.base, factor=value, trained=begin), int(trained * value)  # type: ignore[arg-type]


def _override(kind: str, given: str, text: str) -> float:
    known = "yarn:8, linear:4, dynamic:4, base:1e6, none"
    if kind not in ("yarn", "linear", "dynamic", "base", "none"):
        raise UsageError(f'no way to scale positions is called "{escaped(text, 60)}"', next=f"there are {known}")
    if not given and kind in ("dynamic", "none"):
        return 4.0
    try:
        value = float(given)
    except ValueError:
        value = math.nan
    if not 1 < value < 1e12:
        raise UsageError(f'"{escaped(text, 60)}" wants a number above 1', next=f"there are {known}")
    return value
