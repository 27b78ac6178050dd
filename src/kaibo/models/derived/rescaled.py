"""A model whose rows and columns are multiplied by powers of two, formed while it is read, in its own type."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cache

import numpy as np
from numpy.typing import NDArray

from kaibo.models.derived.scale_kernels import LARGEST, multiply
from kaibo.models.formed import formed
from kaibo.vocabulary import Buffer, Model, Patterns, Tensor, widen32

Exponents = NDArray[np.int8]


@dataclass(frozen=True, eq=False)
class Factors:
    """The exponents of a tensor's rows and of its columns (one column of zero for a tensor of one axis)."""

    rows: Exponents
    columns: Exponents

    def digest(self) -> str:
        """What names them."""
        return hashlib.sha256(self.rows.tobytes() + b"|" + self.columns.tobytes()).hexdigest()[:32]


@dataclass(frozen=True, eq=False)
class Rescaled:
    """Value (i, j) of a tensor multiplied by 2^(rows[i] + columns[j]).

    The caller must keep the products in the range of normal numbers; then nothing is rounded.
    """

    tensor: Tensor
    factors: Factors = field(repr=False)

    def chunks(self, buffer: Buffer, begin: int = 0, end: int | None = None) -> Iterator[Patterns]:
        """The products, a buffer's worth at a time; raises what reading the tensor raises."""
        name = self.tensor.dtype.name
        room = np.empty(buffer.nbytes, np.uint8)
        at = begin
        for chunk in self.tensor.chunks(room, begin, end):
            values = np.array(widen32(name, chunk), np.float32)
            multiply(values, at, self.factors.rows, self.factors.columns, _powers())
            at += chunk.size
            out = buffer[: chunk.nbytes].view(self.tensor.dtype.patterns)
            out[:] = _narrowed(name, values)
            yield out


def rescaled(model: Model, factors: Mapping[str, Factors]) -> Model:
    """A model with the factors of its tensors, by canonical name; the others stay as they are."""
    tensors = tuple(_multiplied(tensor, factors.get(tensor.canonical)) for tensor in model.tensors)
    name = f"rescaled {model.name}"
    return replace(model, address=f"rescaled {model.address}", name=name, tensors=tensors, files=())


def _multiplied(tensor: Tensor, factors: Factors | None) -> Tensor:
    """A tensor times its factors; the same tensor and the same factors give the same source key."""
    if factors is None:
        return tensor
    key = None if tensor.source_key is None else f"rescaled:{tensor.source_key}:{factors.digest()}"
    return formed(Rescaled(tensor, factors), tensor, source_key=key)


def _narrowed(name: str, values: NDArray[np.float32]) -> Patterns:
    """Values that the type holds exactly, as its patterns."""
    if name == "BF16":
        return (values.view(np.uint32) >> np.uint32(16)).astype(np.uint16)
    if name == "F16":
        return values.astype(np.float16).view(np.uint16)
    return values.view(np.uint32)


@cache
def _powers() -> NDArray[np.float32]:
    return np.ldexp(np.float32(1), np.arange(-LARGEST, LARGEST + 1)).astype(np.float32)
