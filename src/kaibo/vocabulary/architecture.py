"""What `config.json` says a model is: the parts, what they hold, and what they cost to keep and to run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Norm:
    """How activations are normalised: `RMSNorm` or `LayerNorm`; `pre`, `post` or `sandwich`; the ε inside."""

    kind: str | None = None
    placement: str | None = None
    eps: float | None = None


@dataclass(frozen=True)
class Activation:
    """The feed-forward part: `name` as the field says it (`SwiGLU`, `GELU` …), `function` as the config does."""

    name: str | None = None
    function: str | None = None
    gated: bool | None = None


@dataclass(frozen=True)
class PositionEncoding:
    """How a token knows where it stands: `RoPE`, `ALiBi` or `learned`.

    For RoPE θ_i = base^(−2(i−1)/d) over the share of each head that carries positions; `local_base` is the base of
    windowed layers where they have their own. `scaling` is `linear`, `dynamic`, `yarn`, `llama3`, `longrope` …
    with its factor and the context before it; `details` are its other numbers as the config names them.
    """

    kind: str | None = None
    base: float | None = None
    local_base: float | None = None
    share: float | None = None
    scaling: str | None = None
    factor: float | None = None
    original_context: int | None = None
    details: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Experts:
    """A choice of feed-forward parts: how many, how many a token uses, how wide each is, in how many layers."""

    count: int
    used: int
    intermediate: int | None
    layers: int


@dataclass(frozen=True)
class Kept:
    """What layers keep of a text while it is read, counted in numbers of any width.

    `token`: so many `values` for each token; `window`: the same, of the last `window` tokens only; `state`: so many
    once, however long the text.
    """

    kind: str
    values: int
    layers: int
    window: int | None = None

    def numbers(self, tokens: int) -> int:
        """How many numbers all layers together keep after so many tokens."""
        seen = 1 if self.kind == "state" else tokens if self.window is None else min(tokens, self.window)
        return self.values * self.layers * seen


@dataclass(frozen=True)
class Architecture:
    """A model's architecture, read from `config.json` alone.

    A field is None where the config does not say or says it wrongly; `why` has the reason under the field's name,
    and `malformed` a sentence for each key that is there but wrong. Counts of parameters are what the family's
    modelling code would make of this config; of a model of several parts (`parameters_by_part`: `text`, `vision`,
    `audio`, `projector`) those of its language model, `parameters_whole` of all. `attention` is `MHA`, `GQA`, `MQA`
    or `MLA`; `windowed_layers` of the layers look back only `window` tokens. `cache_values` is how many numbers one
    layer keeps per token. `parameters_ahead` are those of the layers that predict further tokens, which files may hold
    beside the others. Sizes are in bytes, `stored_bytes` what the tensors take up in the files, with the scales of
    packed ones (None where there are none), `weights_bytes` keyed by bits ("32", "16", "8", "4"), `kv_bytes_full`
    at full context keyed "16" and "8", `kv_bytes_per_token` at 16 bit: what one more token adds while no window is
    full; `state_bytes` at 16 bit: what does not grow (None where all does). `cache_at` has, by number of tokens,
    the bytes at "16" and "8" bit and at 16 bit those that are `growing` and `constant`. FLOPs count a
    multiplication and an addition as two.
    """

    model: str
    family: str
    model_type: str | None = None
    parameters: int | None = None
    active_parameters: int | None = None
    parameters_by_role: Mapping[str, int] = field(default_factory=dict)
    parameters_by_part: Mapping[str, int] = field(default_factory=dict)
    parameters_whole: int | None = None
    other_roles: Mapping[str, int] = field(default_factory=dict)
    weights_bytes: Mapping[str, int] = field(default_factory=dict)
    stored_bytes: int | None = None
    parameters_ahead: int | None = None
    layers: int | None = None
    hidden: int | None = None
    intermediate: int | None = None
    vocabulary: int | None = None
    context: int | None = None
    tied: bool | None = None
    attention: str | None = None
    heads: int | None = None
    kv_heads: int | None = None
    head_size: int | None = None
    window: int | None = None
    windowed_layers: int = 0
    cache_values: int | None = None
    kept: tuple[Kept, ...] = ()
    kv_bytes_per_token: int | None = None
    state_bytes: int | None = None
    cache_at: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    quantization: str | None = None
    kv_bytes_full: Mapping[str, int] = field(default_factory=dict)
    norm: Norm = field(default_factory=Norm)
    activation: Activation = field(default_factory=Activation)
    positions: PositionEncoding = field(default_factory=PositionEncoding)
    parallel: bool | None = None
    experts: Experts | None = None
    flops_per_token: int | None = None
    attention_flops_per_token: int | None = None
    training_tokens: int | None = None
    training_flops: int | None = None
    chat_template: str | None = None
    special_tokens: Mapping[str, str] = field(default_factory=dict)
    remarks: tuple[str, ...] = ()
    malformed: tuple[str, ...] = ()
    why: Mapping[str, str] = field(default_factory=dict)

    def cache_after(self, tokens: int) -> dict[str, int]:
        """The bytes kept after so many tokens, as `cache_at` has them; empty where no cache is known."""
        whole, narrow = self.kv_bytes(tokens), self.kv_bytes(tokens, 8)
        if whole is None or narrow is None:
            return {}
        constant = self.state_bytes or 0
        return {"16": whole, "8": narrow, "growing": whole - constant, "constant": constant}

    def kv_bytes(self, tokens: int, bits: int = 16) -> int | None:
        """Bytes kept after `tokens` tokens of one text, states included; None where no cache is known.

        Σ over `kept`, else cache_values · (layers that see everything · tokens + windowed · min(tokens, window − 1)):
        the newest token brings its own.
        """
        if self.kept:
            return sum(one.numbers(tokens) for one in self.kept) * bits // 8
        if self.cache_values is None or self.layers is None:
            return None
        seen = tokens if self.window is None else min(tokens, max(self.window - 1, 1))
        kept = (self.layers - self.windowed_layers) * tokens + self.windowed_layers * seen
        return self.cache_values * kept * bits // 8
