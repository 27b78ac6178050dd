"""A trimmed task vector: the difference with zeros where trimming keeps nothing. It is a model like any other."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

import numpy as np

from kaibo.models.merge_kernels import trim
from kaibo.vocabulary import DTYPES, Buffer, DType, Model, Patterns, Tensor
from kaibo.vocabulary.merging import WHOLE, Trim


@dataclass(frozen=True, eq=False)
class Trimmed:
    """A float32 tensor with what `keep` leaves of it, zero elsewhere. Satisfies the `Tensor` protocol."""

    tensor: Tensor
    keep: Trim

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

    @property
    def source_key(self) -> str | None:
        """The tensor's own key with what is kept of it."""
        key = self.tensor.source_key
        return None if key is None else f"trimmed:{self.keep.threshold!r}:{self.keep.cutoff}:{key}"

    def chunks(self, buffer: Buffer, begin: int = 0, end: int | None = None) -> Iterator[Patterns]:
        """The trimmed values, a buffer's worth at a time; raises what reading the tensor raises."""
        threshold = np.float32(self.keep.threshold)
        at = begin
        for chunk in self.tensor.chunks(buffer, begin, end):
            trim(chunk.view(np.float32), threshold, self.keep.cutoff - at)
            at += chunk.size
            yield chunk


def trimmed(vector: Model, keeps: Mapping[str, Trim]) -> Model:
    """A task vector (a model of float32 differences) with what `keeps` says of each tensor, by canonical name.

    A tensor that is not named is kept whole.
    """
    tensors = tuple(Trimmed(tensor, keeps.get(tensor.canonical, WHOLE)) for tensor in vector.weights)
    return replace(vector, address=f"trimmed {vector.address}", name=f"trimmed {vector.name}", tensors=tensors)
