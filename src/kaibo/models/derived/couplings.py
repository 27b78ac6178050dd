"""Which channels of a model can be scaled against each other without changing what it computes.

    norm gain ÷ 2ᵏ      columns of q, k and v (or of gate and up) × 2ᵏ
    q rows ÷ 2ᵏ         k rows × 2ᵏ, one factor for both members of a rotary pair, not where q and k are normalised
    v rows × 2ᵏ         columns of o ÷ 2ᵏ, of every query head that reads this key-value head
    up rows × 2ᵏ        columns of down ÷ 2ᵏ; never gate, which goes through the activation
    final gain ÷ 2ᵏ     columns of the head × 2ᵏ, only where it is not the embedding

Biases of q, k, v and up are scaled with their rows. Every product that is summed is the same to the last bit, because
a power of two only moves the exponent.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from kaibo.errors import FormatError
from kaibo.models.anatomy import architecture
from kaibo.vocabulary import Architecture, Model, Tensor

Channels = NDArray[np.int32]

FAMILIES = ("llama", "mistral", "qwen2", "qwen3", "gemma", "gemma2", "gemma3")
"""Families whose parts meet in this way; of the gemmas the gain is 1 + weight, so no gain of theirs is scaled."""

SCALABLE = ("F32", "BF16", "F16")
"""Types in which a power of two only moves the exponent, and which can be written."""

ATTENTION, MLP = "layers.{}.self_attn.{}_proj", "layers.{}.mlp.{}_proj"


@dataclass(frozen=True, eq=False)
class Side:
    """One axis of a tensor in a coupling: `channel` says which channel each row (axis 0) or column (axis 1) is.

    The values of channel c are multiplied by 2^(sign · k_c).
    """

    tensor: Tensor
    axis: int
    sign: int
    channel: Channels


@dataclass(frozen=True, eq=False)
class Coupling:
    """Channels that are scaled together: each has an exponent of its own, and the sides undo each other."""

    kind: str
    layer: int | None
    channels: int
    sides: tuple[Side, ...]


def couplings_of(model: Model) -> tuple[Coupling, ...]:
    """Every coupling of a model, layer by layer, the final norm last.

    Raises FormatError for a family whose parts are not known to meet so, for a type that cannot be scaled exactly,
    and where the shapes are not those of the config.
    """
    if model.family not in FAMILIES:
        message = f"is of the family {model.family}, in which no channels are known to cancel"
        raise FormatError(message, file=model.address, next=f"families: {', '.join(FAMILIES)}")
    drawn = architecture(model.config)
    sizes = (drawn.layers, drawn.heads, drawn.kv_heads, drawn.head_size)
    if any(size is None for size in sizes):
        raise FormatError("has no config.json that says its layers and heads", file=model.address)
    named = {tensor.canonical: tensor for tensor in model.tensors}
    found = [one for layer in range(drawn.layers or 0) for one in _of_layer(named, layer, drawn)]
    found += _final(named, drawn)
    for coupling in found:
        for side in coupling.sides:
            _check(model, coupling, side)
    return tuple(found)


def _of_layer(named: Mapping[str, Tensor], layer: int, drawn: Architecture) -> Iterator[Coupling]:
    if drawn.family not in ("gemma", "gemma2", "gemma3"):
        before = [ATTENTION.format(layer, part) for part in "qkv"]
        yield from _gain(named, f"layers.{layer}.input_layernorm.weight", before, "attention norm", layer)
        before = [MLP.format(layer, part) for part in ("gate", "up")]
        yield from _gain(named, f"layers.{layer}.post_attention_layernorm.weight", before, "mlp norm", layer)
    if not any(role in named for role in _norms(layer)) and drawn.positions.share in (None, 1.0):
        yield from _rotary(named, layer, drawn)
    yield from _values(named, layer, drawn)
    yield from _inner(named, layer)


def _norms(layer: int) -> tuple[str, str]:
    return f"layers.{layer}.self_attn.q_norm.weight", f"layers.{layer}.self_attn.k_norm.weight"


def _gain(named: Mapping[str, Tensor], gain: str, after: list[str], kind: str, layer: int | None) -> Iterator[Coupling]:
    """A norm's gain against the columns of every matrix that reads what it gives, and of no other."""
    readers = [named.get(f"{name}.weight") for name in after]
    scale = named.get(gain)
    if scale is None or None in readers:
        return
    each = np.arange(scale.size, dtype=np.int32)
    sides = [Side(scale, 0, -1, each), *(Side(one, 1, 1, each) for one in readers if one is not None)]
    yield Coupling(kind, layer, scale.size, tuple(sides))


def _rotary(named: Mapping[str, Tensor], layer: int, drawn: Architecture) -> Iterator[Coupling]:
    """q against k: value i of a head turns with value i + size/2, so both have one factor."""
    heads, keys, size = drawn.heads or 0, drawn.kv_heads or 0, drawn.head_size or 0
    pair = np.arange(size, dtype=np.int32) % (size // 2)
    of_key = np.arange(keys, dtype=np.int32)[:, None] * (size // 2) + pair
    k = _with_bias(named, ATTENTION.format(layer, "k"), 1, of_key.reshape(-1))
    q = _with_bias(named, ATTENTION.format(layer, "q"), -1, _repeated(of_key, heads // max(keys, 1)))
    if k and q:
        yield Coupling("q and k", layer, keys * (size // 2), (*q, *k))


def _values(named: Mapping[str, Tensor], layer: int, drawn: Architecture) -> Iterator[Coupling]:
    """v against o: key-value head h is read by a group of neighbouring query heads."""
    heads, keys, size = drawn.heads or 0, drawn.kv_heads or 0, drawn.head_size or 0
    of_key = np.arange(keys * size, dtype=np.int32).reshape(keys, size)
    v = _with_bias(named, ATTENTION.format(layer, "v"), 1, of_key.reshape(-1))
    o = named.get(f"{ATTENTION.format(layer, 'o')}.weight")
    if v and o is not None:
        yield Coupling("v and o", layer, keys * size, (*v, Side(o, 1, -1, _repeated(of_key, heads // max(keys, 1)))))


def _inner(named: Mapping[str, Tensor], layer: int) -> Iterator[Coupling]:
    """up against down: what up gives is only multiplied with what comes out of the gate."""
    down = named.get(f"{MLP.format(layer, 'down')}.weight")
    up = named.get(f"{MLP.format(layer, 'up')}.weight")
    if up is not None and down is not None:
        each = np.arange(up.shape[0], dtype=np.int32)
        sides = _with_bias(named, MLP.format(layer, "up"), 1, each)
        yield Coupling("up and down", layer, up.shape[0], (*sides, Side(down, 1, -1, each)))


def _final(named: Mapping[str, Tensor], drawn: Architecture) -> Iterator[Coupling]:
    """The last norm against the head: a head that is the embedding is read at the other end, too, so not there."""
    if drawn.tied is False and drawn.family not in ("gemma", "gemma2", "gemma3"):
        yield from _gain(named, "norm.weight", ["lm_head"], "final norm", None)


def _with_bias(named: Mapping[str, Tensor], stem: str, sign: int, channel: Channels) -> tuple[Side, ...]:
    found = (named.get(f"{stem}.{part}") for part in ("weight", "bias"))
    return tuple(Side(tensor, 0, sign, channel) for tensor in found if tensor is not None)


def _repeated(of_key: Channels, group: int) -> Channels:
    """The channels of the key-value heads in the order of the query heads that read them."""
    found: Channels = np.repeat(of_key, group, axis=0).reshape(-1)
    return found


def _check(model: Model, coupling: Coupling, side: Side) -> None:
    tensor = side.tensor
    if tensor.dtype.name not in SCALABLE:
        message = f"is stored as {tensor.dtype.name}, in which a power of two does not only move the exponent"
        raise FormatError(message, file=model.address, tensor=tensor.name, next=f"types: {', '.join(SCALABLE)}")
    if len(tensor.shape) <= side.axis or tensor.shape[side.axis] != side.channel.size:
        message = f"has shape {tensor.shape}; for {coupling.kind} axis {side.axis} has {side.channel.size} channels"
        raise FormatError(message, file=model.address, tensor=tensor.name, next="is config.json that of these weights?")
