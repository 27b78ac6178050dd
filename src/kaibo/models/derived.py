"""Models made from models, formed while they are read: what works on a stored model works on these."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from kaibo.models.pairing import Pair, pair_models
from kaibo.vocabulary import DTYPES, Buffer, DType, Model, Patterns, Tensor, widen32


@dataclass(frozen=True, eq=False)
class Difference:
    """Δ = tuned − base of two tensors of one shape, in float32; of 64-bit floats formed in 64 bits, rounded once.

    Satisfies the `Tensor` protocol. Beside the caller's buffer it holds one chunk of each side.
    """

    pair: Pair
    source_key: str | None = None

    @property
    def name(self) -> str:
        """The base's name of it."""
        return self.pair.base.name

    @property
    def canonical(self) -> str:
        """The base's canonical name."""
        return self.pair.base.canonical

    @property
    def dtype(self) -> DType:
        """Always F32."""
        return DTYPES["F32"]

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of both."""
        return self.pair.base.shape

    @property
    def layer(self) -> int | None:
        """The base's layer."""
        return self.pair.base.layer

    @property
    def role(self) -> str:
        """The base's role."""
        return self.pair.base.role

    @property
    def size(self) -> int:
        """Number of values."""
        return self.pair.base.size

    def chunks(self, buffer: Buffer, begin: int = 0, end: int | None = None) -> Iterator[Patterns]:
        """The differences, a buffer's worth at a time; raises what reading either side raises."""
        base, tuned = self.pair.base, self.pair.tuned
        step = buffer.nbytes // 4
        rooms = [np.empty(step * side.dtype.itemsize, np.uint8) for side in (base, tuned)]
        sides = zip(base.chunks(rooms[0], begin, end), tuned.chunks(rooms[1], begin, end), strict=True)
        for before, after in sides:
            out = buffer[: 4 * before.size].view(np.float32)
            with np.errstate(invalid="ignore", over="ignore"):
                out[:] = widen32(tuned.dtype.name, after) - widen32(base.dtype.name, before)
            yield out.view("<u4")


@dataclass(frozen=True, eq=False)
class Scaled:
    """A tensor times a number, in float32. Satisfies the `Tensor` protocol."""

    tensor: Tensor
    factor: float
    source_key: str | None = None

    @property
    def name(self) -> str:
        """The tensor's name."""
        return self.tensor.name

    @property
    def canonical(self) -> str:
        """The tensor's canonical name."""
        return self.tensor.canonical

    @property
    def dtype(self) -> DType:
        """Always F32."""
        return DTYPES["F32"]

    @property
    def shape(self) -> tuple[int, ...]:
        """The tensor's shape."""
        return self.tensor.shape

    @property
    def layer(self) -> int | None:
        """The tensor's layer."""
        return self.tensor.layer

    @property
    def role(self) -> str:
        """The tensor's role."""
        return self.tensor.role

    @property
    def size(self) -> int:
        """Number of values."""
        return self.tensor.size

    def chunks(self, buffer: Buffer, begin: int = 0, end: int | None = None) -> Iterator[Patterns]:
        """The products, a buffer's worth at a time; raises what reading the tensor raises."""
        room = np.empty(buffer.nbytes // 4 * self.tensor.dtype.itemsize, np.uint8)
        for chunk in self.tensor.chunks(room, begin, end):
            out = buffer[: 4 * chunk.size].view(np.float32)
            with np.errstate(invalid="ignore", over="ignore"):
                out[:] = widen32(self.tensor.dtype.name, chunk) * np.float64(self.factor)
            yield out.view("<u4")


def difference(tuned: Model, base: Model) -> Model:
    """What was added to `base` to make `tuned`: a model of the float32 differences of the tensors both have.

    Tensors that meet in no other are left out and named in the notes; see `pair_models`.
    """
    paired = pair_models(base, tuned)
    tensors = tuple(Difference(pair, _key(pair)) for pair in paired.pairs)
    left_out = tuple(f"{lone.side}: {lone.tensor} is left out ({lone.why})" for lone in paired.unmatched)
    address = f"{tuned.address} - {base.address}"
    return Model(address, f"{tuned.name} - {base.name}", base.family, tensors, notes=(*paired.notes, *left_out))


def _key(pair: Pair) -> str | None:
    """The same two sides give the same difference: what was measured of it may be looked up."""
    keys = pair.base.source_key, pair.tuned.source_key
    return None if None in keys else f"difference:{keys[0]}:{keys[1]}"


def scaled(model: Model, factor: float) -> Model:
    """Every weight of a model times a number, in float32."""
    tensors = tuple(Scaled(tensor, factor) for tensor in model.weights)
    return replace(model, address=f"{factor} * {model.address}", name=f"{factor} * {model.name}", tensors=tensors)
